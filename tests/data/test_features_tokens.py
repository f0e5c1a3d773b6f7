"""`tokens`: texts of examples as tokens, and the tokens that are added to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.features import (
    ImageConfig,
    LabelConfig,
    TextForm,
    TokenizerKind,
    TokensConfig,
)
from seqmodels.config.tasks import ClassificationConfig, TranslationConfig
from seqmodels.data.datasets import dataset
from seqmodels.data.features.label import Label
from seqmodels.data.features.saved import save_features
from seqmodels.data.features.tokens import CLASS_TOKEN, Tokens
from seqmodels.data.words import WordTokenizer
from seqmodels.types import TokenInput, VocabOutput
from tests.data.sets import experiment, mistake, shown, tables
from tests.opening import load

WORD, CHARACTER = TokenizerKind.WORD, TokenizerKind.CHARACTER
TEXTS = [(" ".join("abcd"[i % 4] for i in range(n % 7 + 1)), "xyz"[n % 3]) for n in range(40)]
PAIRS = [(f"{'ab' * n}c", "x" * (n % 5 + 1) + "y") for n in range(1, 24)]


def labelled(
    folder: Path, train: Any = TEXTS, held: Any = TEXTS[:5], size: int = 4, **tokens: Any
) -> Any:
    row = lambda pair: dict(zip(("text", "label"), pair, strict=True))
    paths = tables(folder, train=list(map(row, train)), validation=list(map(row, held)))
    inputs = TokensConfig(**{"tokenizer": WORD, **tokens})
    data = {**paths, "inputs": inputs, "targets": LabelConfig(), "max_shapes": 1}
    return experiment(ClassificationConfig(), size, **data)


def paired(
    folder: Path, train: Any = PAIRS[:17], held: Any = PAIRS[17:19], *, shared: bool = True
) -> Any:
    row = lambda pair: dict(zip(("source", "target"), pair, strict=True))
    paths = tables(folder, train=list(map(row, train)), validation=list(map(row, held)))
    kind = TokenizerKind.SHARED if shared else CHARACTER
    sides = {
        "source": TokensConfig(column="source", tokenizer=kind),
        "targets": TokensConfig(column="target"),
    }
    return experiment(TranslationConfig(), len(train), max_shapes=1, **sides, **paths)


def decoded(data: Any, split: str, role: str = "inputs") -> list[str]:
    one = data.splits[split]
    return [data.features[role].decode(tokens) for tokens in one.columns[role].texts(one.kept)]


def test_a_row_holds_a_text(tmp_path: Path) -> None:
    config = labelled(tmp_path, size=40)
    data = load(config)
    assert data.spec.inputs == TokenInput(6)
    batch = data.batches(config).batch(1)
    assert batch.inputs.shape == (40, 7) and batch.inputs.dtype == np.int32
    row = int(np.flatnonzero((batch.segment_ids > 0).sum(axis=1) == 3)[0])
    a, b, c = data.features["inputs"].tokenizer.encode("a b c")
    assert batch.inputs[row].tolist() == [a, b, c, 0, 0, 0, 0]
    assert batch.segment_ids[row].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert batch.loss_weights.tolist() == [1] * 40 and batch.targets.shape == (40,)
    assert sorted(shown(data, batch)) == sorted(f"{label}\n{text}" for text, label in TEXTS)


def test_a_row_may_begin_with_a_class_token(tmp_path: Path) -> None:
    config = labelled(tmp_path, size=40, class_token=True)
    data = load(config)
    batch = data.batches(config).batch(1)
    assert data.spec.inputs == TokenInput(7) and batch.inputs.shape == (40, 8)
    assert (batch.inputs[:, 0] == 6).all() and (batch.segment_ids[:, 0] == 1).all()
    expected = sorted(f"{label}\n[CLS] {text}" for text, label in TEXTS)
    assert sorted(shown(data, batch)) == expected
    assert data.fingerprint == load(labelled(tmp_path)).fingerprint, "the texts are the same"
    assert data.features["inputs"].read("b a").tolist() == [6, 3, 2]


def test_a_row_holds_a_pair(tmp_path: Path) -> None:
    config = paired(tmp_path)
    data = load(config)
    target, size = data.features["targets"], data.features["targets"].tokenizer.vocab_size
    assert size == 6  # a, b, c, x, y and <unk>
    assert data.spec.source == data.spec.inputs == TokenInput(size + 2)
    assert data.spec.outputs == VocabOutput(size + 2)
    batch = data.batches(config).batch(1)
    row = int(np.flatnonzero((batch.source_segment_ids > 0).sum(axis=1) == 3)[0])
    x, y = target.tokenizer.encode("xy")
    assert batch.inputs[row].tolist() == [size, x, x, y, 0, 0, 0]
    assert batch.targets[row].tolist() == [x, x, y, size + 1, 0, 0, 0]
    assert batch.segment_ids[row].tolist() == batch.loss_weights[row].tolist() == [1] * 4 + [0] * 3
    assert batch.target_segment_ids is None
    source = data.features["source"].tokenizer
    assert batch.source[row, :3].tolist() == source.encode("abc").tolist()
    assert target.decode(batch.targets[row]) == "xxy"


def test_a_vocabulary_per_side(tmp_path: Path) -> None:
    data = load(paired(tmp_path, shared=False))
    assert data.spec.source == TokenInput(4) and data.spec.inputs == TokenInput(5)
    shared = load(paired(tmp_path))
    assert data.fingerprint != shared.fingerprint and data.where != shared.where
    # What a run kept needs no entry of its own in the store.
    again = load(paired(tmp_path, shared=False), data.features)
    assert (again.fingerprint, again.where) == (data.fingerprint, data.where)


ENGLISH, GERMAN = ["a", "runs", "cat", "dog"], ["rennt", "Hund", "Katze", "ein", "eine"]
BOTH = ["a", "rennt", "runs", "Hund", "Katze", "cat", "dog", "ein", "eine"]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", [WORD, TokenizerKind.BPE])
def test_words_and_byte_pairs(tmp_path: Path, kind: TokenizerKind, shared: bool) -> None:
    """Of both sides of the training split together, or one per side."""
    pairs = [("a dog runs", "ein Hund rennt"), ("a cat runs", "eine Katze rennt")] * 12
    config = paired(tmp_path, pairs, [("an owl", "eine Eule")], shared=shared)
    size = None if kind is WORD else 262
    for side in (config.data.source, config.data.targets):
        if side.tokenizer is not TokenizerKind.SHARED:
            side.tokenizer, side.vocab_size = kind, size
    data = load(config)
    source, target = (data.features[role].tokenizer for role in ("source", "targets"))
    if kind is WORD:
        found = [tokenizer.to_json()["words"] for tokenizer in (source, target)]
        assert found == ([BOTH, BOTH] if shared else [ENGLISH, GERMAN])
        assert "2 of 2 words (100.000%) of the validation.source split" in data.notes[0]
        assert "1 of 2 words (50.000%) of the validation.target split" in data.notes[1]
        assert len(data.notes) == 2
    else:
        assert source.vocab_size == target.vocab_size == 262
        assert (source.to_json() == target.to_json()) is shared and not data.notes
    assert data.features["targets"].id_of("<eos>") == target.vocab_size + 1
    batch = data.batches(config).batch(1)
    assert set(shown(data, batch)) == {" -> ".join(pair) for pair in pairs}


def test_only_the_training_split_makes_the_vocabulary(tmp_path: Path) -> None:
    held_out = [("a new word", "x"), ("b", "y"), ("c", "z")]
    data = load(labelled(tmp_path, held=held_out))
    assert sorted(data.features["inputs"].tokenizer.to_json()["words"]) == list("abcd")
    assert "2 of 5 words" in data.notes[0] and "validation split" in data.notes[0]
    assert decoded(data, "validation") == ["a <unk> <unk>", "b", "c"]


@pytest.mark.parametrize(
    ("kind", "size", "vocab_size"),
    [(TokenizerKind.BYTE, 256, None), (CHARACTER, 6, None), (TokenizerKind.BPE, 258, 258)],
)
def test_bytes_characters_and_byte_pairs(
    tmp_path: Path, kind: TokenizerKind, size: int, vocab_size: int | None
) -> None:
    data = load(labelled(tmp_path, tokenizer=kind, vocab_size=vocab_size))
    assert data.description()["vocab_size"] == data.spec.inputs.vocab_size == size
    if kind is not TokenizerKind.BPE:
        sizes = data.description()["splits"]["validation"]
        assert sizes == {"examples": 5, "tokens": 1 + 3 + 5 + 7 + 9}
    assert decoded(data, "train") == [text for text, _ in TEXTS]


def test_the_tokenizer_of_a_run(tmp_path: Path) -> None:
    """Over text or over examples; what it lacks is <unk>."""
    runs = [tmp_path / "text", tmp_path / "classes"]
    for run in runs:
        run.mkdir()
    words = WordTokenizer(["c", "other", "a"])
    words.save(runs[0] / "tokenizer.json")
    kept = {"inputs": Tokens(TokensConfig(), words), "targets": Label(LabelConfig(), ("no", "yes"))}
    save_features(kept, runs[1] / "features.json")
    for run in runs:
        fields: dict[str, Any] = {"tokenizer": TokenizerKind.RUN, "tokenizer_path": str(run)}
        data = load(labelled(tmp_path, class_token=True, **fields))
        assert data.features["inputs"].tokenizer.to_json() == words.to_json()
        assert data.features["targets"].names() == ("x", "y", "z")
        assert data.spec.inputs == TokenInput(6)
        one = data.splits["train"].columns["inputs"]
        assert one.texts(np.array([3]))[0].tolist() == [4, 0, 2, 0]  # a b c d
        assert "train split are not in the vocabulary of the tokenizer of the run" in data.notes[0]
    (runs[1] / "features.json").write_text('{"inputs": {"tokenizer": {"kind": "pair"}}}')
    line = mistake(lambda: load(labelled(tmp_path, **fields)))
    assert line == f"{runs[1]}/features.json: the tokenizer of its inputs is damaged"


def test_messages_name_the_whole_field(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    kind = TokenizerKind.RUN
    line = mistake(lambda: load(labelled(tmp_path, tokenizer=kind, tokenizer_path=gone)))
    assert line == (
        f"data.inputs.tokenizer_path={gone}: is not the work directory of a run over text"
    )
    kind = TokenizerKind.HUGGINGFACE
    line = mistake(lambda: load(labelled(tmp_path, tokenizer=kind, tokenizer_path=str(tmp_path))))
    assert line.startswith(f"data.inputs.tokenizer_path={tmp_path}: the folder has no tokenizer: ")
    data = load(labelled(tmp_path, tokenizer=TokenizerKind.BPE, vocab_size=5000))
    assert data.notes[0].startswith("data.inputs.vocab_size=5000: the training split gives only ")
    for shared, section in ((True, "targets"), (False, "source")):
        config = paired(tmp_path, held=[("abd", "y")], shared=shared)
        for side in (config.data.source, config.data.targets):
            side.unknown_symbols = side.tokenizer is TokenizerKind.SHARED
        split = "validation.source split, against the training split, has a symbol outside"
        line = mistake(lambda config=config: load(config))
        assert line.startswith(f"data.{section}.unknown_symbols=false: the {split}")


def test_long_texts_are_left_out_refused_or_cut(tmp_path: Path) -> None:
    held_out = [("a b", "x"), ("a b c d", "y"), ("a", "z")]
    for _ in range(2):  # the second time the token store spares reading the files
        line = mistake(lambda: load(labelled(tmp_path, held=held_out, max_length=3)))
        assert line == (
            f"data.inputs.max_length=3: {tmp_path}/validation.jsonl, line 2 has 4 "
            "tokens; the longest of the validation split has 4; data.inputs."
            "cut_long=true keeps the first ones"
        )
    config = labelled(tmp_path, held=held_out, max_length=3, cut_long=True, class_token=True)
    data = load(config)
    assert data.splits["validation"].lengths("inputs").tolist() == [3, 3, 2]
    assert decoded(data, "validation") == ["a b", "a b", "a"]
    assert data.notes == [
        "28 of 40 texts of the train split are cut to data.inputs.max_length=3 tokens",
        "1 of 3 texts of the validation split are cut to data.inputs.max_length=3 tokens",
    ]
    data = load(labelled(tmp_path, held=[("a", "x"), ("b", "y"), ("c", "z")], max_length=3))
    assert len(data.splits["train"].kept) == 18
    assert data.notes == [
        "22 of 40 examples of the train split are longer than data.inputs.max_length=3 and left out"
    ]
    assert decoded(data, "train") == [text for text, _ in TEXTS if len(text.split()) <= 3]
    assert mistake(lambda: load(labelled(tmp_path, max_length=1, class_token=True))) == (
        "data.inputs.max_length=1: leaves no room for a text"
    )


def test_long_pairs_are_left_out_or_refused(tmp_path: Path) -> None:
    config = paired(tmp_path, PAIRS[::-1], PAIRS[:3])
    config.data.source.max_length = 30
    data = load(config)
    assert data.splits["train"].kept.tolist() == list(range(9, 23))
    assert data.notes == [
        "9 of 23 examples of the train split are longer than data.source.max_length=30 or "
        "data.targets.max_length=128 and left out"
    ]
    config.data.batch_size = 14
    found = shown(data, data.batches(config).batch(1))
    assert sorted(found) == sorted(" -> ".join(pair) for pair in PAIRS[:14])
    config = paired(tmp_path, held=PAIRS[17:])
    config.data.source.max_length, config.data.targets.max_length = 46, 6
    assert mistake(lambda: load(config)) == (  # <eos> counts
        f"data.targets.max_length=6: {tmp_path}/validation.jsonl, line 2 has 7 "
        "tokens; the longest of the validation split has 7; data.targets."
        "cut_long=true keeps the first ones"
    )
    config.data.source.max_length = 40
    line = mistake(lambda: load(config))
    assert line.startswith(f"data.targets.max_length=6: {tmp_path}/validation")
    config.data.targets.max_length = 7
    line = mistake(lambda: load(config))
    assert line.startswith(f"data.source.max_length=40: {tmp_path}/validation.jsonl")
    assert ", line 3 has 41 tokens; the longest of the validation split has 47; " in line


def test_a_text_is_tokenised_in_its_form(tmp_path: Path) -> None:
    """By another rule of words it is another entry of the store, else the old one would be used."""
    written, lower = (
        labelled(tmp_path, [("A man's Hat.", "x"), ("a hat", "y")], [("a", "x")], form=form)
        for form in (TextForm.WRITTEN, TextForm.LOWER_WORDS)
    )
    before = load(written), load(lower)
    assert decoded(before[0], "train") == ["A man's Hat.", "a hat"]
    assert decoded(before[1], "train") == ["a man 's hat .", "a hat"]
    assert before[1].features["inputs"].read("THE Hat.").tolist() == [0, 3, 5]
    assert len({data.where for data in before}) == len({data.fingerprint for data in before}) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "_word_or_symbol", lambda: re.compile(r"\S+"))
        after = load(written), load(lower)
    assert [a.where == b.where for a, b in zip(before, after, strict=True)] == [True, False]
    assert decoded(after[1], "train") == ["a man's hat.", "a hat"]


def test_what_is_not_a_text_is_named(tmp_path: Path) -> None:
    """Numbers of a table are texts, as they are in a file of CSV."""
    data = load(labelled(tmp_path, [(7, "x"), (-0.5, "y"), ("z", "z")], [("z", "x")]))
    assert decoded(data, "train") == ["7", "-0.5", "z"]
    line = mistake(lambda: load(labelled(tmp_path, [("a", "x"), (["a"], "y")])))
    assert line == f"{tmp_path}/train.jsonl, line 2: 'text' is not a text"
    images: dict[str, Any] = {"name": "shapes:8", "inputs": TokensConfig(column="image")}
    config = experiment(ClassificationConfig(), targets=LabelConfig(), **images)
    line = mistake(lambda: load(config))
    assert line == "data.inputs.column=image: this column holds images"
    config = labelled(tmp_path)
    config.data.inputs = ImageConfig(column="text")
    line = mistake(lambda: load(config))
    assert line.startswith(f"{tmp_path}/train.jsonl, line 1: column 'text' names {tmp_path}/")
    assert line.endswith("/a, which is not a file")


def test_a_line_of_the_user_s() -> None:
    words, config = WordTokenizer(["a", "b"]), TokensConfig(max_length=3)
    tokens = Tokens(config, words, (CLASS_TOKEN,), starts=True)
    assert tokens.read("b c").tolist() == [4, 3, 0]
    assert tokens.facts(tokens.read("b c")) == {"num_unknown": 1}
    assert tokens.facts(tokens.read("b")) == {}
    line = mistake(lambda: tokens.read("a b a"))
    assert line == "has 4 tokens; the run's max_length is 3"
    cut = Tokens(TokensConfig(max_length=3, cut_long=True), words, (CLASS_TOKEN,), starts=True)
    assert cut.read("a b a").tolist() == [4, 2, 3]
    with pytest.raises(UserError, match="is empty; at least one token is needed"):
        tokens.read(" ")
    part = tokens.batch([tokens.read("b a"), tokens.read("b")], 3)
    # A row without a text has a token, so that nothing in a model has none.
    assert part.values.tolist() == [[4, 3, 2], [4, 3, 0], [0, 0, 0]]
    assert part.segment_ids is not None
    assert part.segment_ids.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    assert part.mask.tolist() == [1, 1, 0]
    assert tokens.show(part.values[0], part.segment_ids[0]) == "[CLS] b a"
