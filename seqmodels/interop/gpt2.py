"""Conversion between Hugging Face's GPT-2 (`GPT2LMHeadModel`, `GPT2Model`) and our `gpt`.

Its linear layers ("Conv1D") have kernels [in, out], as ours do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqmodels.config.models import Activation
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.transformers import GPTConfig, NormPlacement, Position
from seqmodels.config.transformers import Norm as NormKind
from seqmodels.interop.attention import joint_bias, joint_kernel
from seqmodels.interop.settings import ACTIVATIONS, Settings
from seqmodels.interop.tables import Conversion, Rule, Shape, same, text_spec, transposed

ARCHITECTURE = "GPT2LMHeadModel"
# Old files hold the causal mask as a buffer; the tied head is an alias of the table.
HARMLESS = (r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)", r"lm_head\.weight")


def convert(settings: Settings, shapes: Mapping[str, Shape], architecture: str) -> Conversion:
    """Conversion of a folder.

    Raises:
      UserError: a field asks for something that `gpt` does not compute.
    """
    settings.require(
        add_cross_attention=False,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        tie_word_embeddings=True,
    )
    width = settings.integer("n_embd", 768)
    rate, notes = settings.dropout("resid_pdrop", "embd_pdrop", "attn_pdrop", default=0.1)
    model = GPTConfig(
        num_layers=settings.integer("n_layer", 12),
        model_dim=width,
        num_heads=settings.integer("n_head", 12),
        mlp_dim=settings.integer("n_inner", 4 * width),
        max_length=settings.integer("n_positions", 1024),
        dropout_rate=rate,
        norm_epsilon=settings.number("layer_norm_epsilon", 1e-5),
        activation=settings.choice("activation_function", ACTIVATIONS, "gelu_new"),
        use_bias=True,
    )
    vocab_size = settings.integer("vocab_size", 50257)
    prefix = "transformer." if any(name.startswith("transformer.") for name in shapes) else ""
    return Conversion(
        architecture,
        model,
        LanguageModelConfig(),
        text_spec(vocab_size),
        lambda model: rules(model, vocab_size, prefix),
        HARMLESS,
        notes,
    )


def rules(
    model: GPTConfig,
    vocab_size: int,
    prefix: str = "transformer.",
    *,
    outputs_first: bool = False,
) -> tuple[Rule, ...]:
    """Rules from tensors of the file to parameters of the model.

    Args:
      outputs_first: kernels are stored [out, in], as in a linear layer of PyTorch.
    """
    d, f = model.model_dim, model.mlp_dim
    layers: dict[str, Any] = {"layers": model.num_layers}

    def kernel(path: str, name: str, inputs: int, outputs: int) -> Rule:
        if outputs_first:
            return transposed(path, name, outputs, inputs, **layers)
        return same(path, name, inputs, outputs, **layers)

    block, there, sizes = "stack/blocks", f"{prefix}h.{{}}", (d, model.num_heads)
    return (
        same("embedding/table", f"{prefix}wte.weight", vocab_size, d),
        same("position_table/table", f"{prefix}wpe.weight", model.max_length, d),
        same(f"{block}/attention_norm/scale", f"{there}.ln_1.weight", d, **layers),
        same(f"{block}/attention_norm/bias", f"{there}.ln_1.bias", d, **layers),
        joint_kernel(
            *(f"{block}/attention/qkv/kernel", f"{there}.attn.c_attn.weight", sizes),
            outputs_first=outputs_first,
            **layers,
        ),
        joint_bias(f"{block}/attention/qkv/bias", f"{there}.attn.c_attn.bias", sizes, **layers),
        kernel(f"{block}/attention/out/kernel", f"{there}.attn.c_proj.weight", d, d),
        same(f"{block}/attention/out/bias", f"{there}.attn.c_proj.bias", d, **layers),
        same(f"{block}/feedforward_norm/scale", f"{there}.ln_2.weight", d, **layers),
        same(f"{block}/feedforward_norm/bias", f"{there}.ln_2.bias", d, **layers),
        kernel(f"{block}/feedforward/wide/kernel", f"{there}.mlp.c_fc.weight", d, f),
        same(f"{block}/feedforward/wide/bias", f"{there}.mlp.c_fc.bias", f, **layers),
        kernel(f"{block}/feedforward/out/kernel", f"{there}.mlp.c_proj.weight", f, d),
        same(f"{block}/feedforward/out/bias", f"{there}.mlp.c_proj.bias", d, **layers),
        same("stack/final_norm/scale", f"{prefix}ln_f.weight", d),
        same("stack/final_norm/bias", f"{prefix}ln_f.bias", d),
    )


_NAMES = {
    Activation.GELU: "gelu_new",
    Activation.GELU_EXACT: "gelu",
    Activation.RELU: "relu",
}


def needs(model: GPTConfig) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Field of the model -> its value and the values that the format can express."""
    return {
        "norm": (model.norm, (NormKind.LAYER,)),
        "norm_placement": (model.norm_placement, (NormPlacement.PRE,)),
        "position": (model.position, (Position.LEARNED,)),
        "activation": (model.activation, tuple(_NAMES)),
        "num_kv_heads": (model.num_kv_heads, (None, model.num_heads)),
        "head_dim": (model.head_dim, (None, model.model_dim // model.num_heads)),
        "window": (model.window, (None,)),
        "scale_embeddings": (model.scale_embeddings, (False,)),
        "tie_embeddings": (model.tie_embeddings, (True,)),
    }


def describe(model: GPTConfig, vocab_size: int) -> dict[str, Any]:
    """The `config.json` of an exported model."""
    rate = model.dropout_rate
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "gpt2",
        "vocab_size": vocab_size,
        "n_positions": model.max_length,
        "n_embd": model.model_dim,
        "n_layer": model.num_layers,
        "n_head": model.num_heads,
        "n_inner": model.mlp_dim,
        "activation_function": _NAMES[model.activation],
        "layer_norm_epsilon": model.norm_epsilon,
        "resid_pdrop": rate,
        "embd_pdrop": rate,
        "attn_pdrop": rate,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
    }
