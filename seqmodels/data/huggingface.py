"""Tokenizers of the Hugging Face library, read from the files that come with a model."""

from __future__ import annotations

import collections
import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.special_tokens import (
    SpecialTokens,
    add_affixes,
    add_tokens,
    content_of,
    read_settings,
    read_special_tokens,
    require,
)
from seqmodels.data.token_streams import PieceStream, WindowStream
from seqmodels.data.tokenizers import ByteTokenizer, SavedTokenizer, raise_unknown
from seqmodels.files import read_file, read_lines

if TYPE_CHECKING:
    from seqmodels.types import TextStream


FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("vocab.txt",))
"""What a folder may hold, the first one counts: any tokenizer; byte-level BPE; WordPiece."""

_MASKS = ("[MASK]", "<mask>")
_BERT = tuple(
    f"{name}Tokenizer{end}"
    for name in ("Bert", "DistilBert", "Electra", "MobileBert")
    for end in ("", "Fast")
)
_GPT2 = ("GPT2Tokenizer", "GPT2TokenizerFast")
"""Classes of transformers that read vocab.txt, or vocab.json and merges.txt, in the same way."""
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


class HuggingFaceTokenizer(SavedTokenizer):
    """A tokenizer of the `tokenizers` library.

    Byte-level BPE (GPT-2, Llama 3) loses nothing: `lossless`, and text is put together from bytes.
    Others (WordPiece, SentencePiece) lose case, accents or spaces; their `byte_lengths` are those
    of the pieces.

    Args:
      description: what `tokenizer.json` holds.
      vocab_size: of the model, where its table has more rows; such tokens have no text.
      special: what other files say of its tokens.

    Raises:
      ValueError: the description is not valid, or the model has fewer rows than there are tokens.
    """

    kind, unit = "huggingface", "token"

    def __init__(
        self,
        description: dict[str, Any],
        vocab_size: int | None = None,
        special: SpecialTokens | None = None,
    ) -> None:
        import tokenizers

        # What else than text decides about tokens has no place in a function of the text.
        description = {**description, "truncation": None, "padding": None}
        self._description = description
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(description))
        except Exception as error:  # the library raises nothing more special
            raise ValueError(f"not a file of the tokenizers library: {error}") from None
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        if not vocabulary:
            raise ValueError("it has no tokens")
        least = max(vocabulary.values()) + 1
        self.vocab_size = least if vocab_size is None else vocab_size
        if self.vocab_size < least:
            raise ValueError(f"it has {least} tokens, not {vocab_size}")
        self._known = set(vocabulary.values())
        self.lossless = _is_byte_level(description)
        added = {token["content"] for token in description.get("added_tokens") or ()}
        pieces = [b""] * self.vocab_size
        for token, index in vocabulary.items():
            pieces[index] = token.encode() if token in added else self._bytes_of(token)
        self._pieces = pieces
        self.byte_lengths = np.array([len(piece) for piece in pieces], np.int64)
        unknown = description["model"].get("unk_token")
        self.unknown_id: int | None = vocabulary.get(unknown)
        self.special = SpecialTokens() if special is None else special
        masks = (self.special.tokens.get("mask_token"), *_MASKS)
        self.mask_id: int | None = next((vocabulary[m] for m in masks if m in vocabulary), None)
        self.eos_ids = tuple(i for i in self.special.ends if 0 <= i < self.vocab_size)
        if self.unknown_id is not None:
            self.byte_lengths[self.unknown_id] = 0

    def _bytes_of(self, token: str) -> bytes:
        if self.lossless:
            return b"".join(_BYTES[c] if c in _BYTES else c.encode() for c in token)
        if byte := _BYTE_TOKEN.fullmatch(token):
            return bytes([int(byte[1], 16)])
        return token.removeprefix("##").replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode()

    @property
    def start(self) -> np.ndarray:
        """Tokens that are put before a text, such as Llama's <s>; int32 [N], mostly empty."""
        return self._affixes[0]

    @property
    def end(self) -> np.ndarray:
        """Tokens that are put after a whole text, such as BERT's [SEP]; int32 [N]."""
        return self._affixes[1]

    @functools.cached_property
    def _affixes(self) -> tuple[np.ndarray, np.ndarray]:
        marked = self._tokenizer.encode("a", add_special_tokens=True)
        ids, own = np.array(marked.ids, np.int32), np.array(marked.special_tokens_mask) == 0
        if not own.any():
            return ids[:0], ids[:0]
        return ids[: int(own.argmax())], ids[len(own) - int(own[::-1].argmax()) :]

    def encode(self, text: str, *, unknown: bool = False) -> np.ndarray:
        """Returns tokens [N] int32, with nothing added before or after them.

        Raises:
          UnknownSymbols: for what becomes the unknown token, unless `unknown`; for halves of
            surrogate pairs always.
        """
        ByteTokenizer().encode(text)  # refuses halves of surrogate pairs, where the library crashes
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        ids = np.array(encoded.ids, np.int32)
        if not unknown and self.unknown_id is not None:
            missing = np.flatnonzero(ids == self.unknown_id)
            if missing.size:
                places = [encoded.offsets[i][0] for i in missing]
                raise_unknown([(text[place], place) for place in places])
        return ids

    def count_unknown(self, text: str) -> collections.Counter[str]:
        """How often each piece occurs in `text` that becomes the unknown token."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        spans = zip(encoded.ids, encoded.offsets, strict=True)
        return collections.Counter(text[a:b] for i, (a, b) in spans if i == self.unknown_id)

    def decode(self, ids: Any) -> str:
        """Returns the text of tokens [N]; a row of the model's table without a token has none."""
        ids = [i for i in np.atleast_1d(np.asarray(ids)).tolist() if i in self._known]
        if self.lossless:
            return b"".join(self._pieces[i] for i in ids).decode(errors="replace")
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def decode_stream(self, after: Any = ()) -> TextStream:
        """Returns a decoder that holds back unfinished characters.

        Args:
          after: the tokens before those to come; they may decide whether a space comes first.
        """
        return PieceStream(self._pieces) if self.lossless else WindowStream(self, after)

    def pieces(self, *, starts_line: bool) -> list[bytes]:
        """Returns the text of each token; where that is lossy, its text after an `a`."""
        if self.lossless:
            return self._pieces
        before = [] if starts_line else self.encode("a", unknown=True).tolist()
        cut = len(self.decode(before))
        return [self.decode([*before, i])[cut:].encode() for i in range(self.vocab_size)]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `tokenizer_from_json` reads."""
        own = {"kind": self.kind, "vocab_size": self.vocab_size, "tokenizer": self._description}
        # A tokenizer that was learned here has none.
        named = self.special != SpecialTokens()
        return {**own, "special": self.special.to_json()} if named else own

    def description(self) -> dict[str, Any]:
        """The content of the `tokenizer.json` of a folder."""
        return self._description

    def vocabulary(self) -> dict[str, int]:
        """Token -> its number."""
        return self._tokenizer.get_vocab(with_added_tokens=True)


def _byte_alphabet() -> dict[str, bytes]:
    """GPT-2's printable character of each byte: itself where it is printable, else from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    table = {chr(b): bytes([b]) for b in printable}
    return table | {chr(0x100 + n): bytes([b]) for n, b in enumerate(others)}


_BYTES = _byte_alphabet()


def _parts(step: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """The steps of a description's entry, those of a sequence one by one."""
    if step is None:
        return []
    inner = step.get(name) if step.get("type") == "Sequence" else None
    return [step] if inner is None else [p for part in inner for p in _parts(part, name)]


def _is_byte_level(description: dict[str, Any]) -> bool:
    """Whether tokens are byte strings and the text reaches them unchanged."""
    before = _parts(description.get("pre_tokenizer"), "pretokenizers")
    decoders = _parts(description.get("decoder"), "decoders")
    levels = [part for part in before if part["type"] == "ByteLevel"]
    return (
        not _parts(description.get("normalizer"), "normalizers")
        and len(levels) == 1
        and not levels[0].get("add_prefix_space", False)
        and [part["type"] for part in decoders] == ["ByteLevel"]
    )


def find_files(folder: Path) -> tuple[Path, ...] | None:
    """The tokenizer files of a folder; None where it has none."""
    for names in FILES:
        paths = tuple(folder / name for name in names)
        if all(path.is_file() for path in paths):
            return paths
    return None


def open_tokenizer(
    path: Path, vocab_size: int | None = None, section: str = "data"
) -> HuggingFaceTokenizer:
    """Opens the tokenizer of a folder, or a `tokenizer.json` or `vocab.txt` by itself.

    Args:
      path: tokenizer_path of the config.
      vocab_size: of the config.
      section: of the config that has these fields, for messages.

    Raises:
      UserError: there is none, or its files are damaged.
    """
    files = find_files(path) if path.is_dir() else (path,)
    if files is None:
        names = ", or ".join(" and ".join(names) for names in FILES)
        raise UserError(f"{section}.tokenizer_path={path}: the folder has no tokenizer: {names}")
    try:
        folder = files[0].parent
        settings = read_settings(folder)
        tokenizer = HuggingFaceTokenizer(_describe(files, settings))
        special = read_special_tokens(folder, settings, tokenizer.vocabulary())
        if vocab_size is not None and vocab_size < tokenizer.vocab_size:
            raise UserError(
                f"{section}.vocab_size={vocab_size}: must be at least {tokenizer.vocab_size}, "
                f"the number of tokens of {files[0]}"
            )
        return HuggingFaceTokenizer(tokenizer.description(), vocab_size, special)
    except OSError as error:
        raise UserError(f"{files[0]}: cannot read the tokenizer ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{files[0]}: not a tokenizer file ({error})") from None


def _describe(files: tuple[Path, ...], settings: dict[str, Any]) -> dict[str, Any]:
    first = files[0]
    if len(files) == 2:
        require(settings, first.parent, tokenizer_class=_GPT2)
        tokenizer = _byte_level(json.loads(read_file(first)), read_lines(files[1]), settings)
        add_tokens(tokenizer, first.parent, settings)
        add_affixes(tokenizer, settings, "bos_token" if settings.get("add_bos_token") else None)
        return json.loads(tokenizer.to_str())
    if first.suffix == ".txt":
        require(settings, first.parent, tokenizer_class=_BERT, do_basic_tokenize=(True,))
        require(settings, first.parent, never_split=(None, []))
        tokenizer = _word_pieces(read_lines(first), settings)
        add_tokens(tokenizer, first.parent, settings)
        add_affixes(tokenizer, settings, "cls_token", "sep_token")
        return json.loads(tokenizer.to_str())
    description = json.loads(read_file(first))
    if not isinstance(description, dict) or not isinstance(description.get("model"), dict):
        raise ValueError("it has no model")
    _normalise_as(settings, description)
    return description


def _normalise_as(settings: dict[str, Any], description: dict[str, Any]) -> None:
    """Lets tokenizer_config.json decide about case and accents, as BERT's own class does."""
    if settings.get("tokenizer_class", _BERT[0]) not in _BERT:
        return
    fields = {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    }
    for part in _parts(description.get("normalizer"), "normalizers"):
        if part.get("type") == "BertNormalizer":
            part |= {ours: settings[name] for name, ours in fields.items() if name in settings}


def _byte_level(vocabulary: dict[str, int], lines: Iterable[str], settings: dict[str, Any]) -> Any:
    """GPT-2's tokenizer of its two files (Radford et al., 2019)."""
    from tokenizers import Tokenizer, models

    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    try:
        tokenizer = Tokenizer(models.BPE(vocabulary, merges))  # type: ignore[arg-type]
    except Exception as error:
        raise ValueError(f"vocab.json and merges.txt do not go together: {error}") from None
    _read_bytes(tokenizer, bool(settings.get("add_prefix_space")))
    return tokenizer


def train_byte_pairs(texts: Iterable[str], vocab_size: int) -> HuggingFaceTokenizer:
    """Learns byte-level BPE (Sennrich et al., 2016; over bytes: Radford et al., 2019).

    The 256 bytes are tokens, so that it loses nothing of any text; then, time after time, the pair
    of tokens that occurs most inside GPT-2's words becomes one. What occurs once is not joined, so
    a small text gives fewer tokens than `vocab_size`. The same texts give the same tokens.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    _read_bytes(tokenizer)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return HuggingFaceTokenizer(json.loads(tokenizer.to_str()))


def _read_bytes(tokenizer: Any, add_prefix_space: bool = False) -> None:
    """Has a tokenizer cut a text as GPT-2's does, and see it as bytes."""
    from tokenizers import decoders, pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()


def _word_pieces(tokens: list[str], settings: dict[str, Any]) -> Any:
    """BERT's tokenizer of its list of pieces (Devlin et al., 2019)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    unknown = content_of(settings.get("unk_token")) or "[UNK]"
    if unknown not in tokens:
        raise ValueError(f"it has no {unknown}")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(  # type: ignore[assignment]
        lowercase=settings.get("do_lower_case", True),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    tokenizer.decoder = decoders.WordPiece()  # type: ignore[assignment]
    return tokenizer
