"""Pinned data: what a run of before had, this code makes of the same config, bit for bit.

Another fingerprint refuses to resume every run there is; another first batch, without one, changes
what a config gives without a word. Where a change is meant, the runs and results of before are to
be made again. The values were obtained with the code of before features, which had loaders by kind.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest

from seqmodels.config.files import load_config
from seqmodels.data.datasets.dataset import hash_documents
from seqmodels.data.datasets.python_docs import split_topics
from seqmodels.types import Batch
from tests.opening import load

DOCS = "2a98ce1aa7dc5a0354fed9b105658033988df68c1e8d8718165e8bdd6d868b38"
DOCS_TEXT = "2536fe8febb43c707b0c8459972bc42e2ca61a7c6914f53648b33e6dca1a4b56"
"""The documentation of one Python: that of another is other data."""
# Config, data set in place of its own -> fingerprint, sha256 of the batch of step 1.
PINNED = {
    ("dates", None): (
        "149afa7722edf5881f4ae61fbc8b1facf388ee80b38c2aab501be76a814e30ef",
        "73e3ef643c6f04d3e81c56fcadadb6208006c4dd6c00a2913a7ff504c121069b",
    ),
    ("order_lstm", None): (
        "852a2056420550000fe3411ba61a0f22106edd1bd5e700e3bd3eb3b8dc6748a8",
        "d976018a00d29e6cc934da1555e2945b1206da582a885aa2d5077aa41854e0a2",
    ),
    ("order_lstm:bert", None): (
        "852a2056420550000fe3411ba61a0f22106edd1bd5e700e3bd3eb3b8dc6748a8",
        "ead407b0f6352bbaed5fd20c7bd0072f7fbdc7cfc391345b043d5f6df91b5bd4",
    ),
    ("demo_images", None): (
        "6456121b0f735ebfec06a239d1b71b727d624412592546735a7c65b1ffca00d0",
        "00eed0537e15e29cc59373586239127c08c25b05135246ff6a711bf8249153de",
    ),
    ("irish_gru", "scales"): (
        "909ebf020ea166751f765445ad8891aa9f0b2b89ba7ae5e8eedcbd566aff6524",
        "7e173079a553b3cfc6ea6eb5445622c505e90ab9f5f6894b43f66d9ea26e035c",
    ),
    ("demo_gpt", None): (
        DOCS,
        "4ce1cf1484c9b41d5bfaedb3717848ae7d8135affa95af36971107d854af4063",
    ),
    ("demo_lstm", None): (
        DOCS,
        "48592624c984e29d546f3f10ddc2ec535cfb64888fce3be237cb481c99d58d82",
    ),
    ("demo_bert", None): (
        DOCS,
        "91c3d5e7c7db40b92a6ff8d7b194bc5cd8ee190bcca594920a617f2fb72991c5",
    ),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its own, in which nothing was made by code of before."""
    return tmp_path_factory.mktemp("cache")


def digest_of_batch(batch: Batch) -> str:
    """A hash of all arrays of a batch, with their names, types and shapes."""
    digest = hashlib.sha256()
    for field in dataclasses.fields(batch):
        array = getattr(batch, field.name)
        if array is not None:
            digest.update(f"{field.name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize(("name", "dataset"), PINNED)
def test_data_and_their_first_batch_are_those_of_before(
    name: str, dataset: str | None, cache: Path
) -> None:
    fingerprint, first = PINNED[name, dataset]
    if fingerprint == DOCS and hash_documents(split_topics(topics)) != DOCS_TEXT:
        pytest.skip("another Python, whose documentation was not pinned")
    config = load_config(name)
    config.data.name, config.data.cache_dir = dataset or config.data.name, str(cache)
    data = load(config)
    assert data.fingerprint == fingerprint
    assert digest_of_batch(data.batches(config).batch(1)) == first
