"""The most probable continuations of a prompt, by beam search."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.decoding.beam import BeamSearch
from seqmodels.runs.run import Run, encode_prompt, writing_tokenizer


@dataclasses.dataclass(frozen=True)
class LikelyText:
    """A text that was found.

    Attributes:
      text: with its prompt and its end.
      log_probability: in nats, of all behind the prompt.
      score: what it is ranked by; see `Beam`.
    """

    text: str
    log_probability: float
    score: float


def find_likely_texts(
    run: Run,
    prompt: str,
    end: str,
    beam: Beam,
    on_text: Callable[[str], None] | None = None,
) -> list[LikelyText]:
    """Searches for what goes on from a prompt, up to the next `end`; best first.

    Args:
      end: one token of the run's tokenizer. It does not count among beam.max_tokens.
      on_text: called with pieces of the best text behind its prompt, as soon as they are certain.

    Raises:
      UserError: the run writes no text, `end` is not one token, or see `BeamSearch`.
    """
    tokenizer = writing_tokenizer(run)
    ends = tokenizer.encode(end)
    if len(ends) != 1:
        raise UserError(
            f"--end={end!r}: is {len(ends)} tokens of the run's {tokenizer.kind} tokenizer; a beam "
            "search needs one"
        )
    tokens = encode_prompt(tokenizer, prompt)
    best, told = tokenizer.decode_stream(tokens), prompt

    def tell(new: np.ndarray) -> None:
        nonlocal told
        text = best.feed(new)
        told += text
        if text and on_text is not None:
            on_text(text)

    how = {"end": int(ends[0]), "beam": beam, "on_settled": None if on_text is None else tell}
    (found,) = BeamSearch(run.model)(run.params, [tokens], **how)
    texts = []
    for one in found:
        stream = tokenizer.decode_stream(tokens)
        text = prompt + stream.feed(np.concatenate([one.tokens, ends])) + stream.flush()
        texts.append(LikelyText(text, one.log_probability, one.score))
    if on_text is not None:
        on_text(texts[0].text.removeprefix(told))
    return texts
