"""`import` makes an ordinary work directory; `export` reproduces what was imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import seqmodels
from seqmodels.interop.plan import choose_windows, plan_import
from tests.golden.test_interop import BERT, VIT
from tests.interop.conftest import FrontDoor, byte_level, data_words, gpt2_arrays
from tests.interop.loading import golden, write_folder, write_state
from tests.tolerances import TOLERANCE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def imported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import launch

    place = tmp_path_factory.mktemp("imported")
    words = ["import", f"--from={folder}", f"--workdir={place / 'run'}", *data_words(place)]
    assert launch.main(words) == 0
    return place / "run"


@pytest.fixture
def run(imported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(imported, tmp_path / "run")


def test_an_imported_gpt2_is_evaluated_and_generates_text(run: Path, door: FrontDoor) -> None:
    """Also bits per byte, for a padded vocabulary whose tokens are byte sequences."""
    result = door("evaluate", f"--workdir={run}", "--json").json
    assert result["step"] == 0
    ratio = result["bits_per_byte"] / (result["loss"] / np.log(2))
    assert 0.2 < ratio < 1.0  # a token is more than one byte
    said = door("generate", f"--workdir={run}", "--prompt=the cat", "--max_tokens=8", "--json")
    (text,) = said.json["texts"]
    assert text.startswith("the cat")
    description = door("inspect", f"--workdir={run}", "--json").json
    assert [row["step"] for row in description["checkpoints"]] == [0]
    assert description["checkpoints"][0]["seal"] == "sealed"
    assert description["num_parameters"] == sum(x.size for x in gpt2_arrays().values())


def test_the_windows_of_an_evaluation_are_as_long_as_the_model_reads(folder: Path) -> None:
    for overridden, expected in (
        (set(), (32, 128)),  # as many tokens at once as 32 rows of 128 have
        ({"evaluation.sequence_length"}, (16, 256)),
        ({"evaluation.batch_size"}, (32, 5)),
    ):
        with plan_import(folder) as plan:
            evaluation = plan.config.evaluation
            evaluation.sequence_length, evaluation.batch_size = 16, 5
            choose_windows(plan, overridden)
        assert (evaluation.sequence_length, evaluation.batch_size) == expected


@pytest.mark.grid
def test_fine_tuning_continues_in_place(run: Path, folder: Path, door: FrontDoor) -> None:
    """Works without the imported folder; the optimizer may be changed until the first step."""
    before = door("evaluate", f"--workdir={run}", "--json").json["loss"]
    config = json.loads((run / "config.json").read_text())
    config["data"]["tokenizer_path"] = "/gone"
    (run / "config.json").write_text(json.dumps(config))
    words = ["train", f"--workdir={run}"]
    refused = door(*words, "--config.model.num_layers=3")
    assert "model.num_layers: 2 -> 3" in refused.line
    refused = door(*words, "--config.data.tokenizer=byte", "--config.data.tokenizer_path=none")
    assert "data.tokenizer" in refused.line or "vocab_size" in refused.line
    assert door(*words, "--config.optimizer.name=sgd", "--config.optimizer.peak_lr=0.1").status == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["split"] == "validation"] == [2, 4]
    assert rows[-1]["loss"] < before
    assert "optimizer.name" in door(*words, "--config.optimizer.name=adamw").line


def test_exported_tensors_are_bitwise_equal(run: Path, folder: Path, door: FrontDoor) -> None:
    to = run.parent / "exported"
    assert door("export", f"--workdir={run}", f"--to={to}").status == 0
    back, there = load_file(to / "model.safetensors"), load_file(folder / "model.safetensors")
    assert back.keys() == there.keys()
    for name, array in there.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)
    described = json.loads((to / "config.json").read_text())
    wanted = json.loads((folder / "config.json").read_text())
    assert {name: described[name] for name in wanted} == wanted
    again = run.parent / "again"
    assert door("import", f"--from={to}", f"--workdir={again}").status == 0
    first, second = seqmodels.load_run(run), seqmodels.load_run(again)
    assert first.tokenizer is not None
    assert second.tokenizer is not None
    text = "the dog, née 日本"
    np.testing.assert_array_equal(first.tokenizer.encode(text), second.tokenizer.encode(text))


def test_a_folder_may_have_shards(copy_of_folder: Path, tmp_path: Path, door: FrontDoor) -> None:
    arrays = load_file(copy_of_folder / "model.safetensors")
    (copy_of_folder / "model.safetensors").unlink()
    names, places = sorted(arrays), {}
    for number, part in enumerate((names[::2], names[1::2])):
        file = f"model-{number + 1:05}-of-00002.safetensors"
        save_file({name: arrays[name] for name in part}, copy_of_folder / file)
        places |= dict.fromkeys(part, file)
    index = copy_of_folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    words = ["import", f"--from={copy_of_folder}", f"--workdir={tmp_path / 'run'}"]
    assert door(*words).status == 0
    params = seqmodels.load_run(tmp_path / "run").params
    np.testing.assert_array_equal(params["embedding"]["table"], arrays["transformer.wte.weight"])
    (copy_of_folder / "model-00002-of-00002.safetensors").unlink()
    refused = door(*words[:2], f"--workdir={tmp_path / 'other'}")
    assert "shard model-00002-of-00002.safetensors missing from" in refused.line
    assert not (tmp_path / "other").exists()


def test_bert_is_evaluated_and_exported(tmp_path: Path, door: FrontDoor) -> None:
    arrays = golden("hf_bert.npz")[0]
    rng = np.random.default_rng(0)
    for name, rows in (("word", 288), ("position", 16)):
        key = f"bert.embeddings.{name}_embeddings.weight"
        arrays[key] = rng.normal(size=(rows, 12)).astype(np.float32)
    arrays["cls.predictions.bias"] = np.zeros(288, np.float32)
    config = {**BERT, "vocab_size": 288, "max_position_embeddings": 16}
    source = write_folder(tmp_path / "bert", config, arrays)
    byte_level(source)
    _add_mask(source)
    workdir = tmp_path / "run"
    words = ["import", f"--from={source}", f"--workdir={workdir}", *data_words(tmp_path)]
    assert door(*words).status == 0
    result = door("evaluate", f"--workdir={workdir}", "--json").json
    assert result["num_targets"] > 0
    assert "cannot generate text" in door("generate", f"--workdir={workdir}").line
    assert door("export", f"--workdir={workdir}", f"--to={tmp_path / 'to'}").status == 0
    back = load_file(tmp_path / "to" / "model.safetensors")
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def _add_mask(folder: Path) -> None:
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    token = {"id": 280, "content": "[MASK]", "special": True}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    values["added_tokens"].append({**token, **flags})
    path.write_text(json.dumps(values))


def test_a_byte_lstm_is_exported_with_one_bias(tmp_path: Path, door: FrontDoor) -> None:
    rng = np.random.default_rng(0)
    arrays = golden("torch_lstm.npz")[0]
    for name, shape in {
        "embedding.weight": (256, 12),
        "head.weight": (256, 7),
        "head.bias": (256,),
    }.items():
        arrays[name] = rng.normal(size=shape).astype(np.float32)
    source = write_state(tmp_path / "lstm.safetensors", arrays)
    words = ["import", f"--from={source}", f"--workdir={tmp_path / 'run'}"]
    assert "has no tokenizer" in door(*words).line
    more = ["--config.data.tokenizer=byte", *data_words(tmp_path)]
    assert door(*words, *more).status == 0
    assert door("evaluate", f"--workdir={tmp_path / 'run'}", "--json").json["bits_per_byte"] > 0
    to = tmp_path / "back.safetensors"
    assert door("export", f"--workdir={tmp_path / 'run'}", f"--to={to}").status == 0
    back = load_file(to)
    assert back.keys() == arrays.keys()
    for layer in range(2):
        ih, hh = (arrays.pop(f"lstm.bias_{x}_l{layer}") for x in ("ih", "hh"))
        np.testing.assert_array_equal(back[f"lstm.bias_ih_l{layer}"], ih + hh)
        assert not back[f"lstm.bias_hh_l{layer}"].any()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def test_missing_parameters_are_initialised_and_named(tmp_path: Path, door: FrontDoor) -> None:
    arrays = {k: v for k, v in golden("torch_lstm.npz")[0].items() if k.startswith("lstm.")}
    arrays["extra.thing"] = np.zeros(3, np.float32)
    source = write_state(tmp_path / "lstm.safetensors", arrays)
    said = door("import", f"--from={source}", f"--workdir={tmp_path / 'run'}", "--json").json
    assert said["fresh"] == ["head/Dense_0/bias", "head/Dense_0/kernel"]
    assert said["unused"] == ["extra.thing"]
    run = seqmodels.load_run(tmp_path / "run")
    assert run.tokenizer is None
    assert np.asarray(run.params["head"]["Dense_0"]["kernel"]).std() > 0
    refused = door("evaluate", f"--workdir={tmp_path / 'run'}")
    assert "no task has a model of inputs (kind=values, num_features=12" in refused.line
    assert door("inspect", f"--workdir={tmp_path / 'run'}", "--json").json["num_parameters"]


def test_a_vit_classifies_images_of_its_own_classes(tmp_path: Path, door: FrontDoor) -> None:
    names = ["circle", "square", "triangle", "cross"]
    config = {
        **VIT,
        "image_size": 32,
        "patch_size": 16,
        "id2label": {str(n): name for n, name in enumerate(names)},
    }
    rng, arrays = np.random.default_rng(0), golden("hf_vit.npz")[0]
    for name, shape in {
        "vit.embeddings.position_embeddings": (1, 5, 12),
        "vit.embeddings.patch_embeddings.projection.weight": (12, 3, 16, 16),
        "classifier.weight": (4, 12),
        "classifier.bias": (4,),
    }.items():
        arrays[name] = rng.normal(size=shape).astype(np.float32)
    source, run = write_folder(tmp_path / "vit", config, arrays), tmp_path / "run"
    steps = [f"--config.training.{n}=1" for n in ("num_steps", "log_every", "checkpoint_every")]
    words = ["--config.optimizer.warmup_steps=1", "--config.data.batch_size=8"]
    words = [*words, *steps, "--config.training.evaluate_every=1"]
    assert door("import", f"--from={source}", f"--workdir={run}", *words).status == 0
    assert door("train", f"--workdir={run}").status == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["split"] for row in rows] == ["train", "validation"]
    config["id2label"]["3"] = "cat"
    source, run = write_folder(tmp_path / "cats", config, arrays), tmp_path / "other"
    assert door("import", f"--from={source}", f"--workdir={run}").status == 0
    assert "data.name=shapes" in door("train", f"--workdir={run}").line


MESH = """
import sys
import launch
sys.exit(launch.main(sys.argv[1:]))
"""


@pytest.mark.grid
def test_on_a_mesh_of_four_devices(run: Path, door: FrontDoor) -> None:
    """Fine-tuning over fsdp 2 x tensor 2 equals one device up to rounding."""
    other = shutil.copytree(run, run.parent / "mesh")
    assert door("train", f"--workdir={run}").status == 0
    words = ["--config.training.mesh_fsdp=2", "--config.training.mesh_tensor=2"]
    done = subprocess.run(
        [sys.executable, "-c", MESH, "train", f"--workdir={other}", *words],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    losses = [
        [json.loads(line)["loss"] for line in (path / "metrics.jsonl").read_text().splitlines()]
        for path in (run, other)
    ]
    np.testing.assert_allclose(losses[0], losses[1], **TOLERANCE["decoding"])
