"""Which save has failed, in a run of several processes, told before all of them know."""

from __future__ import annotations

import logging


class CommitErrors(logging.Handler):
    """The error of a commit that failed in this process.

    Orbax writes it to its log at once. To the caller it comes only once all processes have met
    behind the save, and those in which it did not fail wait for this one first, for minutes.

    Attributes:
      error: the first of them.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.error: BaseException | None = None
        self._logger = logging.getLogger("absl")
        self._level = self._logger.level
        self._logger.addHandler(self)
        self._logger.setLevel(logging.ERROR)
        self._logger.propagate = False  # it is told once, in one line, by who gets it from here

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the error that a record is of."""
        if self.error is None and record.exc_info and "Commit" in record.getMessage():
            self.error = record.exc_info[1]

    def close(self) -> None:
        """Listens no longer.

        It stays with orbax's log, which another thread may just be writing: where a process is
        lost, each of them does.
        """
        self._logger.setLevel(self._level)
        super().close()
