"""What is refused of images and pairs before anything is loaded."""

from __future__ import annotations

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.files import load_config
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.validate import validate

IMAGES, PAIRS, ORDER = "demo_images", "demo_translation", "order_lstm"
FIXED = "multi30k_lstm"
FILES = "data.name=parallel_text data.source_path=a data.target_path=b"
TABLE = "data.name=pairs_file data.path=a.csv"
REFUSED = [
    (IMAGES, "data.name=python_docs", "is of kind text, not images"),
    (IMAGES, "data.name=shape", "did you mean 'shapes'?"),
    (IMAGES, "data.name=tfds_images", "must name a data set: tfds_images:NAME"),
    (IMAGES, "data.image_size=7", "must be 8 or more with data.name=shapes"),
    (IMAGES, "evaluation.context=carry", "is only for data of kind text, not images; use window"),
    (IMAGES, "training.best_metric=perplexity", "task.kind=classification has none"),
    (IMAGES, "task.label_smoothing=1", "at least 0 and below 1"),
    (ORDER, "data.fold=1", "is only for data.name=rotten_tomatoes, not order_sentences"),
    (PAIRS, "data.max_shapes=9", "must be at most 8"),
    (PAIRS, "data.tokenizer=huggingface", "must be one of character, byte, word, bpe"),
    (PAIRS, "training.steps_per_call=2", "must be 1 with data.max_shapes=2"),
    (PAIRS, "data.max_source_length=129", "must be at most model.max_length, 128"),
    (PAIRS, "data.max_target_length=129", "must be at most model.max_length, 128"),
    (PAIRS, "training.best_metric=bits_per_byte", "task.kind=translation has none"),
    (PAIRS, "data.source_path=a", "is only for data.name=parallel_text, not dates"),
    (PAIRS, "data.name=parallel_text", "data.name=parallel_text needs a file here"),
    (PAIRS, "data.name=parallel_text data.source_path=a", "data.target_path=none: must be a file"),
    (PAIRS, f"{FILES} data.train_source_path=c", "and data.source_path: give one of the two"),
    (PAIRS, f"{FILES} data.validation_fraction=0", "must be above 0 with data.source_path"),
    (PAIRS, f"{FILES} data.test_fraction=0.95", "leaves nothing to train on"),
    (
        PAIRS,
        "data.name=parallel_text data.train_source_path=a data.train_target_path=b",
        "data.validation_source_path=none: must be a file",
    ),
    (
        PAIRS,
        f"{FILES} data.path=a.csv",
        "is only for data.name=pairs_file or multi30k, not parallel_text",
    ),
    (PAIRS, "evaluation.coverage_penalty=0.5", "must be 0: this transformer gives no weights of"),
    (FIXED, "evaluation.coverage_penalty=0.5", "must be 0: this seq2seq gives no weights of"),
    (PAIRS, f"{FILES} data.target_language=de", "must be another one than data.source_language"),
    (PAIRS, "data.name=tfds_pairs", "must name a data set: tfds_pairs:NAME"),
    (PAIRS, "data.name=pairs_file", "data.name=pairs_file needs a .csv or .tsv file here"),
    (PAIRS, "data.name=pairs_file data.train_path=a.csv", "must be a file beside data.train_path"),
    (PAIRS, f"{TABLE} data.test_path=b.csv", "and data.path: give one of the two"),
    (PAIRS, f"{TABLE} data.source_path=a", "is only for data.name=parallel_text, not pairs_file"),
    (PAIRS, f"{TABLE} data.source_column=target", "must be another one than data.source_column"),
    (PAIRS, f"{TABLE} data.validation_fraction=0", "must be above 0 with data.path"),
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
    config = load_config(IMAGES)
    config.model = RecurrentConfig()
    with pytest.raises(
        UserError, match="model.kind=recurrent needs data of kind text or labelled, not images"
    ):
        validate(config)
    config = load_config(IMAGES)
    config.model = load_config(PAIRS).model
    with pytest.raises(UserError, match="model.kind=transformer needs data of kind pairs"):
        validate(config)
    config = load_config(IMAGES)
    config.task = LanguageModelConfig()
    with pytest.raises(UserError, match="task.kind=language_model needs data of kind text"):
        validate(config)


def test_what_aligns_may_be_ranked_by_coverage() -> None:
    for name in ("multi30k_bahdanau", "multi30k_luong"):
        config = load_config(name)
        config.evaluation.coverage_penalty = 0.5
        validate(config)


def test_whole_files_and_files_by_split_are_accepted() -> None:
    by_split = "data.name=parallel_text " + " ".join(
        f"data.{split}_{side}_path=a"
        for split in ("train", "validation", "test")
        for side in ("source", "target")
    )
    for overrides in (FILES, by_split):
        config = load_config(PAIRS)
        words = [tuple(word.split("=", 1)) for word in overrides.split()]
        apply_overrides(config, words, [])  # type: ignore[arg-type]
        validate(config)
