"""Files that hold the state of an interrupted text, for `generate --state_out` and `--state_in`.

A safetensors file: the leaves of the carry by path, the last tokens of the text, and a JSON header
with the model, tokenizer and checkpoint that it belongs to and the sha256 of all the rest. Nothing
in it is code. Imports no jax.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import to_json
from seqmodels.files import replacing
from seqmodels.types import Tokenizer

_HEADER, _TOKENS, _CARRY = "seqmodels_state", "tokens", "carry/"
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Owner:
    """The checkpoint that a state belongs to.

    Attributes:
      model: fields of its config, `kind` among them.
      dtype: of the arithmetic.
      tokenizer: sha256 of its description.
      step: of the checkpoint.
      parameters: sha256 of the parameters, `digest_arrays`.
    """

    model: dict[str, Any]
    dtype: str
    tokenizer: str
    step: int
    parameters: str


@dataclasses.dataclass(frozen=True)
class StateFile:
    """The content of a file.

    Attributes:
      owner: what it belongs to.
      carry: leaves [1, ...] by path.
      tokens: [N] int32, the last tokens of the text.
      numbers: num_read, num_drawn and seed of `TextState`.
    """

    owner: Owner
    carry: dict[str, np.ndarray]
    tokens: np.ndarray
    numbers: dict[str, int]


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """The sha256 of named arrays: names, dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype}:{arrays[name].shape};".encode())
        digest.update(array.view(np.uint8).data if array.size else b"")
    return digest.hexdigest()


def digest_tokenizer(tokenizer: Tokenizer) -> str:
    """The sha256 of a tokenizer's description."""
    return hashlib.sha256(json.dumps(tokenizer.to_json(), sort_keys=True).encode()).hexdigest()


def model_of(config: ExperimentConfig) -> dict[str, Any]:
    """The fields of a model, as JSON holds them."""
    return to_json(config)["model"]


def check_place(name: str, flag: str = "--state_out") -> Path:
    """The file that a state will be written to; UserError where it cannot be one."""
    path = Path(name).expanduser()
    if not name or path.is_dir() or not path.parent.is_dir():
        what = "is a directory" if path.is_dir() else f"{path.parent} is not a directory"
        raise UserError(f"{flag}={name}: {what if name else 'must name a file'}")
    return path


def write_state(path: Path, state: StateFile) -> None:
    """Writes a state, completely or not at all.

    Raises:
      UserError: it cannot be written.
    """
    import ml_dtypes  # noqa: F401  # numpy knows bfloat16 from then on
    from safetensors.numpy import save_file

    arrays = {_CARRY + name: np.ascontiguousarray(x) for name, x in state.carry.items()}
    arrays[_TOKENS] = np.asarray(state.tokens, np.int32)
    header = {"version": _VERSION, **dataclasses.asdict(state.owner), **state.numbers}
    header["sha256"] = _seal(header, arrays)
    try:
        with replacing(path) as partial:
            save_file(arrays, partial, metadata={_HEADER: json.dumps(header)})
    except OSError as error:
        raise UserError(f"--state_out={path}: cannot be written: {error.strerror}") from None


def read_state(path: Path) -> StateFile:
    """Reads a state.

    Raises:
      UserError: the file is damaged, of another kind, or of another version.
    """
    import ml_dtypes  # noqa: F401
    from safetensors import safe_open

    name = f"--state_in={path}"
    try:
        with safe_open(path, "np") as file:
            found = (file.metadata() or {}).get(_HEADER)
            if found is None:
                raise UserError(f"{name}: a safetensors file, but not one of --state_out")
            header = json.loads(found)
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        sha256, version = header.pop("sha256"), header["version"]
        if version != _VERSION:
            raise UserError(f"{name}: has the version {version}; this program reads {_VERSION}")
        if sha256 != _seal(header, arrays):
            raise UserError(f"{name}: damaged: its content does not have its checksum")
        owner = Owner(**{field.name: header[field.name] for field in dataclasses.fields(Owner)})
        numbers = {key: int(header[key]) for key in ("num_read", "num_drawn", "seed")}
        tokens = arrays.pop(_TOKENS)
    except UserError:
        raise
    except Exception as error:  # each way of being damaged has its own class
        raise UserError(f"{name}: damaged, or not a file of --state_out: {error}") from None
    carry = {key.removeprefix(_CARRY): array for key, array in arrays.items()}
    return StateFile(owner, carry, tokens, numbers)


def _seal(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    text = json.dumps(header, sort_keys=True) + digest_arrays(arrays)
    return hashlib.sha256(text.encode()).hexdigest()


def check_owner(path: Path, found: Owner, **expected: Any) -> None:
    """Refuses a state of something else, which it names.

    Args:
      path: of the state.
      expected: fields of the `Owner` that resumes, as many as are known.

    Raises:
      UserError: see above.
    """
    name = f"--state_in={path}"
    ours = expected.get("model", found.model)
    for field in dict.fromkeys(["kind", *found.model, *ours]):
        there, here = found.model.get(field), ours.get(field)
        if there != here:
            raise UserError(
                f"{name}: belongs to another model: its model.{field} is {there}, that of this "
                f"run {here}"
            )
    parts = {
        "dtype": "training.dtype {0}; that of this run is {1}",
        "tokenizer": "another tokenizer, of sha256 {0:.12}; that of this run has {1:.12}",
        "step": "step {0} of a run; this is step {1}, and --step={0} would choose it",
        "parameters": "other parameters, of sha256 {0:.12}; those of this step have {1:.12}",
    }
    for part, text in parts.items():
        there = getattr(found, part)
        here = expected.get(part, there)
        if there != here:
            raise UserError(f"{name}: belongs to {text.format(there, here)}")
