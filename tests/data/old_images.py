"""Images: the shapes that are drawn, TFDS images, and batches of them as functions of the step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from seqmodels.config.images import ImagesDataConfig
from seqmodels.data.images import ImageExamples
from seqmodels.data.labels import Labels, read_labels, render

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import PerceptronConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.datasets import catalog_images
from seqmodels.data.datasets.shapes import CLASS_NAMES
from seqmodels.data.examples import ExampleRows
from seqmodels.data.pipeline import load_data, prepare
from seqmodels.data.sources import BatchSource
from seqmodels.types import Batch, ClassOutput, ImageInput
from tests.data.helpers import data_root

SIZE = 12


def experiment(batch_size: int = 3, seed: int = 0, **data: Any) -> ExperimentConfig:
    images = ImagesDataConfig(batch_size=batch_size, **data)
    config = ExperimentConfig(PerceptronConfig(), images, ClassificationConfig())
    config.training.seed = seed
    return config


def same(one: Batch, other: Batch) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in leaves)


def test_what_the_data_decide() -> None:
    data = load_data(experiment(image_size=SIZE))
    assert data.spec.inputs == ImageInput(SIZE, SIZE, 3)
    assert data.spec.outputs == ClassOutput(4, per_step=False)
    assert load_data(experiment()).spec.inputs == ImageInput(32, 32, 3)
    prints = {load_data(experiment(image_size=size)).fingerprint for size in (None, 32, SIZE)}
    assert len(prints) == 2


class Few:
    """Seven images, each of one brightness: its number."""

    labels = np.array([0, 1, 2, 0, 1, 2, 3], np.int32)

    def read(self, at: np.ndarray) -> np.ndarray:
        return np.broadcast_to(at[:, None, None, None], (len(at), 2, 3, 1)).astype(np.uint8)


def numbers_of(batch: Batch) -> list[int]:
    values = np.rint((batch.inputs[:, 0, 0, 0] * 0.5 + 0.5) * 255).astype(int)
    return values[batch.loss_weights > 0].tolist()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 20])
def test_an_evaluation_has_every_image_once(batch_size: int) -> None:
    rows = ExampleRows(ImageExamples(Few(), ImageInput(2, 3, 1)), batch_size)
    for multiple in (1, 4):
        batches = [batch for batch, starts in rows.batches(multiple) if starts]
        assert len(batches) == rows.num_batches == -(-7 // min(batch_size, 7))
        assert [n for batch in batches for n in numbers_of(batch)] == list(range(7))
        assert {len(batch.inputs) % multiple for batch in batches} == {0}
        for batch in batches:
            assert batch.targets[batch.loss_weights > 0].tolist() == [
                Few.labels[n] for n in numbers_of(batch)
            ]
            assert not batch.inputs[batch.loss_weights == 0].any()


def test_batches_are_functions_of_the_step() -> None:
    config = experiment(batch_size=5, image_size=SIZE)
    data = load_data(config)
    source, again = (data.batches(config, "validation") for _ in range(2))
    assert isinstance(source, BatchSource)
    assert source.batches_per_epoch == 400 and source.position(401) == (1, 0)
    whole = source.batch(401)
    assert whole.inputs.shape == (*source.shapes[0],) == (5, SIZE, SIZE, 3)
    assert whole.inputs.dtype == np.float32 and whole.targets.dtype == np.int32
    assert same(whole, again.batch(401))
    for rows in (slice(0, 2), slice(2, 5)):
        part = again.batch(401, rows)
        assert same(part, jax.tree.map(lambda x, rows=rows: x[rows], whole))
    other = data.batches(experiment(batch_size=5, seed=1, image_size=SIZE), "validation")
    assert not same(whole, other.batch(401)) and not same(whole, source.batch(1))
    with pytest.raises(UserError, match="batch_size=2001: the validation split has 2000 examples"):
        data.batches(experiment(batch_size=2001, image_size=SIZE), "validation")
    with pytest.raises(UserError, match="no 'dev' split"):
        data.batches(config, "dev")


def test_an_epoch_has_every_image_once() -> None:
    config = experiment(batch_size=300, image_size=8)
    source = load_data(config).batches(config, "test")
    seen = []
    for epoch in range(2):
        batches = [source.batch(1 + epoch * 7 + i) for i in range(source.batches_per_epoch)]
        images = [b.inputs[i].tobytes() for b in batches for i in np.flatnonzero(b.loss_weights)]
        assert len(images) == len(set(images)) == 2000
        seen.append(images)
    assert seen[0] != seen[1] and set(seen[0]) == set(seen[1])


def test_labels_come_back(tmp_path: Path) -> None:
    labels = Labels(ImageInput(2, 3, 1), ("ä", "b"))
    labels.save(tmp_path / "labels.json")
    assert read_labels(tmp_path / "labels.json") == labels
    with pytest.raises(UserError, match="cannot read the labels"):
        read_labels(tmp_path / "none.json")
    (tmp_path / "labels.json").write_text("{}")
    with pytest.raises(UserError, match="not a file of labels"):
        read_labels(tmp_path / "labels.json")
    other = Labels(ImageInput(SIZE, SIZE, 3), CLASS_NAMES[:3])
    with pytest.raises(UserError, match="4 classes; the run was trained on images of .* 3 classes"):
        load_data(experiment(image_size=SIZE), other)


def test_an_image_as_characters() -> None:
    image = np.array([[-1.0, 1.0], [-1.0, 1.0]], np.float32)[..., None]
    assert render(image) == " @"
    assert len(render(np.zeros((224, 224, 3), np.float32)).splitlines()) == 24


def mnist(cache: Path, **data: Any) -> ExperimentConfig:
    few = {
        "name": "tfds_images:mnist",
        "train_split": "train[:40]",
        "validation_split": "train[40:48]",
        "test_split": "test[:5]",
    }
    return experiment(
        tfds_data_dir=str(data_root() / "tfds"),
        cache_dir=str(cache),
        **{**few, **data},
    )


def test_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    config = mnist(tmp_path)
    assert prepare(config)["splits"]["train"] == {"images": 40}
    data = load_data(config)
    assert data.spec.inputs == ImageInput(28, 28, 1)
    assert data.encoding.names == tuple("0123456789")
    images = data.splits["train"].read(np.arange(40))
    assert data.splits["train"].labels[:6].tolist() == [4, 1, 0, 7, 8, 1]
    assert images.std() > 50
    # Decoding by batch gives the same, and so does an entry that was damaged and made anew.
    (tmp_path / "lazy").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(catalog_images, "MAX_ARRAY_BYTES", 0)
        lazy = load_data(mnist(tmp_path / "lazy"))
    np.testing.assert_array_equal(lazy.splits["train"].read(np.arange(40)), images)
    assert lazy.fingerprint == data.fingerprint
    (saved,) = tmp_path.glob("images/*/train.images.npy")
    content = bytearray(saved.read_bytes())
    content[-1] ^= 255
    saved.write_bytes(content)
    np.testing.assert_array_equal(load_data(config).splits["train"].read(np.arange(40)), images)
    assert "is damaged" in caplog.text


def test_images_are_resized(tmp_path: Path) -> None:
    data = load_data(mnist(tmp_path, image_size=14))
    image = data.splits["train"].read(np.array([1]))
    assert image.shape == (1, 14, 14, 1) and image.max() > 100


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"name": "tfds_images:mnits"}, "did you mean tfds_images:mnist?"),
        ({"name": "tfds_images:glue/sst2"}, "has no one image an example but none"),
        ({"train_split": "trian"}, "data.train_split=trian: mnist has no 'trian'; did you mean"),
        ({"name": "shape"}, "data.name='shape' is not known; did you mean 'shapes'?"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as raised:
        load_data(mnist(tmp_path, **data))
    assert expected in str(raised.value) and "\n" not in str(raised.value)
