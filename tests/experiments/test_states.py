"""`generate --state_out` and `--state_in`: saved, moved, forked, and refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import launch
from tests.experiments.conftest import FrontDoor, Small


@pytest.fixture(scope="module")
def state(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state after 20 tokens, of seed 3."""
    path = tmp_path_factory.mktemp("state") / "text.state"
    words = [f"--workdir={trained}", "--prompt=ma", "--max_tokens=20", "--seed=3"]
    assert launch.main(["generate", *words, f"--state_out={path}"]) == 0
    return path


def test_a_text_is_resumed_forked_and_moved(
    door: FrontDoor, state: Path, trained: Path, tmp_path: Path
) -> None:
    moved, elsewhere = tmp_path / "moved", tmp_path / "run"
    shutil.copy(state, moved)
    shutil.copytree(trained, elsewhere)
    begun = ("generate", f"--workdir={trained}", "--json", "--prompt=ma", "--seed=3")
    first = door(*begun, "--max_tokens=20").json["texts"][0]
    (whole,) = door(*begun, "--max_tokens=50").json["texts"]
    words = ("generate", f"--workdir={elsewhere}", f"--state_in={moved}", "--json")
    rest = door(*words, "--max_tokens=30", "--num_samples=3").json
    assert first + rest["texts"][0] == whole and rest["seed"] == 3
    assert len(set(rest["texts"])) == 3
    other = door(*words, "--max_tokens=30", "--seed=4").json["texts"][0]
    assert other != rest["texts"][0]
    # A state may be resumed into itself.
    door(*words, "--max_tokens=10", f"--state_out={moved}")
    last = door(*words, "--max_tokens=20").json["texts"][0]
    assert whole.endswith(last) and len(whole) == len("ma") + 50
    assert not list(tmp_path.glob(".*"))


def test_a_state_of_something_else_is_refused(
    door: FrontDoor, state: Path, trained: Path, small: Small, tmp_path: Path
) -> None:
    given = f"--state_in={state}"
    line = door("generate", f"--workdir={trained}", "--step=3", given).line
    assert "belongs to step 6 of a run; this is step 3, and --step=6 would choose it" in line
    text = (small.folder / "text.txt").read_text()
    cases = {
        "model.hidden_dim is 12, that of this run 13": ["--config.model.hidden_dim=13"],
        "other parameters, of sha256": ["--config.training.seed=9"],
        "another tokenizer, of sha256": [f"--config.data.path={tmp_path / 'other.txt'}"],
    }
    (tmp_path / "other.txt").write_text(text.replace("a", "q"))
    for number, (told, words) in enumerate(cases.items()):
        other = tmp_path / str(number)
        assert launch.main(["train", *small.words(*words), f"--workdir={other}"]) == 0
        assert told in door("generate", f"--workdir={other}", given, "--step=6").line


def test_a_damaged_state_is_refused(
    door: FrontDoor, state: Path, trained: Path, tmp_path: Path
) -> None:
    content, path = state.read_bytes(), tmp_path / "damaged"
    words = ("generate", f"--workdir={trained}", f"--state_in={path}")
    for at in (0, 9, content.index(b"num_read") + 12, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        line = door(*words).line
        assert f"--state_in={path}: damaged" in line or "not one of --state_out" in line
    for kept in (0, 100, len(content) - 1):
        path.write_bytes(content[:kept])
        assert f"--state_in={path}: damaged" in door(*words).line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--state_in=nowhere.state", "--state_in=nowhere.state: no such file"),
        ("--state_out=nowhere/x", "--state_out=nowhere/x: nowhere is not a directory"),
        ("--state_out=.", "--state_out=.: is a directory"),
        ("--state_out=x --num_samples=2", "--num_samples=2: must be 1 with --state_out"),
        ("--state_out=x --beam_size=2 --end=.", "--state_out=x: has no effect with --beam_size"),
    ],
)
def test_mistakes(door: FrontDoor, trained: Path, words: str, told: str) -> None:
    assert told in door("generate", f"--workdir={trained}", *words.split()).line
