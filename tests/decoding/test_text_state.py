"""A text that is interrupted and resumed is the text that was not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqmodels.data.tokenizers import ByteTokenizer
from seqmodels.decoding.sampling import Sampling
from seqmodels.decoding.text_ends import GrowingTexts
from tests.decoding.test_unroll import CONFIGS, V, built, prompt

quiet: dict[str, Any] = {"on_notice": lambda _: None}


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("cut", [1, 4, 11])  # the GPT outgrows its 8 positions before the last
def test_an_interruption_changes_no_token(kind: str, cut: int) -> None:
    _, params, decoder = built(kind)
    sampling, text = Sampling(0.8, top_k=7), prompt(5)
    whole = decoder.generate(
        params, [text], max_tokens=17, sampling=sampling, seed=3, **quiet
    ).tokens[0]
    first = decoder.generate(
        params, [text], max_tokens=cut, sampling=sampling, seed=3, keep_state=True, **quiet
    )
    state = first.state
    assert state is not None and state.num_drawn == cut and state.seed == 3
    rest = decoder.generate(
        params,
        [prompt(0)] * 3,
        max_tokens=17 - cut,
        sampling=sampling,
        seed=3,
        state=state,
        **quiet,
    )
    np.testing.assert_array_equal(np.append(first.tokens[0], rest.tokens[0]), whole)
    # Every other row is a text of its own.
    assert len({row.tobytes() for row in rest.tokens}) == 3


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("length", [1, 6])  # of the GPT the longer prompt does not fit any more
def test_a_prompt_may_follow_a_state(kind: str, length: int) -> None:
    _, params, decoder = built(kind)
    greedy, text, more = Sampling(0.0), prompt(4), prompt(length, seed=1)
    first = decoder.generate(params, [text], max_tokens=2, sampling=greedy, keep_state=True)
    rest = decoder.generate(
        params, [more], max_tokens=5, sampling=greedy, state=first.state, **quiet
    )
    joined = np.concatenate([text, first.tokens[0], more])
    whole = decoder.generate(params, [joined], max_tokens=5, sampling=greedy, **quiet)
    np.testing.assert_array_equal(rest.tokens, whole.tokens)


def test_the_state_is_that_of_the_end_of_the_text() -> None:
    _, params, decoder = built("recurrent")
    text = prompt(5)
    whole = decoder.generate(params, [text], max_tokens=40, seed=1).tokens[0]
    wanted = int(whole[9])
    end = int(np.flatnonzero(whole == wanted)[0])

    class Ends:
        ended, can_end = np.zeros(1, bool), True

        def take(self, new: np.ndarray) -> None:
            self.ended = self.ended | (new == wanted).any(axis=1)

        def forbidden(self) -> tuple[np.ndarray, np.ndarray, int]:
            return np.zeros((1, V)), np.zeros(1), 0

    first = decoder.generate(
        params, [text], max_tokens=40, seed=1, ending=Ends(), keep_state=True
    ).state
    assert first is not None and first.num_drawn == end + 1
    rest = decoder.generate(params, [prompt(0)], max_tokens=40 - end - 1, seed=1, state=first)
    np.testing.assert_array_equal(rest.tokens[0], whole[end + 1 :])


def test_an_unfinished_character_is_finished_after_the_interruption() -> None:
    tokenizer, text = ByteTokenizer(), "naïve".encode()
    tokens = np.frombuffer(text, np.uint8).astype(np.int32)
    texts = GrowingTexts(tokenizer, [""], [tokens[:3]], end="ïv", resumed=True)
    texts.take(tokens[None, 3:].copy())
    assert texts.continuations == ["ïv"] and texts.ended.all()


def test_one_state_is_of_one_text() -> None:
    _, params, decoder = built("ngram")
    with pytest.raises(ValueError, match="there are 2"):
        decoder.generate(params, [prompt(1)] * 2, max_tokens=1, keep_state=True)
