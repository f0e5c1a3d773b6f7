"""A wrong or damaged file is reported in one line and leaves nothing half imported."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.interop.conftest import FrontDoor, change_config
from tests.interop.loading import write_state

ROOT = Path(__file__).parents[2]
Damage = Callable[[Path], Any]


def weights(change: Callable[[dict[str, np.ndarray]], Any]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "model.safetensors"
        arrays = load_file(path)
        change(arrays)
        save_file(arrays, path)

    return damage


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def drop(arrays: dict[str, np.ndarray]) -> None:
    for layer in range(2):
        for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
            del arrays[f"transformer.h.{layer}.{part}.weight"]


def turn(arrays: dict[str, np.ndarray]) -> None:
    name = "transformer.h.1.mlp.c_fc.weight"
    arrays[name] = np.ascontiguousarray(arrays[name].T)


def quantise(arrays: dict[str, np.ndarray]) -> None:
    name = "transformer.h.1.mlp.c_fc.weight"
    arrays[name] = np.round(100 * arrays[name]).astype(np.int8)


def pack(arrays: dict[str, np.ndarray]) -> None:
    name = "transformer.h.1.mlp.c_fc.weight"
    arrays[name.replace("weight", "qweight")] = arrays.pop(name).view(np.int32)


def config(**values: Any) -> Damage:
    return lambda folder: change_config(folder, **values)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a file cut short": (cut, "damaged, or not a safetensors file"),
    "an empty file": (lambda f: (f / "model.safetensors").write_bytes(b""), "damaged"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "neither model.safetensors nor"),
    "broken JSON": (lambda f: (f / "config.json").write_text('{"a'), "damaged: not JSON"),
    "JSON without an object": (
        lambda f: (f / "config.json").write_text("[]"),
        "must hold an object",
    ),
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "missing tensors": (
        weights(drop),
        "missing 8: tensors transformer.h.0.attn.c_attn.weight, transformer.h.1.attn.c_attn.weight,"
        " transformer.h.0.attn.c_proj.weight, transformer.h.1.attn.c_proj.weight, "
        "transformer.h.0.mlp.c_fc.weight and 3 more",
    ),
    "a wrong shape": (
        weights(turn),
        "transformer.h.1.mlp.c_fc.weight has shape [48, 12], expected [12, 48]",
    ),
    "an unknown architecture": (
        config(architectures=["GPT2LMHeadModle"]),
        "unknown architecture GPT2LMHeadModle; did you mean 'GPT2LMHeadModel'?; known: GPT2LMHead",
    ),
    "no architecture": (config(architectures=[]), "does not name an architecture"),
    "an activation": (
        config(activation_function="mish"),
        "activation_function=mish is not supported; allowed: gelu_new,",
    ),
    "a scale of each layer": (
        config(scale_attn_by_inverse_layer_idx=True),
        "scale_attn_by_inverse_layer_idx=true is not supported; allowed: false",
    ),
    "a word for a number": (config(n_layer="two"), "n_layer=two is not supported; allowed: an i"),
    "heads that do not divide": (config(n_head=5), "model.num_heads=5: must divide model_dim, 12"),
    "a smaller vocabulary than the tokenizer's": (
        config(vocab_size=100),
        "transformer.wte.weight has shape [288, 12], expected [100, 12]",
    ),
    "a billion layers": (
        config(n_layer=10**9),
        "model.num_layers=1000000000: the file has only 28 tensors",
    ),
    "a vast width": (config(n_embd=21 * 10**8), "has shape [288, 12], expected [288, 2100000000]"),
    "an odd vast width": (config(n_embd=2**31 - 1), "model.num_heads=3: must divide model_dim"),
    "more than an int32": (
        config(n_positions=2**31),
        "n_positions=2147483648 is not supported; allowed: an integer from 1 to 2147483647",
    ),
    "an infinite rate": (
        config(resid_pdrop=float("inf")),
        "resid_pdrop=inf is not supported; allowed: a number of 0 or more",
    ),
    "a nest of lists": (
        lambda f: (f / "config.json").write_text("[" * 10**5),
        "config.json: damaged: not JSON",
    ),
    "quantised weights": (
        config(quantization_config={"quant_method": "gptq", "bits": 4}),
        "quantization_config={'quant_method': 'gptq', 'bits': 4}: quantised weights are not supp",
    ),
    "weights of 8 bits": (
        weights(quantise),
        "tensor transformer.h.1.mlp.c_fc.weight of I8: quantised weights are not supported; "
        "allowed: float32, float64, float16, bfloat16",
    ),
    "weights that are packed": (
        weights(pack),
        "tensor transformer.h.1.mlp.c_fc.qweight of I32: quantised weights are not supported",
    ),
    "a damaged tokenizer": (
        lambda f: (f / "tokenizer.json").write_text("{}"),
        "tokenizer.json: not a tokenizer file",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder(name: str, copy_of_folder: Path, door: FrontDoor) -> None:
    damage, expected = DAMAGES[name]
    damage(copy_of_folder)
    place = copy_of_folder.parent
    before = sorted(place.iterdir())
    line = door("import", f"--from={copy_of_folder}", f"--workdir={place / 'run'}").line
    assert expected in line
    assert sorted(place.iterdir()) == before


LLAMA: dict[str, Any] = {"architectures": ["LlamaForCausalLM"]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "rope_scaling={'type': 'yarn'"),
        (
            {"rope_parameters": {"rope_type": "yarn"}},
            "rope_parameters={'rope_type': 'yarn'} is not supported; allowed: rope_type default, "
            "linear, dynamic, llama3",
        ),
        (
            {"architectures": ["MistralModel"], "mlp_bias": True},
            "mlp_bias=true is not supported; allowed: false",
        ),
        (
            {"architectures": ["Qwen2Model"], "layer_types": ["full_attention", "sliding"]},
            "layer_types=['full_attention', 'sliding'] is not supported",
        ),
        ({"hidden_act": "relu"}, "hidden_act=relu is not supported; allowed: silu"),
    ],
)
def test_unsupported_settings_of_llama(
    values: dict[str, Any], expected: str, copy_of_folder: Path, door: FrontDoor
) -> None:
    (copy_of_folder / "config.json").write_text(json.dumps({**LLAMA, **values}))
    words = ("import", f"--from={copy_of_folder}", f"--workdir={copy_of_folder / 'run'}")
    assert expected in door(*words).line


BERT_SAYS = "position_embedding_type=relative_key is not supported; allowed: absolute"


def test_unsupported_settings_of_bert(copy_of_folder: Path, door: FrontDoor) -> None:
    values = {"architectures": ["BertForMaskedLM"], "position_embedding_type": "relative_key"}
    (copy_of_folder / "config.json").write_text(json.dumps(values))
    words = ("import", f"--from={copy_of_folder}", f"--workdir={copy_of_folder / 'run'}")
    assert BERT_SAYS in door(*words).line


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"a.weight": (2, 2)}, "not of a known architecture"),
        ({"weight_ih_l0": (5, 3), "weight_hh_l0": (5, 4)}, "not a layer of nn.RNN"),
        (
            {"a.weight_ih_l0": (4, 3), "a.weight_hh_l0": (4, 4), "b.weight_ih_l0": (4, 3)},
            "more than one recurrent module: tensors a.weight_ih_l0, b.weight_ih_l0",
        ),
        (
            {"weight_ih_l0": (4, 3), "weight_hh_l0": (4, 4), "x.weight": (2, 9)},
            "x.weight [2, 9]: recurrent layers may come with one embedding [.., 3]",
        ),
        (
            {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 2), "weight_hr_l0": (2, 5)},
            "weight_hr_l0 has shape [2, 5], expected [2, 4]",
        ),
    ],
)
def test_unknown_state_dicts(
    names: dict[str, tuple[int, ...]], expected: str, tmp_path: Path, door: FrontDoor
) -> None:
    source = write_state(tmp_path / "x.safetensors", {n: np.zeros(s) for n, s in names.items()})
    assert expected in door("import", f"--from={source}", f"--workdir={tmp_path / 'run'}").line


def test_a_pickle_is_not_loaded(tmp_path: Path, door: FrontDoor) -> None:
    """The message depends on whether torch is installed; the code in the file never runs."""
    path = tmp_path / "state.pt"
    path.write_bytes(pickle.dumps({"a": os.getcwd}))
    line = door("import", f"--from={path}", f"--workdir={tmp_path / 'run'}").line
    assert "weights_only=True" in line or "needs torch" in line


def test_without_torch(tmp_path: Path, door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "state.pt").write_bytes(b"anything")
    line = door("import", f"--from={tmp_path / 'state.pt'}", f"--workdir={tmp_path / 'run'}").line
    assert "needs torch, which is not installed" in line
    assert ".safetensors" in line


def test_existing_directories_are_refused(folder: Path, tmp_path: Path, door: FrontDoor) -> None:
    (tmp_path / "run").mkdir()
    words = ["import", f"--from={folder}", f"--workdir={tmp_path / 'run'}"]
    assert door(*words).status == 0  # an empty directory is fine
    assert "already exists" in door(*words).line
    (tmp_path / "to").write_text("mine")
    said = door("export", f"--workdir={tmp_path / 'run'}", f"--to={tmp_path / 'to'}")
    assert "already exists" in said.line
    assert (tmp_path / "to").read_text() == "mine"


def test_fields_that_a_format_cannot_express(folder: Path, tmp_path: Path, door: FrontDoor) -> None:
    run, to = tmp_path / "run", tmp_path / "to"
    assert door("import", f"--from={folder}", f"--workdir={run}").status == 0
    words = ["export", f"--workdir={run}", f"--to={to}"]
    assert "model.kind=gpt is exported as huggingface" in door(*words, "--format=torch").line
    values = json.loads((run / "config.json").read_text())
    values["model"]["norm"] = "rms"
    (run / "config.json").write_text(json.dumps(values))
    assert "the format has no model.norm=rms; allowed: layer" in door(*words).line
    assert not to.exists()


def test_an_override_that_does_not_fit_the_file(
    folder: Path, tmp_path: Path, door: FrontDoor
) -> None:
    words = ["import", f"--from={folder}", f"--workdir={tmp_path / 'run'}"]
    assert "tensors transformer.h.2" in door(*words, "--config.model.num_layers=3").line
    assert "the model of" in door(*words, "--config.data.tokenizer=byte").line
    assert "mean 'sequence_length'" in door(*words, "--config.data.sequence_lenght=3").line
    assert "must be at most model.max_length, 32" in (
        door(*words, "--config.data.sequence_length=64").line
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["import", "--form=x"], "did you mean 'from'?"),
        (["import", "--workdir=x"], "--from=PATH is required"),
        (["import", "--from=nowhere", "--workdir=x"], "there is no such file or folder"),
        (["export", "--workdir=nowhere"], "nowhere: no such directory"),
        (["export", "--format=onnx"], "must be one of: huggingface, torch"),
    ],
)
def test_the_front_door_answers_without_jax(words: list[str], expected: str) -> None:
    code = (
        "import sys, launch; status = launch.main(sys.argv[1:]); "
        "assert not {'jax', 'torch', 'tokenizers'} & set(sys.modules); sys.exit(status)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 5  # half a second on an idle machine


KILLED = """
import os, signal, sys
import launch
from seqmodels.runs.checkpoints import Checkpoints
save = Checkpoints.save_params
def kill(self, *words, **more):
    save(self, *words, **more)
    os.kill(os.getpid(), signal.{signal})
Checkpoints.save_params = kill
sys.exit(launch.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_kill_leaves_no_work_directory(
    name: str, folder: Path, tmp_path: Path, door: FrontDoor
) -> None:
    words = ["import", f"--from={folder}", f"--workdir={tmp_path / 'run'}"]
    code = KILLED.format(signal=name)
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True)
    assert done.returncode in (128 + signal.SIGTERM, -signal.SIGKILL), done.stderr
    assert not (tmp_path / "run").exists()
    if name == "SIGTERM":
        assert list(tmp_path.iterdir()) == []
    assert door(*words).status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
