"""What the commands share: exit statuses, output, logging, and jax once it is needed."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import flags

from experiments.arguments import Arguments, Command, parse
from seqmodels.config.errors import RunFailure, UserError, find_problem
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.distributed import lifecycle as membership
from seqmodels.distributed.processes import is_main

DONE, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130
_UNREAD = "nobody reads its output any longer"


def main(command: Command, argv: Sequence[str] | None = None) -> int:
    """Parses and runs a command.

    Args:
      argv: what stands behind the command's name; None = that of the process.

    Returns:
      The exit status: 0 done, 1 failed, 2 the user's mistake, 130 and 143 stopped by a signal.
    """
    return membership.leave(_run(command, sys.argv[1:] if argv is None else argv))


def _run(command: Command, argv: Sequence[str]) -> int:
    try:
        arguments = parse(command, argv)
        if isinstance(arguments, str):
            print(arguments)
            return DONE
        _set_up_logging()
        return command.run(arguments)
    except UserError as error:
        return _tell(command, MISTAKE, error)
    except RunFailure as error:
        return _tell(command, FAILED, error)
    except KeyboardInterrupt:
        if membership.has_joined():
            return _tell(command, INTERRUPTED, "interrupted")
        return INTERRUPTED
    except SystemExit:  # rich ends the process so where the reader of stderr has gone
        if membership.has_joined():
            return _tell(command, FAILED, _UNREAD)
        raise
    except BrokenPipeError:
        if membership.has_joined():
            return _tell(command, FAILED, _UNREAD)
        # Whoever read the output has gone; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if (problem := find_problem(error)) is None:
            return _show(command, error)
        return _tell(command, FAILED, f"{error.filename or ''}: {problem}".removeprefix(": "))
    except Exception as error:
        return _show(command, error)


def end(status: int) -> NoReturn:
    """Ends the process, after Ctrl-C and after a failure without waiting for its threads.

    What one of them is saving is cut off: a checkpoint is whole or not there, so nothing else is
    lost. Those of a save that could not begin would wait for minutes.
    """
    if status in (INTERRUPTED, FAILED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _tell(command: Command, status: int, error: Exception | str) -> int:
    """Says in one line what is wrong; returns the exit status, or ends all of several processes."""
    if membership.has_joined():
        membership.fail(status, str(error))
    print(f"{command.name}: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def _show(command: Command, error: Exception) -> int:
    """Shows what is a fault of the program; in a group that may be that another process is lost."""
    if membership.has_joined() and (line := membership.lost(error)) is not None:
        return _tell(command, FAILED, line)
    traceback.print_exc()
    if membership.has_joined():
        return _tell(command, FAILED, f"failed: {error!r:.200}")
    return FAILED


def define_workdir(values: flags.FlagValues, text: str = "work directory of the run") -> None:
    """Defines `--workdir`."""
    flags.DEFINE_string("workdir", None, text, flag_values=values)


def define_json(values: flags.FlagValues) -> None:
    """Defines `--json`."""
    flags.DEFINE_bool("json", False, "print the answer as JSON on stdout", flag_values=values)


def define_step(values: flags.FlagValues) -> None:
    """Defines `--step` of the commands that read a checkpoint."""
    flags.DEFINE_string("step", "best", "best, latest or the number of one", flag_values=values)


def answer(arguments: Arguments, values: Any, text: Any) -> None:
    """Prints the answer: JSON on stdout with `--json`, else `text` for a person on stderr.

    Args:
      text: anything that rich prints.
    """
    if arguments.flags.json:
        json.dump(values, sys.stdout, indent=1, ensure_ascii=False)
        print(flush=True)
    else:
        say(text)


def say(text: Any) -> None:
    """Prints something for a person on stderr, in the main process."""
    if not is_main():
        return
    from rich.console import Console

    console = Console(stderr=True)
    console.print(text, highlight=False, markup=False, soft_wrap=isinstance(text, str))


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return message if record.levelno < logging.WARNING else f"warning: {message}"


def _set_up_logging() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # orbax reports each of its moves there, and a failure by each thread: they come as exceptions.
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _tell_unraisable
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


def _tell_unraisable(unraisable: Any) -> None:
    """Hides what a save or load that failed leaves behind: closed event loops, coroutines.

    A Ctrl-C that came while a library's callback ran, where Python loses it, comes once more.
    """
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        main = threading.main_thread().ident
        threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT)).start()
        return
    code = getattr(unraisable.object, "cr_code", None)
    of_orbax = code is not None and "orbax" in code.co_filename
    if not of_orbax and str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


class _CacheWarnings:
    """Says once what jax says of each program: that the compile cache does not take it."""

    def __init__(self) -> None:
        self._show, self._said = warnings.showwarning, False

    def __call__(self, message: Warning | str, *rest: Any) -> None:
        if "persistent compilation cache" not in str(message):
            self._show(message, *rest)
        elif not self._said:
            self._said = True
            problem = str(message).rpartition("] ")[2]
            say(f"warning: the compile cache takes nothing ({problem}): programs are compiled anew")


def set_up_jax(config: ExperimentConfig) -> None:
    """Turns the compile cache on; $JAX_COMPILATION_CACHE_DIR overrides where it is."""
    import jax

    from seqmodels.data.pipeline import cache_directory

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        directory = cache_directory(config.data) / "xla"
        jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # jax writes an entry in place: another process is at it, or was killed as it was.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache", UserWarning)
    if not isinstance(warnings.showwarning, _CacheWarnings):
        warnings.showwarning = _CacheWarnings()


def split_lines(description: dict[str, Any]) -> list[str]:
    """The sizes of the splits, of `Data.description`, a line each."""
    lines = []
    for name, split in description["splits"].items():
        sizes = (f"{count:>12,} {what.replace('_', ' ')}" for what, count in split.items())
        lines.append(f"  {name:<12}{' '.join(sizes)}")
    return lines


def show_devices() -> None:
    """Says which devices jax found, and warns where an accelerator is left unused."""
    import jax

    devices = jax.devices()
    kinds = sorted({f"{d.platform} {d.device_kind}".replace("cpu cpu", "cpu") for d in devices})
    say(membership.describe() or f"devices: {len(devices)} ({', '.join(kinds)})")
    found = find_accelerator()
    if found and devices[0].platform == "cpu" and "cpu" not in os.environ.get("JAX_PLATFORMS", ""):
        say(
            f"warning: there is an accelerator ({found}) but jax runs on the CPU; install jax for "
            "it: pip install -U 'jax[cuda13]' or 'jax[tpu]', see README.md"
        )


def find_accelerator(root: Path = Path("/")) -> str | None:
    """Returns a trace of a GPU or TPU on this machine, or None. Asks no library."""
    for pattern in ("dev/nvidia[0-9]*", "dev/kfd", "dev/accel[0-9]*"):
        for path in sorted(root.glob(pattern)):
            return f"/{path.relative_to(root)}"
    names = ("TPU_NAME", "TPU_WORKER_ID", "TPU_ACCELERATOR_TYPE")
    return next((f"${name}" for name in names if os.environ.get(name)), None)
