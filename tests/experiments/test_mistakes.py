"""Bad input: one clear line, exit status 2, nothing lost, and no import of jax before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from seqmodels.config.files import config_names, load_config
from seqmodels.config.serialization import to_json
from tests.experiments.conftest import FrontDoor, Small

ROOT = Path(__file__).parents[2]
FIRST = config_names()[0]

MANUAL = "--distributed=manual --coordinator=localhost:1234"
MISTAKES = [
    ("", "a command is required; one of: list, prepare, train"),
    ("trian", "unknown command 'trian'; did you mean 'train'?"),
    ("train", f"--config=NAME (one of: {FIRST}"),
    ("train --config=demo_gpt", "--workdir=DIR is required"),
    ("train --config=demo_gtp", "did you mean 'demo_gpt'?"),
    ("train --config=shakespeare_gpt:gpuu", "did you mean 'gpu'?"),
    ("train --config", f"--config: needs a name; one of: {FIRST}"),
    ("train --config=demo_gpt --workdr=x", "no such flag; did you mean 'workdir'?"),
    ("train --config=demo_gpt --workdir", "--workdir: needs a value"),
    ("train --config=demo_gpt --dry_run=maybe", "--dry_run=maybe: must be true or false"),
    ("train --config=demo_ngram --profile", "--profile: an ngram is fitted in one"),
    ("train --config=demo_gpt --profile=20", "--profile=20: must be true or false"),
    ("plan --config=demo_gpt --mesh=data:2,fdsp:2", "did you mean 'fsdp'?"),
    ("plan --config=demo_gpt --device=h10", "no such device; did you mean 'h100'?"),
    ("plan --config=demo_gpt --mesh=data:3", "must be a multiple of training.mesh_data x"),
    ("plan --config=demo_ngram", "model.kind=ngram is fitted in one pass"),
    ("plan --config=demo_gpt --product_share=2", "--product_share=2: must be"),
    ("train --config=demo_gpt --distributed=on", "must be one of: off, manual, auto"),
    ("train --config=demo_gpt --coordinator=a:1", "needs --distributed=manual, but --distrib"),
    (f"train --config=demo_gpt {MANUAL}", "also needs --num_processes, --process_id"),
    (f"train --config=demo_gpt {MANUAL} --num_processes=2 --process_id=2", "from 0 to 1, one"),
    (f"evaluate --workdir=/ {MANUAL} --process_id=-1", "must be a non-negative integer"),
    ("train --config=demo_gpt --heartbeat_timeout=9", "needs --distributed=manual or auto"),
    ("train --config=demo_ngram --distributed=auto", "one process fits and evaluates a model"),
    ("generate --workdir=/ --distributed=auto", "generate has no such flag"),
    ("train --config=demo_gpt x", "'x' is not a flag; flags are --config, --workdir"),
    ("train --config=demo_gpt --config.model.num_layer=3", "did you mean 'num_layers'?"),
    ("train --config=demo_gpt --config.model.num_layers 2.5", "=2.5: must be an integer"),
    ("train --config=demo_gpt --config.model.num_heads 3", "must divide model_dim, 128"),
    ("train --config=demo_gpt --config.model=lstm", "section cannot be replaced"),
    ("train --config=demo_gpt --config.model=lstm", "shakespeare_gpt:gpu"),
    ("train --config=demo_gpt --config.model.position=rotry", "did you mean 'rotary'?"),
    ("train --config=demo_gpt --config.data.name=pythondocs", "did you mean 'python_docs'?"),
    ("train --workdir=/nowhere", "/nowhere: no such directory"),
    ("evaluate --workdir=/nowhere", "/nowhere: no such directory"),
    ("evaluate", "--workdir=DIR is required"),
    ("evaluate --config=demo_gpt", "takes the config from --workdir"),
    ("generate --workdir=/ --max_tokens=0", "--max_tokens=0: must be a positive integer"),
    ("generate --workdir=/ --top_k=x", "--top_k=x: must be a positive integer"),
    ("generate --workdir=/ --top_p=2", "--top_p=2: must be a number in the range [0, 1]"),
    ("generate --workdir=/ --seed=4294967296", "--seed=4294967296: must be an integer in the"),
    ("generate --workdir=/ --config.model.num_layers=2", "takes the config from --workdir"),
    ("predict", "--workdir=DIR is required"),
    ("predict --workdir=/nowhere --input=-", "/nowhere: no such directory"),
    ("predict --workdir=/ --batch_size=0", "--batch_size=0: must be a positive integer"),
    ("predict --workdir=/ --beam=3", "no such flag; did you mean 'beam_size'?"),
    ("inspect --workdir=/", "not a work directory: it has no config.json"),
    ("inspect --folow --workdir=/", "no such flag; did you mean 'follow'?"),
    ("inspect --follow --workdir=/", "not a work directory: it has no config.json"),
    ("batch --config=demo_lstm --step=0", "--step=0: must be a positive integer"),
    ("batch --config=demo_ngram", "ngram is fitted in one pass and has no batches"),
    ("prepare", f"--config=NAME is required; one of: {FIRST}"),
    ("list --jsn", "no such flag; did you mean 'json'?"),
]


@pytest.mark.parametrize(("words", "expected"), MISTAKES, ids=lambda text: text[:40])
def test_a_mistake_is_one_line(door: FrontDoor, words: str, expected: str) -> None:
    assert expected in door(*words.split()).line


def test_a_bidirectional_model_cannot_generate_text(door: FrontDoor, tmp_path: Path) -> None:
    config = to_json(load_config("demo_bert"))
    (tmp_path / "config.json").write_text(json.dumps(config))
    line = door("generate", f"--workdir={tmp_path}").line
    assert "model.kind=bert with task.kind=masked_language_model cannot generate text" in line


def test_mistakes_and_help_load_nothing_slow() -> None:
    lines = [words for words, _ in MISTAKES] + ["--help", "train --config=demo_gpt --help", "list"]
    code = f"""
import sys, launch
for words in {lines}:
    launch.main(words.split())
    slow = {{"jax", "flax", "orbax", "tensorflow_datasets", "matplotlib"}} & sys.modules.keys()
    assert not slow, words
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", launch.COMMANDS)
def test_help(door: FrontDoor, command: str) -> None:
    answer = door(command, "--help")
    assert answer.status == 0
    assert answer.out.startswith(f"python launch.py {command}")
    assert "default" in answer.out
    assert command in door("--help").out


def test_help_shows_fields_types_and_values(door: FrontDoor) -> None:
    words = ("train", "--config=demo_lstm", "--config.model.num_layers=3", "--help")
    rows = [row.split(maxsplit=1) for row in door(*words).out.splitlines() if row.startswith("  ")]
    assert ["model.num_layers=3", "an integer"] in rows
    assert ["optimizer.clip_norm=1.0", "a number, or none"] in rows
    assert ["optimizer.name=adamw", "one of: adamw, sgd, muon"] in rows


TEXTS = {
    "missing": (None, "no such file"),
    "empty": (b"", "is empty"),
    "binary": (b"abc\0def" * 100, "NUL byte at offset 3"),
    "latin1": ("a caf\u00e9 ".encode("latin1") * 100, "byte 0xe9 at offset 5"),
    "short": (b"too short", "data.sequence_length=16: the train split has"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_bad_text_leaves_the_work_directory_free(
    door: FrontDoor, small: Small, tmp_path: Path, name: str
) -> None:
    content, expected = TEXTS[name]
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    workdir = tmp_path / "run"
    words = small.words(f"--config.data.path={path}", f"--workdir={workdir}")
    line = door("train", *words).line
    assert expected in line
    assert name == "short" or str(path) in line
    assert not workdir.exists()


def test_devices_that_cannot_form_the_mesh(door: FrontDoor, small: Small, tmp_path: Path) -> None:
    words = small.words("--config.training.mesh_fsdp=2", f"--workdir={tmp_path / 'run'}")
    assert "does not fit 1 device" in door("train", *words).line
    assert not (tmp_path / "run").exists()


def test_a_work_directory_of_another_run(door: FrontDoor, small: Small, trained: Path) -> None:
    before = (trained / "config.json").read_bytes()
    words = small.words("--config.model.hidden_dim=13", f"--workdir={trained}")
    assert "model.hidden_dim: 12 -> 13" in door("train", *words).line
    assert (trained / "config.json").read_bytes() == before


def test_a_work_directory_that_cannot_be_written(
    door: FrontDoor, small: Small, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    answer = door("train", *small.words(f"--workdir={tmp_path / 'file' / 'run'}"))
    assert answer.status == 2
    assert "cannot be written" in answer.err.splitlines()[-1]


def test_a_config_that_was_damaged(door: FrontDoor, copy_of_trained: Path) -> None:
    (copy_of_trained / "config.json").write_text("{")
    assert "config.json: cannot be read" in door("inspect", f"--workdir={copy_of_trained}").line


def test_no_checkpoint(door: FrontDoor, copy_of_trained: Path) -> None:
    for step in (copy_of_trained / "checkpoints").iterdir():
        os.rename(step, copy_of_trained / f"gone-{step.name}")
    line = door("generate", f"--workdir={copy_of_trained}").line
    assert "no checkpoint" in line


def test_damaged_checkpoints(door: FrontDoor, copy_of_trained: Path) -> None:
    """A damaged last one is skipped, or refused by number; it is an error if all are damaged."""
    flag = f"--workdir={copy_of_trained}"

    def damage(step: int) -> None:
        files = (copy_of_trained / "checkpoints" / str(step) / "params").rglob("d/*")
        path = max(files, key=lambda file: file.stat().st_size)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(content)

    damage(6)
    assert "step 6 is damaged" in door("evaluate", flag, "--step=6").line
    answer = door("evaluate", flag, "--step=latest", "--json")
    assert answer.json["step"] == 3
    assert "step 6 is damaged" in answer.err
    damage(3)
    answer = door("evaluate", flag)
    assert answer.status == 2
    assert "all are damaged" in answer.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["generate", "--prompt=aß"], "'ß' (U+00DF)"),
        (["generate", "--step=7"], "no checkpoint of step 7"),
        (["generate", "--step=bst"], "--step=bst: must be best, latest or the number of a step"),
        (["evaluate", "--split=tset"], "one of: train, validation, test"),
        (["evaluate", "--config.model.num_layers=2"], "overrides only data and evaluation"),
        (["evaluate", "--config.evaluation.context=cary"], "did you mean 'carry'?"),
        (["batch", "--config=demo_lstm"], "give only one of the two"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_about_a_run(
    door: FrontDoor, trained: Path, words: list[str], expected: str
) -> None:
    assert expected in door(*words, f"--workdir={trained}").line
