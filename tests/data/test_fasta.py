"""The user's own sequences in FASTA files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.features import LabelConfig, TokensConfig
from seqmodels.data.common import open_dataset
from seqmodels.data.datasets.fasta import read_fasta
from tests.data.sets import mistake, open_columns


def fasta(file: Path, text: str, name: str = "fasta", label: bool = True, **data: Any) -> Any:
    file.write_text(text)
    fields: Any = {"inputs": TokensConfig(column="sequence")}
    fields |= {"targets": LabelConfig()} if label else {}
    fields |= data or {"train_path": str(file), "validation_path": str(file)}
    return open_dataset(ExamplesDataConfig(name=name, **fields))


def test_a_sequence_is_the_lines_below_its_name(tmp_path: Path) -> None:
    text = ">one donor site\nACgt\n\nNN\n> two  none\r\nTTT\n"
    found = fasta(tmp_path / "a.fa", text)
    train = found.splits()["train"]
    assert train["sequence"] == ["ACGTNN", "TTT"]
    assert train["label"] == ["donor site", "none"] and train["name"] == ["one", "two"]
    assert found.locate("train", 1).endswith("a.fa, line 5")
    assert fasta(tmp_path / "b.fa", text.replace("TTT", "TTA")).fingerprint() != found.fingerprint()


def test_equal_sequences_are_in_one_split(tmp_path: Path) -> None:
    rows = [f">n{i} x\n{'ACGT'[i % 4]}{'ACGT'[i // 4 % 4]}{'ACGT'[i // 16]}\n" for i in range(64)]
    parts = {"path": str(tmp_path / "a.fa"), "validation_fraction": 0.2, "test_fraction": 0.2}
    splits = fasta(tmp_path / "a.fa", "".join(rows * 2), **parts).splits()
    found = [set(columns["sequence"]) for columns in splits.values()]
    assert sum(map(len, found)) == 64 and len(found) == 3


MISTAKES = {
    "ACGT\n>a x\nAC\n": "line 1: a FASTA file begins with a line > and a name, not ACGT",
    ">a x\nAC\n>b y\n>c z\nA\n": "line 3: has no sequence below it",
    ">a x\nAC\n>b y\n": "line 3: has no sequence below it",
    ">a x\nACGE\n": "line 2: letter 'E' is not known; a sequence has ACGT",
    ">a x\nAC1T\n": "line 2: letter '1' is not known",
    "> \nAC\n": "line 1: has no name after >",
    ">a\nAC\n": "line 1: has no label after the name",
    "\n\n": "has no sequence",
}


def test_mistakes_are_named_with_their_line(tmp_path: Path) -> None:
    for text, expected in MISTAKES.items():
        found = mistake(lambda text=text: fasta(tmp_path / "a.fa", text, "fasta:dna").splits())
        assert expected in found and found.startswith(str(tmp_path / "a.fa")), (text, found)
    (tmp_path / "a.fa").write_text(">p\nMKE*\n")
    assert fasta(tmp_path / "a.fa", ">p\nMKE*\n", "fasta:protein", label=False).splits()
    assert read_fasta(tmp_path / "a.fa", "MKE*").columns["sequence"] == ["MKE*"]
    found = mistake(lambda: open_columns("fasta:dnaa", path=str(tmp_path / "a.fa")))
    assert "alphabet 'dnaa' is not known; did you mean 'dna'?" in found
