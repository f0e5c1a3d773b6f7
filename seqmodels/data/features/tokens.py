"""`tokens`: texts as tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.features import TokenizerKind, TokenizerSettings, TokensConfig
from seqmodels.data.datasets.dataset import describe_form, normalise_text
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.data.ragged import power_of_two, ranges, segments_of
from seqmodels.data.token_store import TextSource, TokenSplit, TokenStore, open_tokens
from seqmodels.data.tokenizers import tokenizer_from_json
from seqmodels.protocols import Part
from seqmodels.types import TokenInput, Tokenizer

CLASS_TOKEN, BOS, EOS = "[CLS]", "<bos>", "<eos>"


class Tokens(FeatureBase):
    """A tokenizer, and tokens of our own after its vocabulary of V.

    A text is what the tokenizer puts before it, or [CLS] where there is one, its tokens, and <eos>
    where there is one, else what the tokenizer puts after it, such as [SEP]. Inputs of a masked
    language model keep their mask at V too, so that the tables of both are of one size.

    Args:
      config: form and lengths.
      tokenizer: of the texts.
      reserved: names of the tokens V, V + 1, ..
      starts: whether a row has what the tokenizer puts before and after a text, or else begins
        with [CLS].
      ends: whether a text ends with <eos>.
    """

    kind: ClassVar[str] = "tokens"

    def __init__(
        self,
        config: TokensConfig,
        tokenizer: Tokenizer,
        reserved: tuple[str, ...] = (),
        *,
        starts: bool = False,
        ends: bool = False,
    ) -> None:
        self.config, self.reserved = config, reserved
        self.tokenizer: Tokenizer = tokenizer
        self.starts, self.ends = starts, ends

    @property
    def input(self) -> TokenInput:
        """V tokens and our own."""
        return TokenInput(self.tokenizer.vocab_size + len(self.reserved))

    def id_of(self, name: str) -> int:
        """The number of a token of our own."""
        return self.tokenizer.vocab_size + self.reserved.index(name)

    @property
    def start(self) -> np.ndarray:
        """The tokens that begin a row, int32."""
        own = self.tokenizer.start if self.starts else np.zeros(0, np.int32)
        if CLASS_TOKEN not in self.reserved or not self.starts or len(own):
            return own
        return np.array([self.id_of(CLASS_TOKEN)], np.int32)

    @property
    def end(self) -> np.ndarray:
        """The tokens that end a row, int32."""
        if self.ends:
            return np.array([self.id_of(EOS)], np.int32)
        return self.tokenizer.end if self.starts else np.zeros(0, np.int32)

    @property
    def num_added(self) -> int:
        """Tokens that a row has beside those of its text."""
        return len(self.start) + len(self.end)

    @classmethod
    def open_all(
        cls,
        configs: Mapping[str, TokensConfig],
        sources: Mapping[str, ColumnSource],
        saved: Mapping[str, Any],
        affixes: Mapping[str, tuple[str, ...]],
    ) -> dict[str, Opened]:
        """Opens the texts of all roles; those of a source with a shared vocabulary in one go."""
        groups = [[role] for role, c in configs.items() if c.tokenizer is not TokenizerKind.SHARED]
        for role, config in configs.items():
            if config.tokenizer is TokenizerKind.SHARED:
                next(group for group in groups if group == ["targets"]).insert(0, role)
        opened = {}
        for group in groups:
            config = configs[group[-1]]
            section = f"data.{group[-1]}"
            given = saved[group[-1]].tokenizer if saved else read_tokenizer(config, section)
            named = len(configs) > 1
            source = _text_source({r: sources[r] for r in group}, configs, named, section)
            store = open_tokens(source, config, given, sources[group[0]].cache)
            ours = affixes.get(group[-1], ()) or ((CLASS_TOKEN,) if config.class_token else ())
            for role in group:
                feature = cls(
                    configs[role],
                    store.tokenizer,
                    ours,
                    starts=role == "inputs",
                    ends=EOS in affixes.get(role, ()),
                )
                opened[role] = feature._opened(store, role if named else None, role == group[0])
        return {role: opened[role] for role in configs}

    def _opened(self, store: TokenStore, role: str | None, is_first: bool) -> Opened:
        suffix = "" if role is None else f".{_singular(role)}"
        columns = {
            name.removesuffix(suffix): EncodedTokens(split, self)
            for name, split in store.splits.items()
            if name.endswith(suffix)
        }
        digest = store.fingerprint if is_first else ""
        notes = store.notes if is_first else []
        return Opened(self, columns, digest, notes=notes, where=str(store.where))

    def encode(self, text: str) -> np.ndarray:
        """Tokens of a text, in the form of the data, without those that are added.

        Raises:
          UserError: it is empty, or has symbols that the tokenizer lacks.
        """
        tokens = self.tokenizer.encode(normalise_text(text, self.config.form), unknown=True)
        if not len(tokens):
            raise UserError("is empty; at least one token is needed")
        return tokens

    def read(self, given: str) -> np.ndarray:
        """Tokens of a line, with those that are added.

        Raises:
          UserError: it is empty, has unknown symbols, or is longer than max_length and not cut.
        """
        tokens, most = self.encode(given), self.config.max_length - self.num_added
        if len(tokens) > most and not self.config.cut_long:
            raise UserError(
                f"has {len(tokens) + self.num_added} tokens; the run's max_length is "
                f"{self.config.max_length}"
            )
        return self._complete(tokens[:most])

    def _complete(self, tokens: np.ndarray) -> np.ndarray:
        return np.concatenate([self.start, tokens, self.end]).astype(np.int32)

    def batch(self, encoded: Sequence[np.ndarray], rows: int, limit: int | None = None) -> Part:
        """Rows of tokens, padded to a power of two of at most `limit` (none = max_length).

        A row without a text has one token, like any other text.
        """
        limit = self.config.max_length if limit is None else limit
        width = power_of_two(max(map(len, encoded)), limit)
        tokens, segments = (np.zeros((rows, width), np.int32) for _ in range(2))
        segments[:, 0] = 1
        for row, text in enumerate(encoded):
            tokens[row, : len(text)], segments[row, : len(text)] = text, 1
        mask = (np.arange(rows) < len(encoded)).astype(np.float32)
        return Part(tokens, segments, mask)

    def check(self, column: Any, split: str, field: str, locate: Callable[[int], str]) -> list[str]:
        """Refuses texts without a token, and a max_length without room; reports what is cut."""
        bound, lengths = self.config.max_length, column.lengths
        if self.num_added >= bound:
            raise UserError(f"{field}.max_length={bound}: leaves no room for a text")
        if len(lengths) and not lengths.min():
            raise UserError(f"{locate(int(np.argmin(lengths)))}: its text has no token")
        if not column.num_cut:
            return []
        cut = f"{column.num_cut} of {len(lengths)} texts of the {split} split are cut to"
        return [f"{cut} {field}.max_length={bound} tokens"]

    def facts(self, encoded: np.ndarray) -> dict[str, int]:
        """{"num_unknown": n}, or nothing where n is 0."""
        unknown = self.tokenizer.unknown_id
        count = 0 if unknown is None else int((encoded == unknown).sum())
        return {"num_unknown": count} if count else {}

    def decode(self, ids: Any) -> str:
        """The text of tokens [N] up to <eos>; [CLS] is written, <bos> is not."""
        ids, size = np.asarray(ids), self.tokenizer.vocab_size
        if EOS in self.reserved:
            ends = np.flatnonzero(ids == self.id_of(EOS))
            ids = ids[: ends[0]] if len(ends) else ids
        text = self.tokenizer.decode(ids[ids < size])
        has_class = CLASS_TOKEN in self.reserved and self.id_of(CLASS_TOKEN) in ids
        return f"{CLASS_TOKEN} {text}" if has_class else text

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """A row as text."""
        return self.decode(values if segment_ids is None else values[segment_ids > 0])

    def labels(self, values: np.ndarray) -> list[str]:
        """The text of each token by itself."""
        size = self.tokenizer.vocab_size
        return [
            self.tokenizer.decode([token]) if token < size else self.reserved[token - size]
            for token in values.tolist()
        ]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        tokenizer = self.tokenizer.to_json()
        return {
            "kind": self.kind,
            "tokenizer": tokenizer,
            "reserved": list(self.reserved),
            "starts": self.starts,
            "ends": self.ends,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], config: TokensConfig) -> Tokens:
        """Rebuilds the object that `to_json` wrote; raises KeyError or ValueError otherwise."""
        tokenizer = tokenizer_from_json(values["tokenizer"])
        reserved, starts, ends = (values[name] for name in ("reserved", "starts", "ends"))
        return cls(
            config, tokenizer, tuple(map(str, reserved)), starts=bool(starts), ends=bool(ends)
        )

    def summary(self) -> str:
        """Kind of the tokenizer and number of symbols."""
        return f"{self.tokenizer.kind} tokenizer, {self.input.vocab_size} symbols"

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        return {"tokenizer": self.tokenizer.kind, "vocab_size": self.input.vocab_size}


class EncodedTokens:
    """The texts of one split; see `feature.EncodedColumn`.

    Attributes:
      split: their tokens.
      num_steps: tokens of each text, without those that are added.
      text_lengths: the same, of texts that are cut the tokens that are used.
      num_cut: texts that are cut.
    """

    unit = "token"

    def __init__(self, split: TokenSplit, feature: Tokens) -> None:
        self.split, self._feature = split, feature
        self.text_lengths = np.diff(split.offsets)
        self.num_steps: np.ndarray | None = self.text_lengths
        self.num_cut = 0
        if feature.config.cut_long:
            room = feature.config.max_length - feature.num_added
            self.num_cut = int((self.text_lengths > room).sum())
            self.text_lengths = np.minimum(self.text_lengths, room)
        self.lengths: np.ndarray | None = self.text_lengths + feature.num_added

    def __len__(self) -> int:
        return self.split.num_documents

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """Rows of tokens, padded to `width`."""
        assert width is not None
        assert self.lengths is not None
        feature, start = self._feature, self._feature.start
        real = np.flatnonzero(chosen >= 0)
        at, before = chosen[real], len(start)
        rows = np.zeros((len(chosen), width), np.int32)
        place = ranges(real * width + before, self.text_lengths[at])
        rows.reshape(-1)[place] = self.split.tokens[
            ranges(self.split.offsets[at], self.text_lengths[at])
        ]
        rows[real, :before] = start
        for place, token in enumerate(feature.end.tolist(), before):
            rows[real, place + self.text_lengths[at]] = token
        segments = segments_of(self.lengths, chosen, width)
        return Part(rows, segments, (chosen >= 0).astype(np.float32))

    def texts(self, kept: np.ndarray) -> list[np.ndarray]:
        """Tokens of the texts `kept`, without those that are added."""
        tokens, offsets = self.split.tokens, self.split.offsets
        return [tokens[offsets[i] : offsets[i] + self.text_lengths[i]] for i in kept]

    def joined(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All tokens of the texts `kept`, joined, and the number of the text of each."""
        lengths = self.text_lengths[kept]
        at = ranges(self.split.offsets[kept], lengths)
        return self.split.tokens[at], np.repeat(np.arange(len(kept)), lengths)

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """Nothing: the store has hashed all tokens."""
        del kept
        return []

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """Tokens, those that are added included only where they are targets."""
        lengths = self.text_lengths[kept] + self._feature.ends
        return {"tokens": int(lengths.sum())}


def _singular(role: str) -> str:
    """The store's name for the texts of a role: source, target, input."""
    return role.removesuffix("s")


def _text_source(
    sources: Mapping[str, ColumnSource],
    configs: Mapping[str, TokensConfig],
    named: bool,
    section: str,
) -> TextSource:
    """The texts of some roles as the token store takes them, each a document of its own."""
    forms = {role: configs[role].form for role in sources}

    def fingerprint() -> str:
        parts = [s.fingerprint() + describe_form(forms[role]) for role, s in sources.items()]
        return hashlib.sha256(repr((parts, list(sources), named)).encode()).hexdigest()

    def documents() -> dict[str, list[str]]:
        columns = {role: source.splits() for role, source in sources.items()}
        return {
            f"{split}.{_singular(role)}" if named else split: [
                normalise_text(text, forms[role])
                for text in _texts(columns[role][split], split, sources[role])
            ]
            for split in next(iter(columns.values()))
            for role in sources
        }

    first = next(iter(sources.values()))
    return TextSource(fingerprint, documents, first.dataset.description, section)


def _texts(column: Any, split: str, source: ColumnSource) -> list[str]:
    """The texts of a column; numbers, which a table may have, become their text."""
    for row, value in enumerate(column):
        if not isinstance(value, str | int | float):
            where = source.dataset.locate(split, row)
            raise UserError(f"{where}: {source.column!r} is not a text")
    return list(map(str, column))


def read_tokenizer(settings: TokenizerSettings, section: str = "data") -> Tokenizer | None:
    """The tokenizer that a section of the config names; None where the training split makes it.

    Raises:
      UserError: there is none at tokenizer_path.
    """
    match settings.tokenizer, settings.tokenizer_path:
        case TokenizerKind.HUGGINGFACE, str(path):
            from seqmodels.data.huggingface import open_tokenizer

            return open_tokenizer(Path(path).expanduser(), settings.vocab_size, section)
        case TokenizerKind.RUN, str(path):
            from seqmodels.data.features.saved import read_any_tokenizer

            return read_any_tokenizer(Path(path).expanduser(), f"{section}.tokenizer_path={path}")
    return None
