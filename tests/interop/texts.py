"""Tokenizer files written by hand, and odd texts to try them on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ODD = (
    "Hello World",
    "née CAFÉ",
    "日本語 text",
    "the cat\tsat\n on the mat",
    "[MASK] a [SEP]",
    " a  b ",
    "İstanbul e\u0301",
    "naïve—dash",
    "don't \U0001f600 <ent> x",
    "a\u00a0b\u200bc",
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_WORDS = """
hello world Hello World nee née cafe café caf ##e CAFÉ CAFE the cat sat on mat a b c 日本語 日 本 語
text istanbul İstanbul naive naïve dash don ' t - — good bad
"""
PIECES = [*SPECIAL, *_WORDS.split()]


ENT = {"content": "<ent>", "lstrip": True, "rstrip": False, "normalized": False}
LOOSE = {**ENT, "single_word": False, "special": False}

WORDS: dict[str, dict[str, Any]] = {
    "none": {},
    "cased": {"do_lower_case": False},
    "cased without accents": {"do_lower_case": False, "strip_accents": True},
    "lower with accents": {"strip_accents": False},
    "chinese words": {"tokenize_chinese_chars": False, "tokenizer_class": "BertTokenizer"},
    "added": {"added_tokens_decoder": {str(len(PIECES)): LOOSE}},
    "another mask": {"mask_token": "good", "sep_token": "bad"},
}
"""Settings of a folder with vocab.txt."""
BYTES: dict[str, dict[str, Any]] = {
    "none": {},
    "added": {"added_tokens": {"<ent>": 260}},
    "added and special": {
        "added_tokens": {"<ent>": 260, "<pad>": 261},
        "tokenizer_config": {"pad_token": "<pad>"},
    },
    "an older map": {"added_tokens": {"<ent>": 260}, "special_tokens_map": {"eos_token": "<ent>"}},
    "spaces before": {"tokenizer_config": {"add_prefix_space": True}},
    "a beginning": {"tokenizer_config": {"add_bos_token": True}},
    "extra": {"tokenizer_config": {"additional_special_tokens": ["<ent>"]}},
}
"""Further files of a folder with vocab.json and merges.txt."""


def bert_words(folder: Path, settings: dict[str, Any] | None = None) -> None:
    """Writes a vocab.txt, and a tokenizer_config.json if it has settings."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    if settings is not None:
        write(folder, "tokenizer_config", settings)


def gpt2_bytes(folder: Path, **files: dict[str, Any]) -> dict[str, int]:
    """Writes vocab.json with merges.txt, and further JSON files by their names."""
    from tokenizers import pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, "th", "the", "Ġa", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    write(folder, "vocab", vocabulary)
    (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e\nĠ a\n", encoding="utf-8")
    for name, values in files.items():
        write(folder, name, values)
    return vocabulary


def write(folder: Path, name: str, values: dict[str, Any]) -> None:
    (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
