"""Wrong versions of the data, the training loop, and the first three models."""

from __future__ import annotations

from pathlib import Path

from seqmodels.config.data import Batching
from tests.mutants.mutant import Mutant
from tests.runs.test_checkpoints import save_steps


def saved(folder: Path) -> Path:
    save_steps(folder / "checkpoints", {4: 2.5, 5: None})
    return folder / "checkpoints"


LAWS, STEP = "conformance.test_models", "training.test_step"
FOUNDATION = {
    "the mask shows the next token": Mutant(
        *("ops.masks:attention_mask", "distance >= 0", "distance >= -1"),
        *(f"{LAWS}:test_a_token_moves_nothing_before_it", ("gpt",)),
    ),
    "no 1 / sqrt(K)": Mutant(
        *("ops.attention:_weigh", "1 / math.sqrt(q.shape[-1])", "1.0"),
        "ops.test_attention:test_attend_is_the_formula_and_zero_where_nothing_may_be_seen",
    ),
    "forget and input gates change places": Mutant(
        *("ops.lstm:_forward", "for n in (0, 1, 3)", "for n in (1, 0, 3)"),
        *("golden.test_torch_models:test_logits_loss_and_gradients_equal_pytorch", ("lstm",)),
    ),
    "the gradient of a loss in chunks is not scaled": Mutant(
        *("ops.losses:_sum_backward", "cotangents[0].astype(d.dtype) * d", "d"),
        "ops.test_losses:test_the_loss_in_chunks_and_its_gradient_are_the_definition_s",
        (7, 3, 0.0),
    ),
    "the forget bias is ignored": Mutant(
        *("layers.cells:LSTMCell.bias_init", ".set(self.forget_bias)", ".set(0.0)"),
        "models.test_recurrent:test_lstm_starts_with_its_forget_bias_and_orthogonal_gates",
    ),
    "targets are not shifted": Mutant(
        *("data.sources:Crops.batch", "targets = tokens[:, 1:]", "targets = tokens[:, :-1]"),
        "data.test_sources:test_targets_follow_their_inputs_inside_their_segment",
        (Batching.CROPS,),
    ),
    "every step has the same dropout key": Mutant(
        *("training.step:make_train_step", "jax.random.fold_in(state.key, state.step)"),
        "state.key",
        f"{STEP}:test_dropout_differs_between_steps_but_not_between_runs",
    ),
    "the state goes on over the start of a document": Mutant(
        "ops.recurrent:reset",
        *("value if starts is None else jnp.where(starts, restart, value)", "value"),
        *(f"{LAWS}:test_packed_documents_equal_documents_alone", ("recurrent",)),
    ),
    "a carry forgets its last position": Mutant(
        *("ops.positions:advance", "last_position[:, None] + count)", "count - 1)"),
        *(f"{LAWS}:test_every_cut_gives_the_same", ("gpt",)),
    ),
    "a cut restarts a document": Mutant(
        *("ops.positions:advance", "[last_segment[:, None], ", "[0 * last_segment[:, None], "),
        *(f"{LAWS}:test_every_cut_gives_the_same", ("recurrent",)),
    ),
    "positions go on over the start of a document": Mutant(
        *("ops.positions:advance", "jnp.where(starts, count, 0)", "jnp.where(starts, 1, 0)"),
        "ops.test_positions:test_advance_counts_tokens_of_each_document_over_any_cut",
        (2,),
    ),
    "every micro-batch weighs the same": Mutant(
        *("training.step:make_gradients", "return total, (weight,"),
        "return total / jnp.maximum(weight, 1.0), (jnp.ones_like(weight),",
        *(f"{STEP}:test_micro_batches_are_weighted_by_their_tokens", (False,)),
    ),
    "padding counts in the mean": Mutant(
        "tasks.scores:score",
        *("weight = weights.sum()", "weight = jnp.float32(weights.size)"),
        "tasks.test_language_model:test_loss_is_the_sum_over_weighted_targets",
    ),
    "smoothing adds to the mass": Mutant(
        *("ops.losses:_forward", "(1 - smoothing) * (picked", "(picked"),
        *("ops.test_losses:test_loss_and_gradient_are_the_definition_s", (0.1,)),
    ),
    "a loss is a difference of large numbers": Mutant(
        "ops.losses:_forward",
        *("jnp.log(total) - expected", "largest + jnp.log(total) - largest - expected"),
        *("ops.test_losses:test_a_small_loss_of_large_logits_is_not_rounded_away", (0.0,)),
    ),
    "biases decay": Mutant(
        *("training.optimizers:decay_mask", '"kernel"', '("kernel", "bias")'),
        "training.test_optimizers:test_decay_spares_biases_norms_and_embeddings",
    ),
    "the first slot of the cache stays empty": Mutant(
        *("layers.decoding_cache:_slots", "[:, None] + count - 1", "[:, None] + count"),
        *(f"{LAWS}:test_past_the_capacity_a_row_is_nan_and_no_other_row", ("gpt",)),
    ),
    "evaluation drops out": Mutant(
        "evaluation.evaluate:Evaluator.__init__",
        *("train=False, key=None", "train=True, key=jax.random.key(0)"),
        *("conformance.test_evaluation:test_evaluation_drops_nothing", ("recurrent",)),
    ),
    "the seal compares nothing": Mutant(
        *("runs.seals:check_seal", "expected.get(name) != found.get(name)", "False"),
        "runs.test_checkpoints:test_any_damaged_file_is_detected_and_the_previous_step_used",
        (saved, "flipped"),
    ),
    "every epoch has the same order": Mutant(
        *("data.order:permutation", "draw(seed, purpose, index, size)"),
        "draw(seed, purpose, 0, size)",
        "data.test_sources:test_packed_documents_change_their_neighbours_and_their_turn",
    ),
    "a resumed run keeps later rows": Mutant(
        *("runs.rows:_rows", "if step > last_step", "if False"),
        "runs.test_workdir:test_resuming_cuts_later_rows_and_a_torn_line",
        (lambda folder: folder,),
    ),
}
