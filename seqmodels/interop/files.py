"""Tensors read one at a time from safetensors files, their shards or PyTorch state dicts.

Imports no jax. Never unpickles anything that could run code.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.files import read_json

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
_FLOATS = {
    *("F64", "F32", "F16", "BF16"),
    *("torch.float64", "torch.float32", "torch.float16", "torch.bfloat16"),
}
_COMPILED = "_orig_mod."  # torch.compile puts it before the names of a module's parameters


class Tensors:
    """Named tensors that are read on demand.

    Attributes:
      source: name of their origin, for messages.
      shapes: shape of every tensor by name.
      packed: dtype by name of the tensors that do not hold floats of 16 bits or more, such as
        integers, in which quantised weights are stored.
      settings: hyper-parameters that the file itself holds; None if it holds none.
    """

    def __init__(
        self,
        source: str,
        shapes: Mapping[str, tuple[int, ...]],
        read: Callable[[str], np.ndarray],
        dtypes: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.source = source
        self.shapes = dict(shapes)
        self.packed = {n: kind for n, kind in (dtypes or {}).items() if kind not in _FLOATS}
        self.settings = settings
        self._read = read

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any], source: str = "arrays") -> Tensors:
        """Wraps arrays that are in memory."""
        shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        return cls(source, shapes, lambda name: np.asarray(arrays[name]))

    def read(self, name: str) -> np.ndarray:
        """Reads one tensor as float32.

        Raises:
          UserError: it cannot be read, or does not hold real numbers.
        """
        try:
            array = self._read(name)
            return np.ascontiguousarray(array, np.float32)
        except UserError:
            raise
        except Exception as error:  # each reading library has its own classes
            raise UserError(f"{self.source}: {name} cannot be read: {error}") from None


@contextlib.contextmanager
def open_tensors(path: Path) -> Iterator[Tensors]:
    """Opens a Hugging Face folder, a safetensors file or a PyTorch state dict.

    Raises:
      UserError: it does not exist, or is damaged.
    """
    with contextlib.ExitStack() as stack:
        if not path.exists():
            raise UserError(f"--from={path}: there is no such file or folder")
        if path.is_dir():
            yield _open_folder(path, stack)
        elif path.suffix == ".safetensors":
            yield _open_safetensors([path], str(path), stack)
        else:
            yield _open_state_dict(path)


def _open_folder(folder: Path, stack: contextlib.ExitStack) -> Tensors:
    if (folder / WEIGHTS).is_file():
        return _open_safetensors([folder / WEIGHTS], str(folder / WEIGHTS), stack)
    index = folder / INDEX
    if not index.is_file():
        raise UserError(f"--from={folder}: the folder has neither {WEIGHTS} nor {INDEX}")
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(p, str) for p in places.values()):
        raise UserError(f"{index}: damaged: it has no weight_map from tensor names to files")
    shards = sorted(set(places.values()))
    outside = [shard for shard in shards if Path(shard).name != shard]
    if outside:
        raise UserError(f"{index}: {name_some(outside, 'shard')} outside the folder")
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        raise UserError(f"{index}: {name_some(missing, 'shard')} missing from {folder}")
    tensors = _open_safetensors([folder / shard for shard in shards], str(index), stack)
    lost = [name for name in places if name not in tensors.shapes]
    if lost:
        raise UserError(f"{index}: {name_some(lost, 'tensor')} not in any of its shards")
    return tensors


def _open_safetensors(paths: list[Path], source: str, stack: contextlib.ExitStack) -> Tensors:
    import ml_dtypes  # noqa: F401  # numpy knows bfloat16 from then on
    from safetensors import safe_open

    files: dict[str, Any] = {}
    keys: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    for path in paths:
        try:
            file: Any = stack.enter_context(safe_open(path, "np"))
            for key in file.keys():  # noqa: SIM118  # no mapping
                name, there = key.replace(_COMPILED, ""), file.get_slice(key)
                files[name], keys[name] = file, key
                shapes[name], dtypes[name] = tuple(there.get_shape()), there.get_dtype()
        except Exception as error:
            raise UserError(f"{path}: damaged, or not a safetensors file: {error}") from None
    return Tensors(source, shapes, lambda name: files[name].get_tensor(keys[name]), dtypes)


def _open_state_dict(path: Path) -> Tensors:
    """Opens a file of `torch.save`: a state dict, alone or under the key state_dict or model.

    A checkpoint of nanoGPT has its hyper-parameters under model_args.
    """
    try:
        import torch  # pyright: ignore[reportMissingImports]  # one of the peers
    except ImportError:
        raise UserError(
            f"--from={path}: needs torch, which is not installed (pip install torch); "
            "a .safetensors file of the state dict needs no torch"
        ) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first, _, _ = str(error).strip().partition("\n")
        raise UserError(
            f"--from={path}: damaged, or holds more than tensors: it does not load with "
            f"weights_only=True ({type(error).__name__}: {first[:60]})"
        ) from None
    settings = None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    elif isinstance(state, dict) and isinstance(state.get("model"), dict):
        arguments, state = state.get("model_args"), state["model"]
        settings = arguments if isinstance(arguments, dict) else None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(f"--from={path}: must hold a state dict, not a {type(state).__name__}")
    tensors = {
        name.replace(_COMPILED, ""): x for name, x in state.items() if isinstance(x, torch.Tensor)
    }
    if not tensors:
        raise UserError(f"--from={path}: the state dict has no tensors")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    dtypes = {name: str(tensor.dtype) for name, tensor in tensors.items()}
    read = lambda name: tensors[name].detach().to(torch.float32).numpy()
    return Tensors(str(path), shapes, read, dtypes, settings)


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes a safetensors file that PyTorch can read, and syncs it to disk."""
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(whole, path, metadata={"format": "pt"})
    with path.open("rb") as file:
        os.fsync(file.fileno())


def name_some(names: Iterable[str], noun: str, most: int = 5) -> str:
    """A list such as 'tensors a, b and 3 more', with at most `most` names."""
    names = list(names)
    shown = ", ".join(names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{noun}{'s' * (len(names) > 1)} {shown}{more}"
