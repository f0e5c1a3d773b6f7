"""Wrong versions of alignment, the encoder-decoder and the models of one input each."""

from __future__ import annotations

from seqmodels.config.recurrent import AlignmentScope, AlignmentScore
from tests.mutants.mutant import Mutant

MODEL, ALIGNMENT = "models.seq2seq:Seq2Seq", "layers.test_alignment"
EQUATIONS = "models.test_seq2seq:test_a_row_is_the_equations_step_by_step"
EXACT = f"{ALIGNMENT}:test_contexts_and_weights_are_the_equations_in_float64"
ONE_TO_ONE = "models.test_one_to_one"
SEQ2SEQ = {
    "bahdanau aligns by the state behind the step": Mutant(
        *(f"{MODEL}._step_through", 'self._attend(state["query"], memory)'),
        "self._attend(self._advance("
        '[e, jnp.zeros((len(e), memory["states"].shape[-1]))], state["layers"], is_valid, train'
        ")[0], memory)",
        *(EQUATIONS, ("bahdanau",)),
    ),
    "luong's output is not fed on": Mutant(
        *(f"{MODEL}._step_through", '{"layers": layers, kept: new}'),
        '{"layers": layers, kept: state[kept]}',
        *(EQUATIONS, ("luong",)),
    ),
    "padding in the target moves what is carried": Mutant(
        *(f"{MODEL}._step_through", "if is_valid is not None:", "if False:"),
        *(EQUATIONS, ("luong",)),
    ),
    "attention sees padding": Mutant(
        *(f"{MODEL}._attend", 'memory["segments"] > 0', 'memory["segments"] >= 0'),
        *(EQUATIONS, ("luong",)),
    ),
    "the encoder's state goes on over padding": Mutant(
        *(f"{MODEL}.encode", "start, None, valid, train", "start, None, None, train"),
        "golden.test_torch_seq2seq:test_logits_loss_and_gradients_equal_pytorch",
    ),
    "the decoder starts from nothing": Mutant(
        *(
            f"{MODEL}.encode",
            '"layers": layers}',
            '"layers": self.decoder.initial_state(shape[0])}',
        ),
        "golden.test_torch_seq2seq:test_logits_loss_and_gradients_equal_pytorch",
    ),
    "the reversed source begins with padding": Mutant(
        *(f"{MODEL}.encode", "x = reverse_valid(x, segments > 0)", "x = jnp.flip(x, axis=1)"),
        *(EQUATIONS, ("fixed",)),
    ),
    "the states of a reversed source stay reversed": Mutant(
        *(f"{MODEL}.encode", "states = reverse_valid(states, segments > 0)", "pass"),
        *(EQUATIONS, ("luong, local, unfed",)),
    ),
    "the context of every step is not put out": Mutant(
        *(f"{MODEL}._decode", "self._output(y, context, x)", "self._output(y, 0 * context, x)"),
        *(EQUATIONS, ("every_step",)),
    ),
    "a second document goes on from the first": Mutant(
        "models.seq2seq:_one_document",
        *("jnp.where(segment_ids[..., None] > 1, jnp.nan, x)", "x"),
        "models.test_seq2seq:test_a_row_of_two_documents_is_refused_or_nan",
        ("fixed",),
    ),
    "the bridge has no tanh": Mutant(
        *("layers.bridge:StateBridge._join", "jnp.tanh(", "jnp.asarray("),
        *(EQUATIONS, ("bahdanau",)),
    ),
    "a scaled dot product is not scaled": Mutant(
        *("layers.alignment:Alignment._scores", "scores / math.sqrt(self.query_dim)", "scores"),
        *(EXACT, (AlignmentScore.SCALED_DOT, AlignmentScope.GLOBAL)),
    ),
    "concat takes the state for the memory": Mutant(
        "layers.alignment:Alignment.prepare",
        *("self.kernel[self.query_dim :]", "self.kernel[: self.memory_dim]"),
        *(EXACT, (AlignmentScore.CONCAT, AlignmentScope.GLOBAL)),
    ),
    "local-p takes the padded length": Mutant(
        *("ops.alignment:local_weights", "share * length", "share * mask.shape[-1]"),
        *(EXACT, (AlignmentScore.GENERAL, AlignmentScope.LOCAL_P)),
    ),
    "local-p counts from 1": Mutant(
        *("ops.alignment:token_positions", "count - 1,", "count,"),
        *(EXACT, (AlignmentScore.GENERAL, AlignmentScope.LOCAL_P)),
    ),
    "local-p's deviation is D": Mutant(
        *("ops.alignment:local_weights", "-2.0 * ", "-0.5 * "),
        *(EXACT, (AlignmentScore.GENERAL, AlignmentScope.LOCAL_P)),
    ),
    "local-p is normalised again": Mutant(
        "ops.alignment:local_weights",
        "masked_softmax(scores, inside) * jnp.where(inside, fade, 0.0)",
        "masked_softmax(scores + jnp.log(fade), inside)",
        *(EXACT, (AlignmentScore.GENERAL, AlignmentScope.LOCAL_P)),
    ),
    "layers of an mlp are one product": Mutant(
        "models.mlp:MLP.transform",
        *("ACTIVATION_FUNCTIONS[self.config.activation](layer(x))", "layer(x)"),
        *(f"{ONE_TO_ONE}:test_an_mlp_is_products_with_gelu_between", ("values",)),
    ),
    "pixels are read by columns": Mutant(
        "models.perceptron:OneToOne.__call__",
        *("inputs.reshape(inputs.shape[0]", "jnp.swapaxes(inputs, 1, 2).reshape(inputs.shape[0]"),
        *(f"{ONE_TO_ONE}:test_a_perceptron_is_one_product", ("images",)),
    ),
}
