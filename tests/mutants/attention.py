"""Wrong versions of attention, its caches and the Transformer block."""

from __future__ import annotations

from seqmodels.config.transformers import Norm, NormPlacement
from tests.mutants.mutant import Mutant

CACHE, EQUATIONS = "layers.test_decoding_cache", "layers.test_attention"
HUGGING_FACE = "golden.test_decoders:test_logits_loss_and_gradients_equal_transformers"
ATTENTION = {
    "ALiBi rewards distance": Mutant(
        *("ops.attention:alibi", "-slopes[None", "slopes[None"),
        *(f"{EQUATIONS}:test_self_attention_is_its_equations", ("alibi",)),
    ),
    "ALiBi takes the other half of the finer slopes": Mutant(
        *("ops.positions:alibi_slopes", "slopes(2 * power)[::2]", "slopes(2 * power)[1::2]"),
        *(HUGGING_FACE, ("mpt",)),
    ),
    "queries look at the keys of another group": Mutant(
        "layers.attention:SelfAttention._project",
        *("jnp.moveaxis(parts[:queries], 0, 2)", "jnp.moveaxis(parts[:queries], 0, 1)"),
        *(f"{EQUATIONS}:test_self_attention_is_its_equations", ("grouped",)),
    ),
    "the rotary base is ignored": Mutant(
        "layers.attention:SelfAttention.__call__",
        *("context.queries.positions, self.rotary_base,", "context.queries.positions, 10000.0,"),
        *(HUGGING_FACE, ("llama",)),
    ),
    "an RMS norm takes the mean away": Mutant(
        *("layers.norms:make_norm", "if norm is Norm.RMS", "if False"),
        *(HUGGING_FACE, ("llama",)),
    ),
    "gate and value change places": Mutant(
        "layers.feedforward:FeedForward.__call__",
        *("activate(hidden[..., 0, :]) * hidden[..., 1, :]",),
        *("activate(hidden[..., 1, :]) * hidden[..., 0, :]",),
        *(HUGGING_FACE, ("llama",)),
    ),
    "a window is one token wider": Mutant(
        *("ops.masks:attention_mask", "distance < window", "distance <= window"),
        *(HUGGING_FACE, ("mistral",)),
    ),
    "a rolling cache is one slot short": Mutant(
        *("layers.decoding_cache:_slots", "slots % capacity", "slots % (capacity - 1)"),
        f"{CACHE}:test_a_rolling_cache_may_be_cut_anywhere",
    ),
    "a rolling cache keeps the oldest tokens of a chunk": Mutant(
        "layers.decoding_cache:_slots",
        *("count[:, -1:] - count < capacity", "count <= capacity"),
        f"{CACHE}:test_a_rolling_cache_holds_the_newest_tokens",
    ),
    "keys of a rolling cache and of the chunk change places": Mutant(
        "layers.attention:_extend",
        *("zip(cache, new, (2", "zip(new, cache, (2"),
        f"{CACHE}:test_a_rolling_cache_may_be_cut_anywhere",
    ),
    "a token without a slot is written into the first": Mutant(
        *("layers.attention:_written", "new, cache[place])", "new, new)"),
        *(f"{CACHE}:test_a_token_without_a_slot_leaves_the_cache_as_it_is", (2,)),
    ),
    "a cache is written into two copies": Mutant(
        *("decoding.unstacked:_Place.unstack", "jnp.squeeze(layer)", "layer"),
        *("decoding.test_unstacked:test_a_loop_that_decodes_holds_no_stack", (1,)),
    ),
    "what is not finite is summed with a weight of 0": Mutant(
        *("ops.attention:contain", "jnp.where(finite[..., None, :, None], x, 0)", "x"),
        *("ops.test_attention:test_nan_reaches_the_queries_that_see_it_alone", ("v", None)),
    ),
    "a query that is not finite is in the gradient of the keys": Mutant(
        *("ops.attention:_weigh", "jnp.where(usable[:, None, :, None], q, 0)", "q"),
        *("ops.test_attention:test_nan_reaches_the_queries_that_see_it_alone", ("q", None)),
    ),
    "a cache forgets which of its keys were not finite": Mutant(
        "layers.attention:_extend",
        *("zip(cache, new, strict=True))", "zip(cache, new._replace(finite=new.finite | True)))"),
        *("conformance.test_not_finite:test_nan_in_a_document_reaches_no_other", ("gpt",)),
    ),
    "padding is looked up": Mutant(
        "layers.embedding:TokenEmbedding.__call__",
        *("without_padding(table.at[tokens].get(**gather), segment_ids)",),
        *("table.at[tokens].get(**gather)",),
        *(
            "conformance.test_not_finite:test_what_is_at_padding_reaches_nothing_not_even_nan",
            ("gpt",),
        ),
    ),
    "token -1 is the last of the vocabulary": Mutant(
        "layers.embedding:TokenEmbedding.__call__",
        *('"wrap_negative_indices": False', '"wrap_negative_indices": True'),
        "layers.test_embedding:test_a_token_outside_the_vocabulary_is_nan_not_another_token",
    ),
    "cross attention looks at the padding of the source": Mutant(
        "layers.attention:CrossAttention.__call__",
        *("memory,\n        causal", "Positions(memory.positions),\n        causal"),
        "golden.test_decoders:test_cross_attention_equals_pytorch",
    ),
    "a post norm stands before the sum": Mutant(
        *("layers.blocks:Block._add", "norm(x + drop(part(x)))", "x + norm(drop(part(x)))"),
        f"{EQUATIONS}:test_a_decoder_block_is_its_three_parts_in_turn",
        (NormPlacement.POST, Norm.LAYER),
    ),
}
