"""Kernels in C++ for a CPU: compiled on first use where a compiler is, and never required.

The source is beside this file. What is compiled is kept in the cache directory of the data, under a
name that depends on the source, the compiler, its flags, the processor and jaxlib, so that machines
may share the directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seqmodels.files import cache_directory, split_lines

SWITCH = "SEQMODELS_NATIVE"
"""The environment variable that turns the kernels off where it is 0."""
SOURCES = Path(__file__).parent
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"),
    *("-fPIC", "-shared", "-pthread"),
)
_TARGETS = ("lstm_forward", "lstm_backward", "attention_forward", "attention_backward")
_SECONDS = 300
_LOG = logging.getLogger(__name__)


class NativeError(RuntimeError):
    """The kernels cannot be used; the text says why."""


def usable() -> bool:
    """Whether the kernels may run here: one CPU device, a compiler, and no `SEQMODELS_NATIVE=0`.

    Compiles them if needed. A failure is logged once, with its reason.
    """
    import jax

    if os.environ.get(SWITCH) == "0" or jax.default_backend() != "cpu" or jax.device_count() > 1:
        return False
    try:
        load()
    except NativeError as error:
        _warn(str(error))
        return False
    return True


def description() -> str:
    """Name of the compiled kernels, by all that made them; 'none' where they are not used."""
    return next(iter(load().values())).rpartition("_")[2] if usable() else "none"


@functools.cache
def _warn(text: str) -> None:
    _LOG.warning("without the kernels in C++, which %s=0 turns off: %s", SWITCH, text)


def load() -> dict[str, str]:
    """Compiles the kernels if needed, and registers them with jax.

    Returns:
      The name that each has in jax.

    Raises:
      NativeError: no compiler, or it failed.
    """
    loaded = _loaded()
    if isinstance(loaded, str):
        raise NativeError(loaded)
    return loaded


@functools.cache
def _loaded() -> dict[str, str] | str:
    """The names in jax, or why there are none: what failed once is not compiled again."""
    import jax

    try:
        library = compile_library()
        loaded = ctypes.CDLL(str(library))
    except NativeError as error:
        return str(error)
    except OSError as error:
        return f"{library}: {error}"
    names = {}
    for target in _TARGETS:
        # Part of the key under which jax keeps a compiled program: another source, another key.
        names[target] = f"seqmodels_{target}_{library.stem}"
        handler = jax.ffi.pycapsule(getattr(loaded, target))
        jax.ffi.register_ffi_target(names[target], handler, platform="cpu")
    return names


def call(
    target: str, shapes: Sequence[tuple[int, ...]], *args: Any, **attributes: Any
) -> list[Any]:
    """The float32 results of a kernel, of these shapes. `vmap` calls it row by row."""
    import jax

    results = [jax.ShapeDtypeStruct(shape, "float32") for shape in shapes]
    kernel = jax.ffi.ffi_call(load()[target], results, vmap_method="sequential")
    return list(kernel(*args, **attributes))


def target_of(name: str) -> str | None:
    """The kernel that has this name in jax; None where it is not one of ours."""
    return next((target for target in _TARGETS if name.startswith(f"seqmodels_{target}_")), None)


def compile_library() -> Path:
    """The compiled library; compiles it unless it is in the cache."""
    import jax

    compiler = _find_compiler()
    command = [
        compiler,
        *FLAGS,
        f"-I{jax.ffi.include_dir()}",
        *map(str, sorted(SOURCES.glob("*.cc"))),
    ]
    path = cache_directory() / "kernels" / f"{_digest(command)}.so"
    if path.exists():
        return path
    _LOG.info("compiling the kernels in C++ with %s, once: %s", compiler, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(suffix=".so", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise NativeError(f"{path.parent}: {error.strerror or error}") from None
    try:
        subprocess.run(
            [*command, "-o", partial], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
        os.chmod(partial, 0o755)  # for all who share the cache
        os.replace(partial, path)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        found = re.search(r"^.*error:.*$", said, re.MULTILINE)
        raise NativeError(f"{compiler}: {found[0] if found else said[-300:]}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)
    return path


def _find_compiler() -> str:
    """$CXX, or one that is usual."""
    named = os.environ.get("CXX")
    for name in [named] if named else ["g++", "clang++", "c++"]:
        if found := shutil.which(name):
            return found
    raise NativeError(f"{named or 'g++, clang++, c++'}: no such compiler")


@functools.cache
def _version(compiler: str) -> str:
    try:
        told = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise NativeError(f"{compiler}: {error}") from None
    return told.stdout


def _digest(command: list[str]) -> str:
    """Of all that the library depends on."""
    content = [repr(command), _version(command[0]), version("jaxlib"), _processor()]
    content += [path.read_text("utf-8") for path in sorted(SOURCES.glob("*.[ch]*"))]
    return hashlib.sha256("\0".join(content).encode()).hexdigest()[:16]


def _processor() -> str:
    """The name and the abilities of the processor, which -march=native takes from it."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        text = ""
    names = ("model name", "flags", "Features")
    lines = {line for line in split_lines(text) if line.startswith(names)}
    return "\n".join([platform.machine(), platform.processor(), *sorted(lines)])
