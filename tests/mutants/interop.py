"""Wrong versions of the import of weights."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

GOLDEN = "golden.test_interop"
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
    "the variance is a difference of large numbers": Mutant(
        *("layers.norms:make_norm", "use_fast_variance=False", "use_fast_variance=True"),
        "golden.test_offsets:test_a_layer_norm_of_a_large_mean",
    ),
}
