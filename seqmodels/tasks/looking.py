"""A user's own input as one row of a batch, for looking inside a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from seqmodels.config.errors import UserError
from seqmodels.decoding.prefill import position_limit
from seqmodels.decoding.prompts import encode_prompt
from seqmodels.protocols import Example, Feature, Features, Given, Model, Part
from seqmodels.types import Batch, Tokenizer


def cut_row(part: Part) -> np.ndarray:
    """The values of the only row of a part, without padding, with an axis of one row."""
    if part.segment_ids is None:
        return part.values[:1]
    return part.values[:1, : int((part.segment_ids[0] > 0).sum())]


def whole_example(feature: Feature, given: Given) -> Example:
    """An input whose targets are not known, which therefore count nothing."""
    part = feature.batch([feature.read(given.text)], 1)
    values = cut_row(part)
    empty = np.zeros((1, 1), np.float32)
    steps, picture = feature.labels(values[0]), feature.picture(values[0])
    return Example(Batch(values, empty, empty), steps, picture=picture)


def text_tokens(
    model: Model, tokenizer: Tokenizer, given: Given, extra: int
) -> Int[np.ndarray, "one T"]:
    """Tokens of a text after those that every text starts with, up to the limits.

    Args:
      extra: tokens beyond those that the model reads: 1 where each has the next as its target.

    Raises:
      UserError: symbols outside the vocabulary, or no token at all.
    """
    own = tokenizer.encode(given.text, unknown=True)
    if not len(own):
        raise UserError("is empty; at least one token is needed")
    tokens = np.concatenate([encode_prompt(tokenizer, ""), own])
    bound = position_limit(model)
    return tokens[None, : extra + min(given.limit, given.limit if bound is None else bound)]


def next_token_example(model: Model, tokenizer: Tokenizer, given: Given) -> Example:
    """Tokens, each with the next as its target."""
    tokens = text_tokens(model, tokenizer, given, 1).astype(np.int32)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    batch = Batch(inputs, targets, np.ones(targets.shape, np.float32))
    labels = name_tokens(tokenizer, tokens[0])
    return Example(batch, labels[:-1], targets=labels[1:])


def pair_example(features: Features, translator: Any, given: Given, make_batch: Any) -> Example:
    """A source with the given target, or with the translator's, in the form of the batches.

    Raises:
      UserError: one of them cannot be read, or the translator's is empty.
    """
    source, said = translator.read(given.text), given.target
    if said is None and not (said := translator.translate([source])[0][0].text):
        raise UserError("the model's answer is empty; give one with --target=TEXT")
    try:
        read = features["targets"].read(said)
    except UserError as error:
        raise UserError(f"--target={said}: {error}") from None
    target = features["targets"].batch([read], 1)
    parts = {"source": features["source"].batch([source], 1), "targets": target}
    batch = make_batch(parts, features)
    size, values = cut_row(target).shape[1], cut_row(parts["source"])
    cut = {name: getattr(batch, name)[:, :size] for name in ("inputs", "targets", "loss_weights")}
    labels = features["targets"].labels
    return Example(
        Batch(**cut, source=values),
        labels(cut["inputs"][0]),
        source=features["source"].labels(values[0]),
        targets=labels(cut["targets"][0]),
        picture=features["source"].picture(values[0]),
    )


def name_tokens(tokenizer: Tokenizer, tokens: Any, reserved: tuple[str, ...] = ()) -> list[str]:
    """The text of each token by itself; the names of reserved ones, which follow the vocabulary."""
    size = tokenizer.vocab_size
    return [
        tokenizer.decode([token]) if token < size else reserved[token - size]
        for token in np.asarray(tokens).tolist()
    ]
