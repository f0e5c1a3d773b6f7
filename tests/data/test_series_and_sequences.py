"""Data sets of series and of sequences: what they hold, and that splits share nothing."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.data import TextDataConfig
from seqmodels.data.common import open_dataset
from seqmodels.data.datasets import ecg, motifs, proteins, splice, waves
from tests.data.helpers import data_root
from tests.data.sets import digest_of, mistake, open_columns


def digest_of_image_set(name: str) -> str:
    digest = hashlib.sha256()
    for columns in open_columns(name).splits().values():
        digest.update(columns["image"].read(np.arange(len(columns["image"]))).tobytes())
        digest.update(columns["label"].tobytes())
    return digest.hexdigest()[:16]


def test_generated_sets_are_the_same_everywhere() -> None:
    """On every Python, numpy and machine: results on others could not be compared."""
    found = {n: digest_of(open_columns(n).splits()) for n in ("waves", "pass_fail", "motifs")}
    assert found | {"digits": digest_of_image_set("digits")} == DIGESTS


DIGESTS = {
    "waves": "a9269a57303a2a70",
    "pass_fail": "8586902d1d8d4e2e",
    "motifs": "ca2f818ac84e0877",
    "digits": "0e8fa4a30f9d4ea9",
}


def test_a_wave_has_the_shape_of_its_class() -> None:
    """Without noise: of a square two values, of a sawtooth a jump, of the others none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waves, "_NOISE", 0.0)
        drawn = waves.draw_waves("train", 40)
    for number, wave in enumerate(drawn):
        high = np.abs(wave).max()
        kind = waves.CLASSES[number % 4]
        jumps = np.abs(np.diff(wave)).max() > 1.2 * high
        assert jumps == (kind in ("square", "sawtooth")), kind
        assert (len(np.unique(np.abs(wave))) == 1) == (kind == "square")
        assert 0.6 < high <= 1.3


def test_whoever_studies_and_attends_more_passes() -> None:
    columns: Any = open_columns("pass_fail").splits()["train"]
    (hours, lectures) = np.array(columns["hours,lectures"])[:, 0].T
    passed = np.array(columns["label"]) == "pass"
    assert hours.min() == 0 and hours.max() == 40 and set(lectures) == set(range(15))
    clear = (hours + 4) * (lectures + 3) - 160
    assert passed[clear > 60].all() and not passed[clear < -60].any()
    unsure = np.abs(clear) < 30
    assert 0.2 < passed[unsure].mean() < 0.8


def test_the_order_of_the_boxes_is_the_class_of_a_sequence() -> None:
    found: Any = open_columns("motifs").splits()["test"]
    whole = 0
    for sequence, label, sites in zip(*found.values(), strict=True):
        tags = sites.split()
        assert len(sequence) == len(tags) == motifs.LENGTH
        runs = "".join(t for i, t in enumerate(tags) if t != "." and tags[i - 1 : i] != [t])
        expected = {"promoter": {"ab"}, "reversed": {"ba"}, "single": {"a", "b"}, "none": {""}}
        assert runs in expected[label]
        whole += "".join(x for x, t in zip(sequence, tags, strict=True) if t == "a") == "TTGACA"
    boxes = sum("a" in sites.split() for sites in found["sites"])
    assert 0.45 < whole / boxes < 0.8  # (1 - 3 / 40) ** 6 = 0.63


def test_digits_are_dealt_by_their_pixels() -> None:
    splits: Any = open_columns("digits").splits()
    assert sum(len(columns["label"]) for columns in splits.values()) == 1797
    images = splits["train"]["image"].read(np.arange(100))
    assert images.shape == (100, 8, 8, 1) and images.max() == 255
    counts = [np.bincount(columns["label"]) for columns in splits.values()]
    assert all(len(count) == 10 and count.min() > 5 for count in counts)


def ecg_files(folder: Path, name: str = "ECG200") -> str:
    """Files of the archive's form; -1 and 1 in turn, ten of each."""
    rows = [f"{1 - 2 * (i % 2)}\t{i}.5\t{i * 2}\t-3e-1" for i in range(20)]
    for part in ("TRAIN", "TEST"):
        (folder / f"{name}_{part}.tsv").write_text("\n".join(rows) + "\n")
    return str(folder)


def made(published: Any, folder: Path) -> Any:
    """The same set, whose published files are those of a folder."""
    files = {
        name: (1 << 20, published.digest((folder / name).read_bytes())) for name in published.files
    }
    return dataclasses.replace(published, files=files)


def test_a_fifth_of_each_class_of_heartbeats_is_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ecg_files(tmp_path)
    line = mistake(open_columns("ecg200", path=path).splits)
    assert "ECG200_TRAIN.tsv does not hold the published series" in line
    monkeypatch.setattr(ecg.ECG200, "files", made(ecg.ECG200.files, tmp_path))
    splits: Any = open_columns("ecg200", path=path).splits()
    counts = {n: collections.Counter(c["label"]) for n, c in splits.items()}
    assert counts["validation"] == {"1": 2, "-1": 2} and counts["train"] == {"1": 8, "-1": 8}
    rows = [tuple(v) for n in ("train", "validation") for v in splits[n]["values"]]
    assert sorted(rows) == [(i + 0.5, 2 * i, -0.3) for i in range(20)]
    # Other digits and separators of the same numbers are the same set.
    for file in tmp_path.glob("*.tsv"):
        file.write_text(file.read_text().replace("\t", "  ").replace("-3e-1", "-0.30"))
    assert open_columns("ecg200", path=path).splits() == splits
    file.write_text(file.read_text().replace("19.5", "19.6"))
    assert "published series" in mistake(open_columns("ecg200", path=path).splits)


def test_equal_windows_of_genes_are_in_one_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = ["".join("ACGT"[(i >> 2 * k) % 4] for k in range(5)) for i in range(400)]
    lines = [f"{splice.CLASSES[i % 3]},  NAME-{i},   {s}" for i, s in enumerate(letters * 2)]
    file = tmp_path / "splice.data"
    file.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(splice.Splice, "files", made(splice.Splice.files, tmp_path))
    folds: Any = [open_columns("splice", path=str(file), fold=f).splits() for f in (0, 1)]
    assert folds[0]["validation"] == folds[1]["test"]
    found = [set(columns["sequence"]) for columns in folds[0].values()]
    assert sum(map(len, found)) == 400 and all(found)
    assert sum(len(columns["label"]) for columns in folds[0].values()) == 800
    text = open_dataset(TextDataConfig(name="splice", feature="sequence", path=str(file)))
    assert text.splits()["train"]["sequence"] == folds[0]["train"]["sequence"]


def test_chains_are_read_with_a_label_per_residue() -> None:
    text = "# a comment\n<>\nG _\nV h\nend\n<>\nA e\n<end>\n\n<>\nM h\n# more\nK _\n"
    assert proteins.read_chains(text) == [("GV", "_h"), ("A", "e"), ("MK", "h_")]


def test_published_sets() -> None:
    """The counts of their authors, if the files are there."""
    data_root()
    count = lambda name: {
        n: len(next(iter(c.values()))) for n, c in open_columns(name).splits().items()
    }
    assert count("ecg5000") == {"train": 402, "validation": 98, "test": 4500}
    assert count("ecg200") == {"train": 81, "validation": 19, "test": 100}
    assert sum(count("splice").values()) == 3190
    assert digest_of(open_columns("splice").splits()) == "4b062138b1ef7893"
    chains: Any = open_columns("proteins").splits()
    residues = {n: sum(map(len, columns["sequence"])) for n, columns in chains.items()}
    assert residues == {"train": 15_407, "validation": 2_698, "test": 3_520}
    tags = collections.Counter(" ".join(chains["test"]["structure"]).split())
    assert tags == {"_": 1923, "h": 849, "e": 748}
    known = {*chains["train"]["sequence"], *chains["validation"]["sequence"]}
    assert not known & set(chains["test"]["sequence"])
