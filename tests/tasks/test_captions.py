"""Captions of the user's own images: a table of files, translated, scored and drawn."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
from PIL import Image

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.decoding import make_beam
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import ImageConfig, TokenizerKind, TokensConfig
from seqmodels.config.recurrent import Context, Seq2SeqConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.evaluation.evaluate import make_trial
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks.build import build_task
from seqmodels.tasks.captions import draw_captions
from seqmodels.tasks.text_metrics import score_word_classes
from seqmodels.tasks.translation import Translator, translate_split
from tests.data.sets import mistake, write_table
from tests.opening import load

CAPTIONS = ["a red one", "a blue one", "a red one", "two blue ones", "a red one and a blue one"]
COLORS = np.array([[0, 0, 0], [0, 0, 120], [120, 0, 0], [120, 120, 0], [0, 120, 120]], np.uint8)
MODEL = Seq2SeqConfig(cell="gru", model_dim=6, hidden_dim=8, context=Context.FIXED)


def experiment(folder: Path, path: str, **fields: Any) -> ExperimentConfig:
    """Images of 8 x 8 that a table names; every split is the whole table."""
    paths = {f"{split}_path": path for split in ("train", "validation", "test")}
    words = TokensConfig(
        tokenizer=TokenizerKind.WORD, **{"column": "says", "max_length": 12, **fields}
    )
    data = ExamplesDataConfig(
        name="table", source=ImageConfig(column="file"), targets=words, max_shapes=1, **paths
    )
    data.cache_dir = str(folder / "cache")
    config = ExperimentConfig(dataclasses.replace(MODEL), data, TranslationConfig())
    config.evaluation.batch_size, config.evaluation.beam_size = 2, 1
    return config


def write_images(folder: Path) -> list[dict[str, str]]:
    """A file and its caption per row, the files in a folder next to the table."""
    draw, rows = np.random.default_rng(0), []
    (folder / "pictures").mkdir()
    for number, caption in enumerate(CAPTIONS):
        pixels = draw.integers(0, 128, (8, 8, 3)).astype(np.uint8) + COLORS[number]
        Image.fromarray(pixels).save(folder / f"pictures/{number}.png")
        rows.append({"file": f"pictures/{number}.png", "says": caption})
    return rows


def test_a_split_is_captioned_as_its_files_are(tmp_path: Path) -> None:
    """However batches are cut, the last of them not full; figures and pictures follow."""
    config = experiment(tmp_path, write_table(tmp_path / "t.csv", write_images(tmp_path)))
    data, task = load(config), build_task(config)
    model = build_model(config.model, data.spec)
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    beam = make_beam(config.evaluation, 8)
    reader = Translator(model, params, data.features, beam, 2)
    files = [reader.read(str(tmp_path / f"pictures/{n}.png")) for n in range(len(CAPTIONS))]
    alone = [reader.translate([file])[0][0].text for file in files]
    assert len(set(alone)) > 2, "images that the model does not tell apart show no order"
    trial = make_trial(model, params, data, "test", config, task)
    assert translate_split(trial, beam) == alone
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "seqmodels.tasks.translation.translate_split", lambda trial, beam: ["a red one"] * 5
        )
        found = task.evaluate_more(trial)
    (most,) = found["translation_baselines"]
    assert most["model"] == "most frequent target" and most["exact_match"] == 2 / 5
    assert found["exact_match"] == most["exact_match"]
    assert "by_source_length" not in found and "by_word_class" not in found
    assert found["captions"][1] == {"true": "a blue one", "predicted": "a red one"}
    drawn = task.pictures(dataclasses.replace(trial, figures=found))["captions"]
    assert [axes.get_title() for axes in drawn.axes[:5]] == CAPTIONS
    assert drawn.axes[0].get_xaxis().label.get_color() == "darkgreen"
    assert drawn.axes[1].get_xaxis().label.get_color() == "firebrick"
    pixels = np.asarray(Image.open(tmp_path / "pictures/4.png"))
    np.testing.assert_array_equal(drawn.axes[4].images[0].get_array(), pixels)
    assert task.pictures(trial) == {}


def test_bad_rows_are_refused_in_one_line(tmp_path: Path) -> None:
    rows = write_images(tmp_path)
    (tmp_path / "pictures/broken.png").write_text("no image")
    Image.new("RGB", (4, 6)).save(tmp_path / "pictures/other.png")
    table = tmp_path / "t.csv"
    for row, line in [
        ({"file": "none.png", "says": "a"}, "column 'file' names {}/none.png, which is not a file"),
        ({"file": "pictures/broken.png", "says": "a"}, "{}/pictures/broken.png: is not an image"),
        ({"file": "pictures/other.png", "says": "a"}, "6 x 4 pixels, where the first image has 8"),
        ({"file": "pictures/0.png", "says": " "}, "column 'says' is empty"),
    ]:
        path = write_table(table, [*rows, row])
        found = mistake(functools.partial(load, experiment(tmp_path, path)))
        assert found.startswith(f"{table}, line 7: {line.format(tmp_path)}"), found
    path = write_table(table, rows)
    found = mistake(lambda: load(experiment(tmp_path, path, column="said")))
    assert "has no such column; one of: file, says" in found


def test_other_pixels_in_the_same_files_are_other_data(tmp_path: Path) -> None:
    config = experiment(tmp_path, write_table(tmp_path / "t.csv", write_images(tmp_path)))
    before = load(config)
    assert load(config).fingerprint == before.fingerprint
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "pictures/2.png")
    after = load(config)
    assert after.fingerprint != before.fingerprint
    images = after.splits["test"].columns["source"].part(np.array([2]), None).values
    np.testing.assert_array_equal(after.features["source"].pixels(images[0]), 9)


def test_words_of_a_class_count_in_their_order() -> None:
    classes = {"colours": ("red", "blue"), "relation": ("above", "left")}
    wanted = ["a red cat above a blue dog", "a blue cat left of a red dog"]
    found = ["a red cat left of a blue cat", "the blue dog left of it"]
    assert score_word_classes(found, wanted, classes) == [
        {"words": "colours", "accuracy": 1 / 2},
        {"words": "relation", "accuracy": 1 / 2},
    ]
    turned = ["a blue cat above a red dog", wanted[1]]
    assert score_word_classes(turned, wanted, classes)[0]["accuracy"] == 1 / 2


def test_an_empty_caption_and_a_grey_image_are_drawn() -> None:
    figure = draw_captions([np.zeros((4, 4, 1), np.uint8)], [{"true": "a $x", "predicted": ""}])
    (axes,) = figure.axes
    assert (axes.get_title(), axes.get_xlabel()) == ("a $x", "(nothing)")
