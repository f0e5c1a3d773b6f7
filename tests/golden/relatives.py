"""Configs of small models: relatives of Llama as in `config.json`, a nanoGPT as its model_args."""

from __future__ import annotations

from typing import Any

_SIZES = {
    "vocab_size": 11,
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 8,
}
RELATIVES: dict[str, dict[str, Any]] = {
    # Of the three rates, one turns often enough within 64 tokens to be kept, one is between.
    "llama": {
        **_SIZES,
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": True,
        "mlp_bias": True,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "qwen2": {
        **{name: size for name, size in _SIZES.items() if name != "head_dim"},
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": 24,
        "rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0},
    },
    "gemma": {
        **_SIZES,
        "architectures": ["GemmaForCausalLM"],
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 500.0, "factor": 2.0},
    },
}
"""Config by name in hf_relatives.npz."""
NANOGPT: dict[str, Any] = {
    "n_layer": 2,
    "n_head": 3,
    "n_embd": 12,
    "block_size": 9,
    "bias": False,
    "vocab_size": 11,
    "dropout": 0.2,
}
