"""Whole examples (images, texts, pairs): what is refused before anything is loaded."""

from __future__ import annotations

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.files import load_config
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig, TaggingConfig
from seqmodels.config.transformers import ViTConfig
from seqmodels.config.validate import validate

IMAGES, PAIRS, ORDER = "demo_images", "demo_translation", "order_lstm"
FIXED = "multi30k_lstm"
FILES = "data.name=parallel_text data.path=a.{column}"
TABLE = "data.name=table data.path=a.csv"
REFUSED = [
    (IMAGES, "data.name=python_docs", "column=image: is not a column of python_docs, which has te"),
    (IMAGES, "data.name=shape", "did you mean 'shapes'?"),
    (IMAGES, "data.name=tfds", "must name a data set: tfds:NAME"),
    (IMAGES, "data.name=shapes:7", "must be shapes or shapes:SIZE, with a SIZE of 8 or more"),
    (IMAGES, "data.name=shapes:x", "must be shapes or shapes:SIZE, with a SIZE of 8 or more"),
    (IMAGES, "data.name=shapes:", "must be shapes or shapes:SIZE, with a SIZE of 8 or more"),
    (IMAGES, "data.inputs.size=0", "must be 1 or more, or none"),
    (IMAGES, "data.inputs.channels=2", "must be 1 or 3, or none"),
    (IMAGES, "data.inputs.column=picture", "is not a column of shapes, which has image and label"),
    (IMAGES, "data.inputs.column=", "must be the name of a column"),
    (IMAGES, "evaluation.context=carry", "is only for a stream of text, not for whole examples"),
    (IMAGES, "training.best_metric=perplexity", "is not a metric of task.kind=classification"),
    (IMAGES, "task.label_smoothing=1", "at least 0 and below 1"),
    (ORDER, "data.fold=1", "is only for data.name=rotten_tomatoes or splice, not order_sentences"),
    (
        ORDER,
        "data.inputs.tokenizer=byte data.inputs.min_count=2",
        "is only for tokenizer=word, not byte",
    ),
    (ORDER, "data.name=rotten_tomatoes data.fold=10", "must be from 0 to 9"),
    (PAIRS, "data.max_shapes=9", "must be at most 8"),
    (PAIRS, "data.source.tokenizer=huggingface", "tokenizer=huggingface needs a folder or a file"),
    (PAIRS, "data.source.tokenizer=bpe", "must be the number of tokens for bpe to learn"),
    (PAIRS, "data.targets.tokenizer=shared", "shared is only for a source next to targets of tok"),
    (PAIRS, "training.steps_per_call=2", "must be 1 with data.max_shapes=2"),
    (PAIRS, "data.source.max_length=129", "must be at most model.max_length, 128"),
    (PAIRS, "data.targets.max_length=129", "must be at most model.max_length, 128"),
    (PAIRS, "training.best_metric=bits_per_byte", "is not a metric of task.kind=translation"),
    (PAIRS, "data.name=dates:3", "must be dates, without a colon"),
    (PAIRS, "data.path=a", "or stocks or series_file, not dates"),
    (PAIRS, "data.name=parallel_text", "data.name=parallel_text needs your files here"),
    (PAIRS, f"{FILES} data.train_path=c", "and data.path: give one of the two"),
    (PAIRS, f"{FILES} data.validation_fraction=0", "must be above 0 with data.path"),
    (PAIRS, f"{FILES} data.test_fraction=0.95", "leaves nothing to train on"),
    (
        PAIRS,
        f"{FILES} data.fold=1",
        "is only for data.name=rotten_tomatoes or splice, not parallel_text",
    ),
    (
        PAIRS,
        "data.name=parallel_text data.train_path=a",
        "data.validation_path=none: must be a path, or data.test_path, next to data.train_path",
    ),
    (PAIRS, "evaluation.coverage_penalty=0.5", "must be 0: this transformer gives no weights of"),
    (FIXED, "evaluation.coverage_penalty=0.5", "must be 0: this seq2seq gives no weights of"),
    (PAIRS, "data.targets.column=x", "is not a column of dates, which has source and target"),
    (PAIRS, "data.name=table", "data.name=table needs your files here"),
    (PAIRS, "data.name=table data.train_path=a.csv", "next to data.train_path"),
    (PAIRS, f"{TABLE} data.test_path=b.csv", "and data.path: give one of the two"),
    (PAIRS, f"{TABLE} data.targets.column=source", "another column than data.source.column"),
    (PAIRS, f"{TABLE} data.validation_fraction=0", "must be above 0 with data.path"),
    (
        PAIRS,
        "data.name=table data.train_path=a.csv data.test_path=b.csv data.validation_fraction=0",
        "must be above 0 with data.train_path",
    ),
]


@pytest.mark.parametrize(("reference", "overrides", "expected"), REFUSED)
def test_refused(reference: str, overrides: str, expected: str) -> None:
    config = load_config(reference)
    words = [tuple(word.split("=", 1)) for word in overrides.split()]
    apply_overrides(config, words, [])  # type: ignore[arg-type]
    with pytest.raises(UserError) as raised:
        validate(config)
    assert expected in str(raised.value) and "\n" not in str(raised.value)


def test_model_task_and_data_go_together() -> None:
    tagged = load_config(ORDER)
    tagged.task = TaggingConfig()
    for config, section, other, line in [
        (load_config(IMAGES), "model", RecurrentConfig(), "recurrent reads tokens or values, not"),
        (load_config(IMAGES), "model", load_config(PAIRS).model, "transformer reads a source"),
        (load_config(ORDER), "model", ViTConfig(), "model.kind=vit reads image, not tokens"),
        (load_config(IMAGES), "task", LanguageModelConfig(), "inputs of text; the data have input"),
        (tagged, "task", TaggingConfig(), "needs inputs of tokens or values and targets of tags"),
    ]:
        setattr(config, section, other)
        with pytest.raises(UserError) as raised:
            validate(config)
        assert line in str(raised.value) and str(raised.value).startswith("config: ")


def test_what_aligns_may_be_ranked_by_coverage() -> None:
    for name in ("multi30k_bahdanau", "multi30k_luong"):
        config = load_config(name)
        config.evaluation.coverage_penalty = 0.5
        validate(config)


def test_whole_files_and_files_by_split_are_accepted() -> None:
    by_split = " ".join(f"data.{split}_path=a" for split in ("train", "validation", "test"))
    without_validation = "data.train_path=a data.test_path=b"
    for overrides in ("data.path=a", by_split, without_validation):
        for name in ("parallel_text", "table"):
            config = load_config(PAIRS)
            words = [tuple(w.split("=", 1)) for w in (f"data.name={name} " + overrides).split()]
            apply_overrides(config, words, [])  # type: ignore[arg-type]
            validate(config)
