"""Wrong versions of the import of weights."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

GOLDEN = "golden.test_interop"
BESIDE = "interop.test_files_beside_weights"
INTEROP = {
    "queries and keys of GPT-2 change places": Mutant(
        "interop.attention:joint_kernel",
        *("weight.reshape(d, 3, h, d // h)", "weight.reshape(d, 3, h, d // h)[:, [1, 0, 2]]"),
        *(f"{GOLDEN}:test_decoders", ("hf_gpt2.npz", lambda folder: folder)),
    ),
    "a square weight is not turned": Mutant(
        *("interop.tables:transposed", "lambda x: x.T, ", "lambda x: x.reshape(x.T.shape), "),
        *(f"{GOLDEN}:test_decoders", ("hf_llama.npz", lambda folder: folder)),
    ),
    "the second bias is forgotten": Mutant(
        *("interop.torch_recurrent:_layer_rules", "lambda ih, hh: ih + hh", "lambda ih, hh: ih"),
        *(f"{GOLDEN}:test_lstm_between_embedding_and_head", (lambda folder: folder,)),
    ),
    "the reset gate holds no bias apart": Mutant(
        "interop.torch_recurrent:_layer_rules",
        *("lambda hh: hh[2 * size :]", "lambda hh: 0 * hh[2 * size :]"),
        *(f"{GOLDEN}:test_recurrent_layers_alone", ("gru", lambda folder: folder)),
    ),
    "a text goes on after its end": Mutant(
        *("decoding.text_ends:GrowingTexts.take", "np.isin(tokens, self._eos)", "tokens < 0"),
        "decoding.test_text_ends:test_a_text_ends_at_a_token_that_is_not_written",
    ),
    "nothing follows the text of a classifier": Mutant(
        *("data.features.tokens:EncodedTokens.part", "feature.end.tolist()", "[]"),
        *(f"{BESIDE}:test_a_text_of_a_classifier_has_both_ends", (lambda folder: folder,)),
    ),
    "accents are kept without being asked": Mutant(
        "data.huggingface:_word_pieces",
        *('strip_accents=settings.get("strip_accents")', "strip_accents=False"),
        *(f"{BESIDE}:test_tokenizers_have_the_ids_of_transformers", (lambda folder: folder,)),
    ),
    "a mean is not rescaled": Mutant(
        "interop.preprocessing:read_preprocessing",
        *("_show(x / unit) for x in mean", "_show(x) for x in mean"),
        *(f"{BESIDE}:test_preprocessing_of_images", (lambda folder: folder,)),
    ),
    "the variance is a difference of large numbers": Mutant(
        *("layers.norms:make_norm", "use_fast_variance=False", "use_fast_variance=True"),
        "golden.test_offsets:test_a_layer_norm_of_a_large_mean",
    ),
    "the scales of Gemma's norms lack their 1": Mutant(
        *("interop.llama:rules", "lambda x: x + offset", "lambda x: x"),
        *(f"{GOLDEN}:test_relatives_of_llama", ("gemma", lambda folder: folder)),
    ),
    "Gemma's token vectors are not scaled": Mutant(
        *("models.gpt:GPT.__call__", "x = x * math.sqrt(config.model_dim)", "x = x * 1.0"),
        *(f"{GOLDEN}:test_relatives_of_llama", ("gemma", lambda folder: folder)),
    ),
    "all rotary pairs of Llama 3.1 are slowed down": Mutant(
        *("ops.positions:_rates", "if scaling.original_length is None", "if True"),
        *(f"{GOLDEN}:test_relatives_of_llama", ("llama", lambda folder: folder)),
    ),
    "biases of the gate and of the other half change places": Mutant(
        *("interop.llama:_bias_rules", "np.stack([gate, up])", "np.stack([up, gate])"),
        *(f"{GOLDEN}:test_relatives_of_llama", ("llama", lambda folder: folder)),
    ),
    "a projected LSTM has no output gate": Mutant(
        "ops.lstm:projected_lstm",
        *("jax.nn.sigmoid(o) * jnp.tanh(cell), projection", "jnp.tanh(cell), projection"),
        "golden.test_torch_recurrent:test_outputs_states_and_gradients_equal_pytorch",
        ("lstm_projected",),
    ),
}
