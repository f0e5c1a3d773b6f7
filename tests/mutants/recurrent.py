"""Wrong versions of the nonlinear cells, of both directions and of pooling."""

from __future__ import annotations

from seqmodels.config.models import Pooling
from tests.mutants.mutant import Mutant

EQUATIONS = "ops.test_rnn:test_it_is_the_equations_in_float64"
GRADIENTS = "ops.test_rnn:test_gradients_are_autodiff_s_the_restart_state_s_too"
TORCH = "golden.test_torch_recurrent:test_outputs_states_and_gradients_equal_pytorch"
CELLS, STACKS = "layers.test_cells", "layers.test_recurrent"
POOLING = "layers.test_pooling:test_pooling_is_its_formula"
BOTH_WAYS = "conformance.test_both_ways"

RECURRENT = {
    "the GRU's reset and update gates change places": Mutant(
        *("ops.rnn:_gru_loop", "reset_t, update_t = jnp", "update_t, reset_t = jnp"),
        *(TORCH, ("gru",)),
    ),
    "the GRU keeps what it should forget": Mutant(
        *("ops.rnn:_gru_loop", "n + update * (h - n)", "h + update * (n - h)"),
        *(TORCH, ("gru",)),
    ),
    "the reset gate misses the recurrent bias": Mutant(
        *("ops.rnn:_gru_loop", "z_n + r * inner", "z_n + bias[None] + r * (inner - bias[None])"),
        *(TORCH, ("gru",)),
    ),
    "reset before the product becomes reset after": Mutant(
        "ops.rnn:gru_reset_before",
        *("state_product(r * h, by_n)", "r * state_product(h, by_n)"),
        *(EQUATIONS, ("gru_reset_before",)),
    ),
    "the GRU's gradient forgets what the update gate keeps": Mutant(
        *("ops.rnn:_backward", "[d_h * kept]", "[]"),
        *(GRADIENTS, ("gru", False)),
    ),
    "the GRU's update slope has the state behind the step": Mutant(
        *("ops.rnn:_run_gru_backward", "(h_before - n)", "(hs - n)"),
        *(GRADIENTS, ("gru", False)),
    ),
    "a rectified network has tanh's slopes": Mutant(
        "ops.rnn:_run_rnn_backward",
        *("(hs > 0).astype(hs.dtype) if relu else 1 - hs * hs", "1 - hs * hs"),
        *(GRADIENTS, ("rnn_relu", False)),
    ),
    "the state that documents start from has no gradient": Mutant(
        *("ops.recurrent:divide", "jnp.where(start, d, 0.0)", "0.0 * d"),
        *(GRADIENTS, ("lstm", True)),
    ),
    "the gradient goes on over the start of a document": Mutant(
        *("ops.recurrent:divide", "lambda d: reset(start, d)", "lambda d: d"),
        *(GRADIENTS, ("lstm", True)),
    ),
    "documents start from zeros, whatever was learned": Mutant(
        "layers.cells:DenseCell.restart_state",
        *("self.initial_state(1) if self.learned_initial_state else None", "None"),
        *(f"{CELLS}:test_every_document_starts_from_the_learned_state", ("lstm",)),
    ),
    "Aaren's average is a sum": Mutant(
        *("ops.scan:SoftmaxState.average", "self.weighted / jnp.where(total > 0, total, 1.0)"),
        *("self.weighted", "models.test_cells:test_merged_aaren_state_is_that_of_one_token"),
    ),
    "the recurrent product has no norm of its own": Mutant(
        "ops.lstm:layer_norm_lstm",
        "layer_norm(state_product(state.hidden, recurrent_kernel))",
        "state_product(state.hidden, recurrent_kernel)",
        *(EQUATIONS, ("layer_norm_lstm",)),
    ),
    "the scale comes before the norm": Mutant(
        "ops.lstm:layer_norm_lstm",
        "inner = layer_norm(cell) * norms.cell_scale[None] + norms.cell_bias[None]",
        "inner = layer_norm(cell * norms.cell_scale[None]) + norms.cell_bias[None]",
        *(EQUATIONS, ("layer_norm_lstm",)),
    ),
    "chrono's gates forget": Mutant(
        *("layers.cells:_GRUBase.bias_init", ".set(chrono_times(", ".set(-chrono_times("),
        f"{CELLS}:test_chrono_biases_of_the_gru",
    ),
    "chrono leaves the input gate as it is": Mutant(
        *("layers.cells:LSTMCell.bias_init", ".set(times).at[:size].set(-times)", ".set(times)"),
        *(f"{CELLS}:test_chrono_biases_of_the_lstm", ("lstm",)),
    ),
    "backwards, documents run on into another": Mutant(
        "layers.recurrent:Bidirectional.__call__",
        *("document_ends(starts, valid), valid", "None, valid"),
        f"{BOTH_WAYS}:test_packed_documents_equal_documents_alone_both_ways",
        ("recurrent_encoder",),
    ),
    "backwards, documents restart at their first token": Mutant(
        "layers.recurrent:Bidirectional.__call__",
        *("document_ends(starts, valid), valid", "starts, valid"),
        *(f"{STACKS}:test_each_document_is_read_from_both_ends_by_itself", ("lstm",)),
    ),
    "backwards, outputs stay turned": Mutant(
        *("layers.recurrent:Bidirectional.__call__", "[ahead, jnp.flip(back, axis=1)]"),
        "[ahead, back]",
        *(TORCH, ("lstm",)),
    ),
    "layers take states by the order of their names": Mutant(
        *("layers.recurrent:RecurrentStack.__call__", 'state[f"layer_{n}"], starts'),
        "list(state.values())[n], starts",
        f"{STACKS}:test_layers_keep_their_order_when_there_are_more_than_ten",
    ),
    "the mean counts padding": Mutant(
        "layers.pooling:SequencePooling.__call__",
        *("jnp.maximum(valid.sum(axis=1, keepdims=True), 1)", "x.shape[1]"),
        *(POOLING, (Pooling.MEAN, False)),
    ),
    "the maximum sees padding": Mutant(
        "layers.pooling:SequencePooling.__call__",
        *("jnp.where(valid[..., None], x, lowest)", "x"),
        *(POOLING, (Pooling.MAX, False)),
    ),
    "attention pooling sees padding": Mutant(
        "layers.pooling:SequencePooling._attended",
        *("jnp.where(valid, scores, jnp.finfo(jnp.float32).min)", "scores"),
        *(POOLING, (Pooling.ATTENTION, True)),
    ),
    "last is the last token of both directions": Mutant(
        *("layers.pooling:SequencePooling._ends", "at(backward, first)", "at(backward, last)"),
        *(POOLING, (Pooling.LAST, True)),
    ),
}
