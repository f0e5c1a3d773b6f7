"""Wrong versions of the linear recurrences, Aaren and the convolutions."""

from __future__ import annotations

from seqmodels.config.transformers import NormPlacement
from seqmodels.ops.scan import ScanForm
from tests.mutants.mutant import Mutant

CELLS, SCAN = "layers.test_linear_recurrent", "ops.test_scan"
CONVOLUTION = "ops.test_convolution"
LINEAR_RECURRENT = {
    "z and 1 - z change places": Mutant(
        "layers.linear_recurrent:MinGRUCell.coefficients",
        *("nn.sigmoid(-z), nn.sigmoid(z) * new", "nn.sigmoid(z), nn.sigmoid(-z) * new"),
        *(f"{CELLS}:test_cells_are_their_equations_in_float64", ("min_gru",)),
    ),
    "the gates of a minLSTM do not add up to 1": Mutant(
        "layers.linear_recurrent:MinLSTMCell.coefficients",
        *("nn.sigmoid(-odds) * new", "nn.sigmoid(take) * new"),
        *(f"{CELLS}:test_cells_are_their_equations_in_float64", ("min_lstm",)),
    ),
    "no gamma in an LRU": Mutant(
        "layers.linear_recurrent:LRUCell.__call__",
        *("jnp.tile(jnp.exp(self.gamma), 2)", "jnp.ones(2 * self.hidden_dim)"),
        *(f"{CELLS}:test_cells_are_their_equations_in_float64", ("lru",)),
    ),
    "an LRU reads out the conjugate": Mutant(
        *("layers.linear_recurrent:LRUCell.__call__", "-h.imag]", "h.imag]"),
        *(f"{CELLS}:test_cells_are_their_equations_in_float64", ("lru",)),
    ),
    "the ring is even over its radius": Mutant(
        "layers.linear_recurrent:LRUCell._ring_init",
        *("low, high = self.min_radius**2, self.max_radius**2",),
        "low, high = self.min_radius, self.max_radius",
        f"{CELLS}:test_lru_starts_on_its_ring_with_a_state_of_unit_gain",
    ),
    "no 1 / sqrt(K) in Aaren": Mutant(
        "layers.linear_recurrent:RunningScores.__call__",
        *("query / math.sqrt(self.head_dim)", "query / 1.0"),
        *(f"{CELLS}:test_cells_are_their_equations_in_float64", ("aaren",)),
    ),
    "Aaren forgets the weight of what it has seen": Mutant(
        *("ops.scan:running_softmax", "jnp.exp(before - maximum)", "jnp.exp(maximum - maximum)"),
        f"{SCAN}:test_running_softmax_is_the_masked_softmax",
        (ScanForm.SEQUENTIAL, 7, False),
    ),
    "padding enters the exponent": Mutant(
        *(
            "ops.scan:running_softmax",
            "if valid is not None:\n        exponent",
            "if False:\n        exponent",
        ),
        *(f"{SCAN}:test_huge_scores_neither_overflow_nor_make_nan", (ScanForm.SEQUENTIAL,)),
    ),
    "a scan goes on over the start of a document": Mutant(
        *("ops.scan:with_segments", "a = jnp.where(start, 0.0, a)", "a = jnp.where(start, a, a)"),
        *(f"{CELLS}:test_cells_are_their_equations_in_float64", ("min_gru",)),
    ),
    "a learned state is forgotten at a restart": Mutant(
        *("ops.scan:with_segments", "if restart is not None:", "if False:"),
        *(f"{SCAN}:test_documents_restart_and_padding_is_passed_over", (ScanForm.CHUNKED, True)),
    ),
    "the gradient of a scan has a of the wrong step": Mutant(
        *("ops.scan:_scan_backward", "(form, shifted, d_hs,", "(form, a, d_hs,"),
        f"{SCAN}:test_every_form_is_the_equation_and_its_gradient",
        (ScanForm.ASSOCIATIVE, 7, False),
    ),
    "the gradient of a complex scan is not conjugated": Mutant(
        *("ops.scan:_scan_backward", "_times(_conjugate(before), g)", "_times(before, g)"),
        f"{SCAN}:test_every_form_is_the_equation_and_its_gradient",
        (ScanForm.SEQUENTIAL, 7, True),
    ),
    "a convolution looks one ahead": Mutant(
        "ops.convolution:causal_taps",
        "joined[:, reach - n : reach - n + length]",
        "jnp.roll(joined, -1, axis=1)[:, reach - n : reach - n + length]",
        *("conformance.test_models:test_a_token_moves_nothing_before_it", ("convolutional",)),
    ),
    "dilation is ignored": Mutant(
        *("ops.convolution:causal_taps", "[(width - 1 - w) * dilation for", "[width - 1 - w for"),
        "golden.test_tcn:test_outputs_loss_and_gradients_equal_pytorch",
    ),
    "a convolution sees the document before": Mutant(
        *("ops.convolution:causal_taps", "(index - n)[None] >= first", "(index - n)[None] >= -n"),
        *(f"{CONVOLUTION}:test_a_causal_convolution_may_be_cut_anywhere", (3, 1, True)),
    ),
    "the maximum over time sees padding": Mutant(
        "layers.convolution:WindowMaximum.__call__",
        *("count[:, None] + self.width - 1", "count[:, None] + 10**6"),
        "models.test_convolutional:test_text_cnn_is_the_maximum_over_windows",
    ),
    "a residual block without its shortcut": Mutant(
        "layers.recurrent_block:ResidualBlock._add",
        *("x = x + self.dropout(", "x = self.dropout("),
        "layers.test_recurrent_block:test_a_block_is_its_equations_in_float64",
        (NormPlacement.PRE,),
    ),
}
