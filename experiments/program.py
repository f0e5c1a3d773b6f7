"""Common parts of all commands: exit statuses, output, logging, and the set-up of jax."""

from __future__ import annotations

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

from experiments import compile_cache
from experiments.arguments import Arguments, Command, parse
from seqmodels.allocator import keep_freed_memory
from seqmodels.config.errors import RunFailure, UserError, find_problem
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.strict_json import to_text
from seqmodels.config.training import MatmulPrecision
from seqmodels.distributed import lifecycle
from seqmodels.distributed.processes import is_main

DONE, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130
_UNREAD = "the reader of its output is gone"


def main(command: Command, argv: Sequence[str] | None = None) -> int:
    """Parses and runs a command.

    Args:
      argv: the words after the command's name; None for those of the process.

    Returns:
      The exit status: 0 done, 1 failed, 2 mistake of the user, 130 and 143 stopped by a signal.
    """
    return lifecycle.shut_down(_run(command, sys.argv[1:] if argv is None else argv))


def _run(command: Command, argv: Sequence[str]) -> int:
    try:
        arguments = parse(command, argv)
        if isinstance(arguments, str):
            print(arguments)
            return DONE
        _set_up_logging()
        keep_freed_memory()
        return command.run(arguments)
    except UserError as error:
        return _fail(command, MISTAKE, error)
    except RunFailure as error:
        return _fail(command, FAILED, error)
    except KeyboardInterrupt:
        if lifecycle.is_distributed():
            return _fail(command, INTERRUPTED, "interrupted")
        return INTERRUPTED
    except SystemExit:  # rich raises it if the reader of stderr has gone
        if lifecycle.is_distributed():
            return _fail(command, FAILED, _UNREAD)
        raise
    except BrokenPipeError:
        if lifecycle.is_distributed():
            return _fail(command, FAILED, _UNREAD)
        # The reader of the output has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if (problem := find_problem(error)) is None:
            return _report_crash(command, error)
        return _fail(command, FAILED, f"{error.filename or ''}: {problem}".removeprefix(": "))
    except Exception as error:
        return _report_crash(command, error)


def end(status: int) -> NoReturn:
    """Ends the process; after Ctrl-C or a failure it does not wait for other threads.

    This aborts a save in progress, which loses nothing else because an incomplete checkpoint does
    not count. The threads of a save that could not begin would wait for minutes.
    """
    if status in (INTERRUPTED, FAILED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _fail(command: Command, status: int, error: Exception | str) -> int:
    """Prints an error in one line; returns the exit status, or ends all processes of the run."""
    if lifecycle.is_distributed():
        lifecycle.fail(status, str(error))
    print(f"{command.name}: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def _report_crash(command: Command, error: Exception) -> int:
    """Prints the traceback of a bug; of several processes, reports a lost one in one line."""
    if lifecycle.is_distributed() and (line := lifecycle.describe_lost_process(error)) is not None:
        return _fail(command, FAILED, line)
    traceback.print_exc()
    if lifecycle.is_distributed():
        return _fail(command, FAILED, f"failed: {error!r:.200}")
    return FAILED


def define_workdir(values: flags.FlagValues, text: str = "work directory of the run") -> None:
    """Defines `--workdir`."""
    flags.DEFINE_string("workdir", None, text, flag_values=values)


def define_json(values: flags.FlagValues) -> None:
    """Defines `--json`."""
    flags.DEFINE_bool("json", False, "print the answer as JSON on stdout", flag_values=values)


def define_step(values: flags.FlagValues) -> None:
    """Defines `--step` of the commands that read a checkpoint."""
    flags.DEFINE_string(
        "step", "best", "checkpoint: best, latest or the number of its step", flag_values=values
    )


def answer(arguments: Arguments, values: Any, text: Any) -> None:
    """Prints the answer: JSON on stdout with `--json`, else `text` on stderr.

    Args:
      text: anything that rich can print.
    """
    if arguments.flags.json:
        print(to_text(values, indent=1, ensure_ascii=False), flush=True)
    else:
        say(text)


def say(text: Any) -> None:
    """Prints text for the user on stderr, in the main process."""
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
    # orbax logs every action and, from each thread, every failure, which it also raises.
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _handle_unraisable
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


def _handle_unraisable(unraisable: Any) -> None:
    """Hides the remains of a failed save or load: closed event loops and coroutines.

    Python loses a Ctrl-C that arrives during a library's callback, so it is raised again.
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
    """Reports once, rather than for every program, that the compile cache cannot be written."""

    def __init__(self) -> None:
        self._show, self._said = warnings.showwarning, False

    def __call__(self, message: Warning | str, *rest: Any) -> None:
        if "persistent compilation cache" not in str(message):
            self._show(message, *rest)
        elif not self._said:
            self._said = True
            problem = str(message).rpartition("] ")[2]
            say(f"warning: the compile cache cannot be written ({problem})")


def set_up_jax(config: ExperimentConfig, cpu_devices: int = 1) -> None:
    """Sets the precision of products, and turns on the compile cache, and bounds it.

    $JAX_COMPILATION_CACHE_DIR names another place, which others may use too and which is therefore
    not bounded here; $JAX_COMPILATION_CACHE_MAX_SIZE lets jax bound either.

    Args:
      config: of the run.
      cpu_devices: number of devices that a CPU is divided into; 1 = what the environment says.
    """
    import jax

    from seqmodels.data.store import cache_directory

    if cpu_devices > 1:
        jax.config.update("jax_num_cpu_devices", cpu_devices)
    precision = config.training.matmul_precision.value
    if precision == MatmulPrecision.DEFAULT:
        precision = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION")
    jax.config.update("jax_default_matmul_precision", precision)
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        directory = cache_directory(config.data) / "xla"
        if not os.environ.get("JAX_COMPILATION_CACHE_MAX_SIZE"):
            compile_cache.trim(directory)
        jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # jax writes entries in place, so another process may be writing one or was killed meanwhile.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache", UserWarning)
    if not isinstance(warnings.showwarning, _CacheWarnings):
        warnings.showwarning = _CacheWarnings()


def split_lines(description: dict[str, Any]) -> list[str]:
    """Lines with the sizes of the splits in `Data.description`, one line per split."""
    lines = []
    for name, split in description["splits"].items():
        sizes = (f"{count:>12,} {what.replace('_', ' ')}" for what, count in split.items())
        lines.append(f"  {name:<12}{' '.join(sizes)}")
    return lines


def show_devices() -> None:
    """Prints the devices that jax found, and warns about an unused accelerator."""
    import jax

    devices = jax.devices()
    kinds = sorted({f"{d.platform} {d.device_kind}".replace("cpu cpu", "cpu") for d in devices})
    say(lifecycle.describe() or f"devices: {len(devices)} ({', '.join(kinds)})")
    found = find_accelerator()
    if found and devices[0].platform == "cpu" and "cpu" not in os.environ.get("JAX_PLATFORMS", ""):
        say(
            f"warning: this machine has an accelerator ({found}) but jax uses the CPU; install jax "
            "for it: pip install -U 'jax[cuda13]' or 'jax[tpu]', see README.md"
        )


def find_accelerator(root: Path = Path("/")) -> str | None:
    """Returns a sign of a GPU or TPU on this machine, or None. Does not load a library."""
    for pattern in ("dev/nvidia[0-9]*", "dev/kfd", "dev/accel[0-9]*"):
        for path in sorted(root.glob(pattern)):
            return f"/{path.relative_to(root)}"
    names = ("TPU_NAME", "TPU_WORKER_ID", "TPU_ACCELERATOR_TYPE")
    return next((f"${name}" for name in names if os.environ.get(name)), None)
