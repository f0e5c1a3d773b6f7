"""Wrong ways to lay models out on a mesh; the programs on 8 devices that the tests start change
with them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LOSSES = "distributed.test_mesh:test_losses_equal_those_of_one_device_and_the_work_is_split"
LAYERS = "distributed.test_mesh:test_layers_in_a_loop_are_gathered_one_at_a_time"
VOCABULARY = "layers.test_sharding:test_a_vocabulary_that_is_split_is_the_whole_one"

MESH = {
    "each device computes whole products": Mutant(
        *("layers.dense:Dense.__call__", "gathered(kernel, self.names, self.dtype)"),
        *("gathered(kernel, (None,) * kernel.ndim, self.dtype)", LOSSES, ("gpt", "one tensor")),
    ),
    "recurrent layers compute all rows on each device of tensor": Mutant(
        *("layers.sharding:by_rows", '"rows"', '"batch"', LOSSES, ("lstm", "one mixed")),
    ),
    "logits are whole on each device": Mutant(
        *("layers.embedding:TokenEmbedding.attend", "by_batch(logits, self.names[0])"),
        *("by_batch(logits)", VOCABULARY),
    ),
    "the padding of a vocabulary is in the softmax": Mutant(
        *("layers.embedding:TokenEmbedding.attend", "constrain(self.table.astype(self.dtype),"),
        *("constrain(jnp.pad(self.table, ((0, self.vocab_size % 2), (0, 0))),", VOCABULARY),
    ),
    "the padding of a table is read": Mutant(
        *("layers.embedding:TokenEmbedding.__call__", "constrain(self.table, self.names)"),
        *("jnp.pad(self.table, ((0, self.vocab_size % 2), (0, 0)))", VOCABULARY),
    ),
    "gradients leave a loop over layers whole": Mutant(
        *("layers.sharding:stored", "name and STORED + name", "name and name", LAYERS),
    ),
    "gathered parameters are kept for the backward pass": Mutant(
        *("layers.sharding:gathers_again", "jax.checkpoint(function)", "function", LAYERS),
    ),
    "a decoder gathers its weights at each step": Mutant(
        *("layers.dense:Dense.__call__", "product if self.gather_once else ", ""),
        *(LOSSES, ("seq2seq", "one tensor")),
    ),
    "the optimizer has moments whole on each device": Mutant(
        *("training.state:make_initial", "optimizer.init(params)"),
        *("optimizer.init(unboxed(params))", LOSSES, ("lstm", "one fsdp")),
    ),
    "a device begins with the state after its own steps": Mutant(
        *("ops.scan:_across", "here + (1 if reverse else -1)", "here"),
        "distributed.test_sequence:test_a_linear_recurrence_may_be_split_over_devices",
    ),
    "what does not divide is said for each parameter": Mutant(
        *("distributed.mesh:shardings_of", "dict.fromkeys(_indivisible", "list(_indivisible"),
        "distributed.test_mesh:test_an_indivisible_axis_is_logged_once",
    ),
}
