"""Prompts as tokens, and checks of ends: they depend on the tokenizer alone."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from seqmodels.config.errors import UserError
from seqmodels.types import Tokenizer


def encode_prompt(tokenizer: Tokenizer, prompt: str) -> Int[np.ndarray, " N"]:
    """Tokens of a prompt, at least one.

    `Tokenizer.start` comes first. If both are empty, the only token is that of a line feed, or
    token 0 if the tokenizer cannot encode one; it is not part of the text.

    Raises:
      UserError: the prompt has symbols outside the vocabulary.
    """
    tokens = np.concatenate([tokenizer.start, tokenizer.encode(prompt)])
    if not len(tokens):
        with contextlib.suppress(UserError):
            tokens = tokenizer.encode("\n")
    return tokens if len(tokens) else np.zeros(1, np.int32)


def check_end(
    tokenizer: Tokenizer,
    end: str,
    min_tokens: int,
    max_tokens: int,
    eos_ids: Sequence[int] = (),
) -> None:
    """Rejects an end that no text can have, and a minimum length that no text can reach.

    Args:
      eos_ids: tokens that end a text next to `end`.

    Raises:
      UserError: see above.
    """
    if tokenizer.lossless:
        tokenizer.encode(end)  # raises if the tokenizer cannot write it
    else:
        _check_unicode(end)
    if min_tokens < 0:
        raise UserError(f"--min_tokens={min_tokens}: must be 0 or more")
    if min_tokens and not end and not eos_ids:
        raise UserError(f"--min_tokens={min_tokens}: needs --end=TEXT")
    if min_tokens > max_tokens:
        raise UserError(f"--min_tokens={min_tokens}: must be at most --max_tokens, {max_tokens}")


def _check_unicode(end: str) -> None:
    try:
        end.encode()
    except UnicodeEncodeError:
        raise UserError(f"--end={end!r}: half of a surrogate pair is not a character") from None
