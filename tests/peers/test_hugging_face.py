"""Models of transformers and torch with random weights, imported and compared with ours.

Covers outputs, gradients of every parameter, greedy generation, and loading of exported models.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.decoding.decoder import Decoder
from seqmodels.decoding.sampling import Sampling
from seqmodels.interop.tables import flatten
from tests.experiments.conftest import FrontDoor, door, logging_as_it_was
from tests.interop.conftest import byte_level
from tests.interop.loading import Loaded, load, write_state
from tests.peers.compare import assert_gradients_match, assert_outputs_match

torch = pytest.importorskip("torch", reason="make test-peers installs it")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", reason="make test-peers installs it")

__all__ = ["door", "logging_as_it_was"]

B, T, D, H, F, V, L = 2, 7, 12, 3, 20, 29, 2
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ENCODER = {
    "hidden_size": D,
    "num_hidden_layers": L,
    "num_attention_heads": H,
    "intermediate_size": F,
    **QUIET,
}
ROTATING = {
    "vocab_size": V,
    "hidden_size": D,
    "num_hidden_layers": L,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": F,
    "head_dim": 6,
    "max_position_embeddings": 48,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}


def gpt2(**more: Any) -> Any:
    values = {"n_embd": D, "n_layer": L, "n_head": H, "n_positions": 48, "vocab_size": V, **more}
    no_end = {"bos_token_id": None, "eos_token_id": None}
    quiet = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**values, **no_end, **quiet))


def llama(**more: Any) -> Any:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**ROTATING, **more))


def qwen2(**more: Any) -> Any:
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**ROTATING, **more))


def gemma(**more: Any) -> Any:
    return transformers.GemmaForCausalLM(transformers.GemmaConfig(**ROTATING, **more))


def rope(kind: str, **more: Any) -> dict[str, Any]:
    """Scaled rotary angles of a Llama."""
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 500.0, **more}}


LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 47}


def mistral() -> Any:
    config = transformers.MistralConfig(**ROTATING, sliding_window=3)
    return transformers.MistralForCausalLM(config)


DECODERS: dict[str, Callable[[], Any]] = {
    "gpt2": gpt2,
    "gpt2, wide and exact": lambda: gpt2(n_inner=F, activation_function="gelu"),
    "llama": llama,
    "llama, tied": lambda: llama(tie_word_embeddings=True),
    "mistral": mistral,
    "llama, biased attention": lambda: llama(attention_bias=True),
    "llama, biased mlp": lambda: llama(mlp_bias=True, tie_word_embeddings=True),
    "llama, linear": lambda: llama(**rope("linear", factor=4.0)),
    "llama, dynamic": lambda: llama(**rope("dynamic", factor=4.0)),
    "llama, llama3": lambda: llama(**rope("llama3", factor=8.0, **LLAMA3)),
    "qwen2": qwen2,
    "qwen2, tied": lambda: qwen2(tie_word_embeddings=True),
    "gemma": gemma,
    "gemma, biased": lambda: gemma(attention_bias=True),
}


def spread(module: Any, seed: int = 0) -> Any:
    """Randomises all parameters, including scales of norms and biases."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, mean=float(bool((parameter == 1).all())), std=0.3)
    return module.train(False)


def saved(module: Any, folder: Path) -> Loaded:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.save_pretrained(folder)
    loaded = load(folder)
    assert loaded.fresh == []
    assert loaded.plan.match().unused == ()
    return loaded


def arrays(module: Any, gradients: bool = False) -> dict[str, np.ndarray]:
    """Parameters or gradients by the module's names."""
    named = module.named_parameters()
    return {n: (p.grad if gradients else p).detach().numpy() for n, p in named}


def weigh(shape: tuple[int, ...]) -> np.ndarray:
    """Random weights of all outputs, whose weighted sum is the loss."""
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def tokens_of(size: int = V, shape: tuple[int, ...] = (B, T)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, size, shape)


def compare(loaded: Loaded, module: Any, outputs: Any, inputs: Any, **more: Any) -> None:
    """Compares outputs, and gradients of their weighted sum mapped by the rules for weights."""
    weights = weigh(tuple(outputs.shape))
    (outputs * torch.tensor(weights)).sum().backward()

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        y = loaded.outputs(params, jnp.asarray(inputs), **more)
        return (y * weights).sum(), y

    got, y = jax.jit(jax.grad(loss, has_aux=True))(loaded.params)
    assert_outputs_match(y, outputs.detach().numpy())
    wanted = loaded.gradients(arrays(module, gradients=True))
    got = flatten(got)
    for path in wanted:
        if path.endswith("attention/qkv/bias"):
            # The softmax cancels what a key's bias adds to all scores, so both are noise.
            got[path], wanted[path] = (_without_key(x) for x in (got[path], wanted[path]))
    assert_gradients_match({path: got[path] for path in wanted}, wanted)


def _without_key(bias: Any) -> np.ndarray:
    return np.delete(np.asarray(bias), -2, axis=-2)


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(name: str, tmp_path: Path) -> None:
    module, tokens = spread(DECODERS[name]()), tokens_of()
    loaded = saved(module, tmp_path / "folder")
    compare(loaded, module, module(torch.tensor(tokens), use_cache=False).logits, tokens)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral", "llama, llama3", "qwen2"])
def test_greedy_generation_token_for_token(name: str, tmp_path: Path) -> None:
    module = spread(DECODERS[name](), seed=5)
    loaded = saved(module, tmp_path / "folder")
    prompt = tokens_of(shape=(3, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = module.generate(
            torch.tensor(prompt),
            attention_mask=torch.ones(3, 5, dtype=torch.int64),
            max_new_tokens=30,
            do_sample=False,
            pad_token_id=0,
        )[:, 5:].numpy()
    sampling = Sampling(0.0, None, None)
    made = Decoder(loaded.model).generate(
        loaded.params, list(prompt), max_tokens=30, sampling=sampling, seed=0
    )
    np.testing.assert_array_equal(made.tokens, wanted)
    assert len(np.unique(wanted)) > 3


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
@pytest.mark.parametrize("bias", [False, True])
def test_nanogpt(bias: bool, prefix: str, tmp_path: Path, door: FrontDoor) -> None:
    """A GPT-2 with the exact GELU, written as nanoGPT's train.py writes ckpt.pt."""
    module = spread(gpt2(activation_function="gelu"))
    state: dict[str, Any] = {}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if not bias and name.endswith("bias"):
                parameter.zero_()
            else:  # Conv1D has [in, out], a linear layer [out, in]
                there = parameter.T if ".c_" in name and parameter.ndim == 2 else parameter
                state[prefix + name] = there.detach().clone()
    state[f"{prefix}lm_head.weight"] = state[f"{prefix}transformer.wte.weight"]
    state[f"{prefix}transformer.h.0.attn.bias"] = torch.ones(1, 1, 48, 48).tril()
    sizes = {"n_layer": L, "n_head": H, "n_embd": D, "block_size": 48, "vocab_size": V}
    checkpoint = {
        "model": state,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.95)}]},
        "model_args": {**sizes, "bias": bias, "dropout": 0.0},
        "iter_num": 3,
        "best_val_loss": torch.tensor(2.5),
        "config": {"out_dir": "out", "compile": True},
    }
    torch.save(checkpoint, tmp_path / "ckpt.pt")
    loaded, tokens = load(tmp_path / "ckpt.pt"), tokens_of()
    assert loaded.fresh == []
    assert loaded.plan.match().unused == ()
    assert loaded.plan.config.model.use_bias == bias
    logits = module(torch.tensor(tokens)).logits.detach().numpy()
    assert_outputs_match(loaded(jnp.asarray(tokens)), logits)
    checkpoint["model_args"]["n_layer"] = 3
    torch.save(checkpoint, tmp_path / "ckpt.pt")
    words = ("import", f"--from={tmp_path / 'ckpt.pt'}", f"--workdir={tmp_path / 'run'}")
    said = door(*words, "--config.data.tokenizer=byte").line
    assert "missing" in said and "transformer.h.2.ln_1.weight" in said


def test_quantised_tensors_of_torch_are_refused(tmp_path: Path, door: FrontDoor) -> None:
    state = torch.nn.LSTM(D, 5).state_dict()
    state["weight_hh_l0"] = (100 * state["weight_hh_l0"]).to(torch.int8)
    torch.save(state, tmp_path / "state.pt")
    line = door("import", f"--from={tmp_path / 'state.pt'}", f"--workdir={tmp_path / 'run'}").line
    assert "tensor weight_hh_l0 of torch.int8: quantised weights are not supported" in line


def test_bert_from_tensorflow(tmp_path: Path) -> None:
    """transformers reads the old names of the parts of a norm too."""
    config = transformers.BertConfig(vocab_size=V, max_position_embeddings=9, **ENCODER)
    module = spread(transformers.BertForMaskedLM(config))
    saved(module, tmp_path / "folder")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): x
        for name, x in arrays(module).items()
    }
    write_state(tmp_path / "folder" / "model.safetensors", old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = transformers.BertForMaskedLM.from_pretrained(tmp_path / "folder").train(False)
    tokens = 1 + tokens_of(V - 1)
    wanted = theirs(torch.tensor(tokens)).logits.detach().numpy()
    assert_outputs_match(load(tmp_path / "folder")(jnp.asarray(tokens)), wanted)


BERTS = {
    "BertForMaskedLM": lambda out: out.logits,
    "BertForPreTraining": lambda out: out.prediction_logits,
    "BertForSequenceClassification": lambda out: out.logits,
}


@pytest.mark.parametrize("name", BERTS)
def test_bert(name: str, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=V, max_position_embeddings=9, num_labels=4, classifier_dropout=0.0, **ENCODER
    )
    module = spread(getattr(transformers, name)(config))
    loaded = saved(module, tmp_path / "folder")
    # Token 0 is padding in BERT, and its vector gets no gradient.
    tokens, types = 1 + tokens_of(V - 1), tokens_of(2)
    out = module(torch.tensor(tokens), token_type_ids=torch.tensor(types))
    outputs = BERTS[name](out)
    if name == "BertForPreTraining":  # its gradients are those of one of two outputs
        module.zero_grad()
        (out.seq_relationship_logits * 0).sum().backward(retain_graph=True)
    compare(loaded, module, outputs, tokens, token_types=jnp.asarray(types))


def test_vit(tmp_path: Path) -> None:
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_labels=5, **ENCODER)
    module = spread(transformers.ViTForImageClassification(config))
    images = np.random.default_rng(0).normal(size=(B, 8, 8, 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.save_pretrained(tmp_path / "folder")
    loaded = load(tmp_path / "folder")
    logits = module(torch.tensor(images.transpose(0, 3, 1, 2))).logits
    assert_outputs_match(loaded(jnp.asarray(images)), logits.detach().numpy())
    # Its parameters have other names in memory than in the file; the state dict has the former.
    write_state(tmp_path / "folder" / "model.safetensors", arrays(module))
    compare(load(tmp_path / "folder"), module, logits, images)


class Around(torch.nn.Module):
    """Recurrent layers between an embedding and a linear layer."""

    def __init__(self, layers: Any, width: int) -> None:
        super().__init__()
        self.encoder = torch.nn.Embedding(V, D)
        self.rnn = layers
        self.decoder = torch.nn.Linear(width, V)

    def forward(self, tokens: Any) -> Any:
        return self.decoder(self.rnn(self.encoder(tokens))[0])


@pytest.mark.parametrize("module", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent(module: str, num_layers: int, bidirectional: bool, tmp_path: Path) -> None:
    """State dicts written by torch.save."""
    size = 5
    keywords = {"batch_first": True, "bidirectional": bidirectional}
    layers = getattr(torch.nn, module)(D, size, num_layers, **keywords)
    peer = spread(Around(layers, size * (1 + bidirectional)))
    torch.save(peer.state_dict(), tmp_path / "state.pt")
    loaded = load(tmp_path / "state.pt")
    assert loaded.fresh == []
    tokens = tokens_of()
    compare(loaded, peer, peer(torch.tensor(tokens)), tokens)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lstm_with_a_projection(bidirectional: bool, tmp_path: Path) -> None:
    keywords = {"batch_first": True, "bidirectional": bidirectional, "proj_size": 4}
    peer = spread(Around(torch.nn.LSTM(D, 5, 2, **keywords), 4 * (1 + bidirectional)))
    torch.save(peer.state_dict(), tmp_path / "state.pt")
    loaded, tokens = load(tmp_path / "state.pt"), tokens_of()
    assert loaded.fresh == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has no fast path
        outputs = peer(torch.tensor(tokens))
    compare(loaded, peer, outputs, tokens)


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_alone(norm_first: bool, tmp_path: Path) -> None:
    """nn.Transformer alone, from values to features."""
    settings = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pre-norm layers cannot use a fast path
        module = spread(torch.nn.Transformer(D, 4, L, L + 1, F, **settings))
    torch.save(module.state_dict(), tmp_path / "state.pt")
    placement = "pre" if norm_first else "post"
    loaded = load(
        tmp_path / "state.pt", ("model.num_heads", "4"), ("model.norm_placement", placement)
    )
    rng = np.random.default_rng(0)
    source, target = (rng.normal(size=(B, n, D)).astype(np.float32) for n in (5, T))
    mask = torch.nn.Transformer.generate_square_subsequent_mask(T)
    wanted = module(torch.tensor(source), torch.tensor(target), tgt_mask=mask)

    def run(model: Any) -> jax.Array:
        memory = model.encode(jnp.asarray(source), train=False)
        return model(jnp.asarray(target), memory=memory, train=False)[0]

    got = loaded.model.apply({"params": loaded.params}, method=run)
    assert_outputs_match(got, wanted.detach().numpy())


def test_exported_models_load_in_transformers(tmp_path: Path, door: FrontDoor) -> None:
    module = spread(gpt2(vocab_size=288))
    saved(module, tmp_path / "folder")
    byte_level(tmp_path / "folder")
    run, to = tmp_path / "run", tmp_path / "to"
    assert door("import", f"--from={tmp_path / 'folder'}", f"--workdir={run}").status == 0
    assert door("export", f"--workdir={run}", f"--to={to}").status == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back = transformers.AutoModelForCausalLM.from_pretrained(to).train(False)
        tokenizer = transformers.AutoTokenizer.from_pretrained(to)
    tokens = torch.tensor(tokens_of(288))
    assert torch.equal(back(tokens).logits, module(tokens).logits)
    assert tokenizer.decode(tokenizer("the cat, née")["input_ids"]) == "the cat, née"
