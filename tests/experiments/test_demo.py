"""The demonstration, with tiny models and text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments import demo, program
from seqmodels.runs.rows import read_rows
from tests.experiments.conftest import Small

SHRUNK = """
from seqmodels.config.files import load_config
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.serialization import leaves
VARIANTS = ("default",)
def get_config(variant):
    config = load_config({name!r})
    fields = [word.removeprefix("--config.").split("=", 1) for word in {words!r}]
    there = {{name for name, _, _ in leaves(config)}}
    apply_overrides(config, [(name, text) for name, text in fields if name in there], [])
    return config
"""


def test_the_demo(
    small: Small,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in demo.MODELS.values():
        (tmp_path / f"{name}.py").write_text(SHRUNK.format(name=name, words=small.words()[1:]))
    models = {key: str(tmp_path / f"{name}.py") for key, name in demo.MODELS.items()}
    monkeypatch.setattr(demo, "MODELS", models)
    monkeypatch.setattr(demo, "PROMPT", "al")
    runs = tmp_path / "runs"
    (runs / "1").mkdir(parents=True)
    assert program.main(demo.COMMAND, [f"--runs={runs}"]) == 0
    told = capsys.readouterr().err
    assert re.findall(r"^ +(n-gram|LSTM|GPT)  ", told, re.MULTILINE) == ["n-gram", "LSTM", "GPT"]
    assert (runs / "2" / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    for folder in ("ngram", "lstm", "gpt"):
        workdir = runs / "2" / folder
        assert list((workdir / "evaluations").glob("test-*.json"))
        assert list((workdir / "samples").glob("*.txt"))
        assert read_rows(workdir / "metrics.jsonl")
    assert "to try next:" in told
    assert f"generate --workdir={runs}/2/gpt" in told
