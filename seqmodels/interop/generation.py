"""Settings of a `generation_config.json` other than the ends of texts. Imports no jax."""

from __future__ import annotations

from pathlib import Path

from seqmodels.data.special_tokens import GENERATION
from seqmodels.files import read_json

_FLAGS = ("temperature", "top_k", "top_p")
_KNOWN = ("eos_token_id", "bos_token_id", "pad_token_id")
_OF_CODE = ("transformers_version", "_from_model_config", "use_cache", "do_sample")
_LENGTHS = ("max_length", "max_new_tokens")
_NEUTRAL = (None, False, 0, 1, "", [], {})
"""Values by which a setting changes nothing."""


def generation_notes(source: Path) -> list[str]:
    """Lines about the settings of generation that `generate` does not take from the file.

    Raises:
      UserError: the file is damaged.
    """
    path = source / GENERATION
    if not source.is_dir() or not path.is_file():
        return []
    left_alone = (*_KNOWN, *_OF_CODE, *_LENGTHS)
    changes = lambda value: value is True or value not in _NEUTRAL
    found = read_json(path).items()
    values = {name: v for name, v in found if name not in left_alone and changes(v)}
    flags = [f"--{name}={values.pop(name)}" for name in _FLAGS if name in values]
    notes = [f"{GENERATION}: generate samples so with {' '.join(flags)}"] if flags else []
    named = ", ".join(f"{name}={value}" for name, value in values.items())
    return [*notes, f"{GENERATION}: not used by generate: {named}"] if named else notes
