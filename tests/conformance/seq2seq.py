"""Forms of Seq2Seq for the conformance suite: every context, score and scope, and several cells."""

from __future__ import annotations

import functools

from seqmodels.config.recurrent import (
    AlignmentScope,
    AlignmentScore,
    Context,
    InputEncoding,
    Seq2SeqConfig,
)

seq2seq = functools.partial(
    Seq2SeqConfig,
    model_dim=12,
    hidden_dim=10,
    attention_dim=8,
    local_window=2,
    dropout_rate=0.2,
)

SEQ2SEQ: dict[str, Seq2SeqConfig] = {
    "seq2seq": seq2seq(),
    "seq2seq fixed, reversed, tied": seq2seq(
        context=Context.FIXED, num_layers=2, hidden_dim=12, reverse_source=True, tie_embeddings=True
    ),
    "seq2seq every step, GRU, learned": seq2seq(
        context=Context.EVERY_STEP,
        cell="gru_reset_before",
        bidirectional=True,
        learned_initial_state=True,
    ),
    "seq2seq concat, local, two directions": seq2seq(
        cell="gru",
        score=AlignmentScore.CONCAT,
        scope=AlignmentScope.LOCAL_P,
        bidirectional=True,
    ),
    "seq2seq scaled dot, aaren": seq2seq(
        cell="aaren", score=AlignmentScore.SCALED_DOT, num_heads=2
    ),
    "seq2seq luong, general, LRU": seq2seq(
        context=Context.LUONG, score=AlignmentScore.GENERAL, cell="lru", bidirectional=True
    ),
    "seq2seq luong, dot, local, unfed": seq2seq(
        context=Context.LUONG,
        score=AlignmentScore.DOT,
        scope=AlignmentScope.LOCAL_P,
        cell="min_gru",
        reverse_source=True,
        input_feeding=False,
        input_encoding=InputEncoding.ONE_HOT,
    ),
}
