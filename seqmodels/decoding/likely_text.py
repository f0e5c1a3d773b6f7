"""The most probable continuations of a prompt, by beam search."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.decoding.beam import BeamSearch
from seqmodels.decoding.prompts import encode_prompt
from seqmodels.protocols import Model
from seqmodels.types import Params, Tokenizer


@dataclasses.dataclass(frozen=True)
class LikelyText:
    """One result of a search.

    Attributes:
      text: with its prompt and its end.
      log_probability: of everything after the prompt, in nats.
      score: the number that texts are ranked by; see `Beam`.
    """

    text: str
    log_probability: float
    score: float


def find_likely_texts(
    model: Model,
    params: Params,
    tokenizer: Tokenizer,
    prompt: str,
    end: str,
    beam: Beam,
    on_text: Callable[[str], None] | None = None,
) -> list[LikelyText]:
    """Searches for the most probable continuations of a prompt, up to the next `end`.

    Args:
      model: a causal model of tokens.
      params: its arrays, unboxed.
      tokenizer: the one that the model was trained with.
      prompt: the text to continue, may be empty.
      end: one token of the tokenizer. It does not count towards beam.max_tokens. Empty = the one
        of the tokenizer's `eos_ids`, which is not part of a text.
      beam: settings of the search.
      on_text: called with pieces of the best text after its prompt, as soon as they are certain.

    Returns:
      Up to beam.num_best texts, best first.

    Raises:
      UserError: `end` is not one token, or see `BeamSearch`.
    """
    ends = tokenizer.encode(end) if end else np.array(tokenizer.eos_ids, np.int32)
    if len(ends) != 1:
        raise UserError(
            f"--end={end!r}: is {len(ends)} tokens of the run's {tokenizer.kind} tokenizer; a beam "
            "search needs one"
        )
    tokens = encode_prompt(tokenizer, prompt)
    best, written = tokenizer.decode_stream(tokens), prompt

    def write(new: np.ndarray) -> None:
        nonlocal written
        text = best.feed(new)
        written += text
        if text and on_text is not None:
            on_text(text)

    how = {"end": int(ends[0]), "beam": beam, "on_certain": None if on_text is None else write}
    (found,) = BeamSearch(model)(params, [tokens], **how)
    texts = []
    for one in found:
        stream = tokenizer.decode_stream(tokens)
        written_end = ends if end else ends[:0]
        text = prompt + stream.feed(np.concatenate([one.tokens, written_end])) + stream.flush()
        texts.append(LikelyText(text, one.log_probability, one.score))
    if on_text is not None:
        on_text(texts[0].text.removeprefix(written))
    return texts
