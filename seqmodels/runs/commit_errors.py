"""Early detection of a failed save in a run of several processes."""

from __future__ import annotations

import logging


class CommitErrors(logging.Handler):
    """Captures the error of a commit that failed in this process.

    Orbax logs it at once, but raises it only after a barrier at which the other processes wait for
    this one for minutes.

    Attributes:
      error: the first such error.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.error: BaseException | None = None
        self._logger = logging.getLogger("absl")
        self._level = self._logger.level
        self._logger.addHandler(self)
        self._logger.setLevel(logging.ERROR)
        self._logger.propagate = False  # the caller reports the error once, in one line

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the error of a record."""
        if self.error is None and record.exc_info and "Commit" in record.getMessage():
            self.error = record.exc_info[1]

    def close(self) -> None:
        """Stops capturing errors.

        The handler stays attached to orbax's logger, because another thread may be writing to it;
        after the loss of a process each thread does.
        """
        self._logger.setLevel(self._level)
        super().close()
