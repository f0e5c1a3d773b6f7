"""The files next to a tokenizer that say what its tokens mean.

tokenizer_config.json, special_tokens_map.json and added_tokens.json name the special tokens and
further ones; config.json and generation_config.json say, by id, which of them end a text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.files import read_json

SETTINGS, GENERATION = "tokenizer_config.json", "generation_config.json"
_CONFIG, _MAP, _ADDED = "config.json", "special_tokens_map.json", "added_tokens.json"
_KNOWN = {
    "bos_token": ("<|endoftext|>",),
    "eos_token": ("<|endoftext|>",),
    "unk_token": ("[UNK]", "<|endoftext|>"),
    "sep_token": ("[SEP]",),
    "pad_token": ("[PAD]",),
    "cls_token": ("[CLS]",),
    "mask_token": ("[MASK]", "<mask>"),
}
"""The special tokens of transformers, with their defaults where no file names them."""
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
_DEFAULT_IDS: dict[str, dict[str, int]] = {
    "gpt2": {"bos_token_id": 50256, "eos_token_id": 50256},
    "llama": {"bos_token_id": 1, "eos_token_id": 2},
    "mistral": {"bos_token_id": 1, "eos_token_id": 2},
    "gemma": {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0},
    "bert": {"pad_token_id": 0},
}
"""What a config.json means that lacks them, by its model_type (transformers 5.23)."""

Ids = dict[str, Any]
"""A field of `_IDS` -> a number, a list of numbers or None."""


@dataclasses.dataclass(frozen=True)
class SpecialTokens:
    """Special tokens of a tokenizer and of the model that it came with.

    Attributes:
      tokens: role, such as `mask_token` -> token.
      ids: the `_IDS` of config.json.
      generation: those of generation_config.json; None where there is no such file.
    """

    tokens: dict[str, str] = dataclasses.field(default_factory=dict)
    ids: Ids = dataclasses.field(default_factory=dict)
    generation: Ids | None = None

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids at which a generated text ends: of generation_config.json, else of config.json."""
        found = (self.ids if self.generation is None else self.generation).get("eos_token_id")
        return () if found is None else tuple(found) if isinstance(found, list) else (found,)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> SpecialTokens:
        """Rebuilds the object that `to_json` wrote; raises ValueError on anything else."""
        try:
            return cls(**values)
        except TypeError:
            raise ValueError("no special tokens") from None


def read_special_tokens(
    folder: Path, settings: Mapping[str, Any], vocabulary: Mapping[str, int]
) -> SpecialTokens:
    """Special tokens by the files of a folder, without those that the vocabulary lacks.

    Args:
      settings: see `read_settings`.

    Raises:
      UserError: a file is damaged, or an id is not a number.
    """
    tokens = {}
    for role, known in _KNOWN.items():
        named = [content_of(settings[role])] if role in settings else known
        token = next((token for token in named if token in vocabulary), None)
        if token is not None:
            tokens[role] = token
    config, generation = folder / _CONFIG, folder / GENERATION
    ids: Ids = {}
    if config.is_file():
        values = read_json(config)
        ids = {**_DEFAULT_IDS.get(str(values.get("model_type")), {}), **_read_ids(values, config)}
    found = _read_ids(read_json(generation), generation) if generation.is_file() else None
    return SpecialTokens(tokens, ids, found)


def _read_ids(values: Mapping[str, Any], path: Path) -> Ids:
    ids = {name: values[name] for name in _IDS if name in values}
    for name, value in ids.items():
        numbers = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(number) is int for number in numbers):
            raise UserError(
                f"{path}: {name}={value} is not supported; allowed: a number of a token"
            )
    return ids


def read_settings(folder: Path) -> dict[str, Any]:
    """The contents of tokenizer_config.json and, where it knows no added tokens, of the older
    special_tokens_map.json; empty where there is neither.

    Raises:
      UserError: a file is damaged.
    """
    path = folder / SETTINGS
    settings = read_json(path) if path.is_file() else {}
    path = folder / _MAP
    if path.is_file() and "added_tokens_decoder" not in settings:
        settings |= read_json(path)
    return settings


def content_of(token: Any) -> str | None:
    """A token that is written as text or as an object with its flags."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def add_tokens(tokenizer: Any, folder: Path, settings: Mapping[str, Any]) -> None:
    """Gives a tokenizer of vocab.txt, or of vocab.json, the tokens of the other files.

    They are those of added_tokens_decoder in tokenizer_config.json, or else of added_tokens.json,
    and the special tokens.

    Raises:
      UserError: a file is damaged, or the tokens do not get the ids that it says.
    """
    from tokenizers import AddedToken

    special = [content_of(settings.get(role)) for role in _KNOWN]
    more = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    special += [content_of(token) for token in more]
    named = list(dict.fromkeys(token for token in special if token))
    path, added = folder / SETTINGS, list[tuple[int, Any]]()
    try:
        if "added_tokens_decoder" in settings:
            decoder = settings["added_tokens_decoder"]
            added = [(int(number), AddedToken(**token)) for number, token in decoder.items()]
        elif (folder / _ADDED).is_file():
            path = folder / _ADDED
            for token, number in read_json(path).items():
                flag = {"special": token in named, "normalized": token not in named}
                added.append((number, AddedToken(token, **flag)))
        for number, token in sorted(added, key=lambda one: one[0]):
            tokenizer.add_tokens([token])
            if (found := tokenizer.token_to_id(token.content)) != number:
                raise UserError(
                    f"{path}: token {token.content!r} has id {number}; after the vocabulary and "
                    f"the tokens before it, it must be {found}"
                )
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: damaged: its added tokens cannot be read ({error})") from None
    # A role that has no token in the files has the usual one, if that is in the vocabulary.
    usual = dict.fromkeys(
        t for role, known in _KNOWN.items() if role not in settings for t in known
    )
    present = [token for token in usual if tokenizer.token_to_id(token) is not None]
    tokenizer.add_special_tokens([*named, *present])


def require(settings: Mapping[str, Any], folder: Path, **allowed: tuple[Any, ...]) -> None:
    """Refuses values of tokenizer_config.json that would need another tokenizer.

    Raises:
      UserError: for the first field that has none of the allowed values.
    """
    for name, values in allowed.items():
        if name in settings and settings[name] not in values:
            shown = ", ".join(map(str, values))
            raise UserError(
                f"{folder / SETTINGS}: {name}={settings[name]} is not supported; allowed: {shown}"
            )


def add_affixes(
    tokenizer: Any, settings: Mapping[str, Any], before: str | None, after: str | None = None
) -> None:
    """Puts special tokens before and after a text, where the vocabulary has them.

    Args:
      before, after: their roles.
    """
    from tokenizers import processors

    ids, parts = {}, {before: "", after: ""}
    for role in parts:
        if role is not None:
            token = content_of(settings.get(role)) or _KNOWN[role][0]
            ids[token], parts[role] = tokenizer.token_to_id(token), token
    if not ids or None in ids.values():
        return
    single, second = [parts[before], "$A:0"], ["$B:1"]
    if after is not None:
        single, second = [*single, f"{parts[after]}:0"], [*second, f"{parts[after]}:1"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(filter(None, single)),
        pair=" ".join(filter(None, [*single, *second])),
        special_tokens=list(ids.items()),
    )
