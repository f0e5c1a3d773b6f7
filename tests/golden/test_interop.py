"""Imported files of PyTorch and Hugging Face against the outputs of those libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.interop.files import Tensors
from seqmodels.interop.plan import plan_tensors
from seqmodels.interop.tables import flatten
from tests.golden.relatives import NANOGPT, RELATIVES
from tests.golden.torch_recurrent import GOLDEN, LENGTHS
from tests.interop.loading import (
    cross_entropy,
    golden,
    load,
    load_plan,
    write_folder,
    write_state,
)
from tests.peers.compare import assert_gradients_match, assert_outputs_match

ROTATING = {
    "vocab_size": 11,
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "head_dim": 6,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 7,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
}
DECODERS: dict[str, dict[str, Any]] = {
    "hf_gpt2.npz": {
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": 11,
        "n_positions": 9,
        "n_embd": 12,
        "n_layer": 2,
        "n_head": 3,
    },
    "hf_llama.npz": {"architectures": ["LlamaForCausalLM"], **ROTATING, "num_key_value_heads": 1},
    "hf_mistral.npz": {
        "architectures": ["MistralForCausalLM"],
        **ROTATING,
        "num_key_value_heads": 2,
        "sliding_window": 3,
    },
}
ENCODER = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
}
BERT = {
    "architectures": ["BertForPreTraining"],
    **ENCODER,
    "vocab_size": 11,
    "max_position_embeddings": 7,
}
VIT = {
    "architectures": ["ViTForImageClassification"],
    **ENCODER,
    "image_size": [8, 12],
    "patch_size": 4,
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(name: str, tmp_path: Path) -> None:
    params, grads, values = golden(name)
    loaded = load(write_folder(tmp_path / "folder", DECODERS[name], params))
    assert loaded.fresh == []
    tokens = jnp.asarray(values["tokens"])

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = loaded.outputs(params, tokens)
        return cross_entropy(logits, jnp.roll(tokens, -1, 1)), logits

    got, logits = jax.jit(jax.grad(loss, has_aux=True))(loaded.params)
    assert_outputs_match(logits, values["logits"])
    assert_gradients_match(flatten(got), loaded.gradients(grads))


def outputs(loaded: Any, run: Any, *inputs: jax.Array) -> Any:
    """What `run(model, *inputs)` returns, as one program, in numpy."""
    call = jax.jit(lambda params: loaded.model.apply({"params": params}, *inputs, method=run))
    return jax.device_get(call(loaded.params))


def test_bert(tmp_path: Path) -> None:
    params, _, values = golden("hf_bert.npz")
    loaded = load(write_folder(tmp_path / "folder", BERT, params))
    assert loaded.fresh == []
    tokens, types, real = (jnp.asarray(values[n]) for n in ("tokens", "types", "real"))

    def run(model: Any) -> tuple[jax.Array, jax.Array]:
        features, _ = model(tokens, segment_ids=real, token_types=types, train=False)
        return model.readout(features), model.next_sentence_logits(features)

    logits, next_sentence = outputs(loaded, run)
    there = np.asarray(real) > 0
    assert_outputs_match(logits[there], values["logits"][there])
    assert_outputs_match(next_sentence, values["next_sentence"])


def test_vit(tmp_path: Path) -> None:
    params, grads, values = golden("hf_vit.npz")
    loaded = load(write_folder(tmp_path / "folder", VIT, params))
    images = jnp.asarray(values["images"].transpose(0, 2, 3, 1))

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = loaded.outputs(params, images)
        return cross_entropy(logits, jnp.asarray(values["classes"])), logits

    got, logits = jax.jit(jax.grad(loss, has_aux=True))(loaded.params)
    assert_outputs_match(logits, values["logits"])
    assert_gradients_match(flatten(got), loaded.gradients(grads))


def test_lstm_between_embedding_and_head(tmp_path: Path) -> None:
    params, grads, values = golden("torch_lstm.npz")
    loaded = load(write_state(tmp_path / "lstm.safetensors", params))
    assert loaded.fresh == []
    tokens = jnp.asarray(values["tokens"])

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = loaded.outputs(params, tokens)
        return cross_entropy(logits, jnp.roll(tokens, -1, 1)), logits

    got, logits = jax.jit(jax.grad(loss, has_aux=True))(loaded.params)
    assert_outputs_match(logits, values["logits"])
    assert_gradients_match(flatten(got), loaded.gradients(grads))


@pytest.mark.parametrize("name", [*reversed(GOLDEN)])
def test_recurrent_layers_alone(name: str, tmp_path: Path) -> None:
    stored, _, values = golden("torch_recurrent.npz", f"{name}/")
    overrides = [("model.cell", "rnn_relu")] if name == "rnn_relu" else []
    loaded = load(write_state(tmp_path / "layers.safetensors", stored), *overrides)
    assert loaded.fresh == ["head/Dense_0/bias", "head/Dense_0/kernel"]
    bidirectional = any(key.endswith("_reverse") for key in stored)
    states = [jnp.asarray(values[k]) for k in ("state_0", "state_1") if k in values]

    def run(model: Any, x: jax.Array) -> jax.Array:
        first = model.layers.initial_state(x.shape[0])
        leaves, tree = jax.tree.flatten(first)
        # torch has [layer and direction, B, N] for each part of a state; in ours, parts come last.
        order = _backward_first if bidirectional else lambda n: n
        number = len(leaves) // len(states)
        given = [part[order(n)] for n in range(number) for part in states]
        valid = None
        if GOLDEN[name].ragged:
            valid = jnp.arange(x.shape[1])[None] < jnp.asarray(LENGTHS)[:, None]
        return model.layers(model.embedding(x), tree.unflatten(given), None, valid, train=False)[0]

    y = outputs(loaded, run, jnp.asarray(values["x"]))
    assert_outputs_match(y, values["output/0"])


def _backward_first(n: int) -> int:
    """Index that accounts for sorted keys of a dict, where backward precedes forward."""
    return n ^ 1


@pytest.mark.parametrize("placement", ["post", "pre"])
def test_transformer_between_embeddings_and_generator(placement: str, tmp_path: Path) -> None:
    params, _, values = golden(f"torch_transformer_{placement}.npz")
    overrides = {"num_heads": "2", "norm_placement": placement, "position": "sinusoidal"}
    loaded = load(
        write_state(tmp_path / "transformer.safetensors", params),
        *[(f"model.{name}", text) for name, text in overrides.items()],
    )
    assert loaded.fresh == []
    source, tokens = jnp.asarray(values["source"]), jnp.asarray(values["tokens"])

    def run(model: Any) -> jax.Array:
        real = jnp.asarray(values["source_real"], jnp.int32)
        memory = model.encode(source, segment_ids=real, train=False)
        here = jnp.asarray(values["real"], jnp.int32)
        features, _ = model(tokens, memory=memory, segment_ids=here, train=False)
        return model.readout(features)

    there = values["real"] > 0
    assert_outputs_match(np.asarray(outputs(loaded, run))[there], values["logits"][there])


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_of_llama(name: str, tmp_path: Path) -> None:
    tokens = golden("hf_relatives.npz")[2]["tokens"]
    params, _, values = golden("hf_relatives.npz", f"{name}/")
    loaded = load(write_folder(tmp_path / "folder", RELATIVES[name], params))
    assert loaded.fresh == []
    assert loaded.plan.match().unused == ()
    assert_outputs_match(loaded(jnp.asarray(tokens)), values["logits"])


def test_nanogpt() -> None:
    """As `torch.load` reads ckpt.pt; tests/peers writes such a file."""
    tokens = golden("hf_relatives.npz")[2]["tokens"]
    params, _, values = golden("hf_relatives.npz", "nanogpt/")
    shapes = {name: x.shape for name, x in params.items()}
    tensors = Tensors("ckpt.pt", shapes, params.__getitem__, settings=NANOGPT)
    loaded = load_plan(plan_tensors(Path("ckpt.pt"), tensors))
    assert loaded.fresh == []
    assert loaded.plan.config.model.dropout_rate == 0.2
    assert_outputs_match(loaded(jnp.asarray(tokens)), values["logits"])


def test_bert_from_tensorflow_calls_the_parts_of_its_norms_gamma_and_beta(tmp_path: Path) -> None:
    params, _, _ = golden("hf_bert.npz")
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    old = {}
    for name, array in params.items():
        end = next((end for end in names if name.endswith(end)), "")
        old[name.removesuffix(end) + names.get(end, "")] = array
    assert old.keys() != params.keys()
    new = load(write_folder(tmp_path / "new", BERT, params))
    loaded = load(write_folder(tmp_path / "old", BERT, old))
    assert loaded.fresh == []
    assert loaded.plan.match().unused == ()
    jax.tree.map(np.testing.assert_array_equal, loaded.params, new.params)
