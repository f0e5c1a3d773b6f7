"""Wrong versions of BERT, ViT, the encoder-decoder and of masking."""

from __future__ import annotations

from seqmodels.config.data import Batching
from seqmodels.config.transformers import NormPlacement, Position
from tests.mutants.mutant import Mutant

BOTH_WAYS, LAWS = "conformance.test_both_ways", "conformance.test_models"
GOLDEN, ENCODERS, MASKING = "golden.test_encoders", "models.test_encoders", "data.test_masking"
TRANSFORMERS = {
    "every decoder layer looks at the first layer's memory": Mutant(
        *("layers.blocks:TransformerStack.__call__", "*context.memory[:3]"),
        "*(jnp.broadcast_to(x[:, :1], x.shape) for x in context.memory[:3])",
        *(f"{GOLDEN}:test_transformer_equals_pytorch", (NormPlacement.POST,)),
    ),
    "cross attention sees padding and other documents": Mutant(
        "models.transformer:Transformer.__call__",
        *('segments = memory["segments"]', 'segments = jnp.ones_like(memory["segments"])'),
        *(f"{LAWS}:test_a_source_moves_its_document_and_nothing_else", ("transformer",)),
    ),
    "keys and values of the memory change places": Mutant(
        *("models.transformer:Transformer.encode", "contain(*pairs)", "contain(*pairs[::-1])"),
        *(f"{GOLDEN}:test_transformer_equals_pytorch", (NormPlacement.PRE,)),
    ),
    "token vectors are not multiplied by sqrt(D)": Mutant(
        "layers.positions:add_positions",
        *("x * math.sqrt(x.shape[-1]) + jnp", "x + jnp"),
        *(f"{GOLDEN}:test_transformer_equals_pytorch", (NormPlacement.POST,)),
    ),
    "the encoder is causal": Mutant(
        *("models.transformer:Transformer.setup", '"causal": False', '"causal": True'),
        *(f"{GOLDEN}:test_transformer_equals_pytorch", (NormPlacement.PRE,)),
    ),
    "the source has no positions": Mutant(
        "models.transformer:Transformer.encode",
        *("x = add_positions(x, positions,", "x = add_positions(x, 0 * positions,"),
        f"{ENCODERS}:test_the_order_of_the_source_matters_where_there_are_positions",
        (Position.SINUSOIDAL,),
    ),
    "token types are ignored": Mutant(
        *("models.bert:BERT.__call__", " if token_types is None else token_types", ""),
        f"{GOLDEN}:test_bert_equals_transformers",
    ),
    "BERT's class is read off padding": Mutant(
        *("models.bert:BERT.__call__", "jnp.argmax(segment_ids > 0, axis=1)"),
        "jnp.zeros(shape[0], jnp.int32)",
        f"{ENCODERS}:test_the_class_is_read_off_the_first_token",
    ),
    "BERT's head has no activation": Mutant(
        *("models.bert:BERT.readout", "activate(self.head_dense(features))"),
        "self.head_dense(features)",
        f"{GOLDEN}:test_bert_equals_transformers",
    ),
    "BERT sees padding": Mutant(
        *("models.bert:BERT.__call__", "start_chunk(shape, None, segment_ids,"),
        "start_chunk(shape, None, None,",
        *(f"{BOTH_WAYS}:test_padding_is_as_if_it_were_not_there", ("bert",)),
    ),
    "ViT's class token stands behind the patches": Mutant(
        *("models.vit:ViT._embed", "[token, x]", "[x, token]"),
        f"{GOLDEN}:test_vit_equals_transformers",
    ),
    "a patch runs over columns first": Mutant(
        *("layers.patches:cut_patches", "jnp.swapaxes(x, 2, 3)"),
        "jnp.transpose(x, (0, 1, 3, 4, 2, 5))",
        "layers.test_patches:test_patches_are_squares_row_by_row_in_the_order_row_column_channel",
    ),
    "tokens that were not chosen are targets": Mutant(
        *("data.masking:Masking.__call__", "loss_weights=chosen.", "loss_weights=counts."),
        f"{MASKING}:test_targets_are_the_originals_at_the_chosen_and_nothing_else_changes",
        (Batching.PACKED,),
    ),
    "padding may be chosen": Mutant(
        *("data.masking:Masking.__call__", "batch.loss_weights > 0", "batch.loss_weights >= 0"),
        f"{MASKING}:test_targets_are_the_originals_at_the_chosen_and_nothing_else_changes",
        (Batching.BUCKETS,),
    ),
    "every chosen token is hidden": Mutant(
        *("data.masking:Masking.__call__", "(share < self.mask_share)", "(share < 1.0)"),
        f"{MASKING}:test_shares_are_80_10_10_of_15_percent",
    ),
    "every step hides the same places": Mutant(
        *("data.masking:Masked.batch", '"masking", step,', '"masking", 0,'),
        f"{MASKING}:test_each_step_has_a_mask_of_its_own",
    ),
    "every row of an evaluation has the same mask": Mutant(
        *("data.masking:Masking.fixed", "first + row,", "first,"),
        f"{MASKING}:test_evaluation_masks_a_row_by_its_number_alone",
    ),
}
