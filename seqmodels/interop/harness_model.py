"""A run as a model of the Language Model Evaluation Harness (`pip install lm-eval`).

Importing this module registers it there as `seqmodels`:

    import seqmodels.interop.harness_model
    lm_eval.simple_evaluate("seqmodels", model_args="workdir=runs/gpt2", tasks=["lambada_openai"])

The harness has no other way to find a model of another package, so that its own command does not
know the name; `python -m seqmodels.interop.harness` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.decoding.continuations import ContinuationScorer, Likelihood
from seqmodels.decoding.decoder import Decoder
from seqmodels.decoding.prompts import encode_prompt
from seqmodels.decoding.sampling import Sampling
from seqmodels.protocols import Model
from seqmodels.runs.generate import writing_tokenizer
from seqmodels.runs.run import load_run
from seqmodels.types import Params, Tokenizer

try:
    from lm_eval.api.model import TemplateLM  # pyright: ignore[reportMissingImports]
    from lm_eval.api.registry import register_model  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError:  # an extra; a model cannot be made without it
    TemplateLM, register_model = object, lambda *names: lambda cls: cls

WINDOWS, CARRY = "windows", "carry"
WINDOW = 2048
"""Tokens of a window of a model that reads any length, where no other number is asked for: what the
harness takes for a model of Hugging Face that does not say."""


class SequenceLM(TemplateLM):  # pyright: ignore[reportGeneralTypeIssues]
    """Any causal model of tokens, as the harness asks it.

    Texts are encoded without the tokens that precede a text (`Tokenizer.start`); one of them, or
    the end-of-text token, precedes a text that has no context. A model with bounded positions loses
    the beginning of a context that is too long, as the harness's own models do; one without bounds
    reads all of it.

    Args:
      model, params, tokenizer: `params` unboxed.
      name: for tables.
      batch_size: the most rows at once; it changes a result by rounding alone.
      max_length: tokens of a window of `rolling="windows"`; None = the positions of the model, or
        2,048.
      rolling: how a long text is read: "windows", each of max_length tokens by itself, which is the
        harness's own way, or "carry", all of it through the state of a model without bounds.

    Raises:
      UserError: max_length or rolling do not fit the model.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        tokenizer: Tokenizer,
        *,
        name: str = "",
        batch_size: int = 16,
        max_length: int | None = None,
        rolling: str = WINDOWS,
    ) -> None:
        if TemplateLM is object:
            raise UserError("needs the evaluation harness: pip install lm-eval")
        super().__init__()
        self.name, self.rolling, self._params = name, rolling, params
        self._words = tokenizer  # TemplateLM's `tokenizer` is one of transformers
        self.batch_size = int(batch_size)
        self._scorer = ContinuationScorer(model, params, self.batch_size)
        self._decoder = Decoder(model)
        self.limit = self._scorer.limit
        self.max_length = max_length or self.limit or WINDOW
        if self.limit is not None and self.max_length > self.limit:
            raise UserError(f"--max_length={max_length}: the model has {self.limit} positions")
        if rolling not in (WINDOWS, CARRY):
            raise UserError(f"rolling={rolling}: must be {WINDOWS} or {CARRY}")
        if rolling == CARRY and self.limit is not None:
            raise UserError(f"rolling={CARRY}: the model has {self.limit} positions; use {WINDOWS}")

    @property
    def eot_token_id(self) -> int:
        """The end-of-text token, or what precedes a text that has no context."""
        ends = self._words.eos_ids
        return int(ends[0]) if ends else self.prefix_token_id

    @property
    def prefix_token_id(self) -> int:
        """The token before a text that has no context."""
        if not len(self._words.start) and self._words.eos_ids:
            return int(self._words.eos_ids[0])
        return int(encode_prompt(self._words, "")[-1])

    @property
    def max_gen_toks(self) -> int:
        """New tokens of a text whose task does not limit them."""
        return 256

    @property
    def tokenizer_name(self) -> str:
        """Name under which the harness keeps requests."""
        return f"{self._words.kind}-{self._words.vocab_size}"

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Tokens of a text; with add_special_tokens also those that precede every text."""
        tokens = self._words.encode(string, unknown=True)
        start = self._words.start if add_special_tokens else tokens[:0]
        return [*start.tolist(), *tokens.tolist()]

    def tok_decode(self, tokens: Sequence[int], **kwargs: Any) -> str:
        """Text of tokens."""
        return self._words.decode(np.asarray(tokens, np.int32))

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **kwargs: Any
    ) -> list[Likelihood]:
        """(log p(continuation | context) in nats, whether it is greedy) of each request."""
        texts = []
        for _, context, continuation in requests:
            tokens = np.array([*context, *continuation], np.int32)
            if self.limit is not None:
                if len(continuation) > self.limit:
                    raise UserError(
                        f"a continuation has {len(continuation)} tokens; the model has "
                        f"max_length = {self.limit}"
                    )
                tokens = tokens[-self.limit - 1 :]
            texts.append((tokens, len(tokens) - len(continuation)))
        scores = self._scorer(texts)
        for (key, _, _), score in zip(requests, scores, strict=True):
            if key is not None:
                self.cache_hook.add_partial("loglikelihood", key, score)
        return scores

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of each whole text after the prefix token, in nats; see `rolling`."""
        prefix = self.prefix_token_id
        texts = [self.tok_encode(request.args[0]) for request in requests]
        if self.rolling == CARRY:
            scores = self._scorer.carried([np.array([prefix, *t], np.int32) for t in texts])
        else:
            scores = [sum(nats for nats, _ in one) for one in self._over_windows(texts, prefix)]
        for request, score in zip(requests, scores, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, score)
        return scores

    def _over_windows(self, texts: list[list[int]], prefix: int) -> Iterator[list[Likelihood]]:
        """Scores of the windows of each text."""
        from lm_eval.utils import (  # pyright: ignore[reportMissingImports]
            get_rolling_token_windows,
            make_disjoint_window,
        )

        cut = [
            [
                (None, *make_disjoint_window(window))
                for window in get_rolling_token_windows(text, prefix, self.max_length, 1)
            ]
            for text in texts
        ]
        scores = iter(self._loglikelihood_tokens([window for one in cut for window in one]))
        return ([next(scores) for _ in one] for one in cut)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Text after each context, up to the first of its stop strings or an end-of-text token."""
        written: list[str] = [""] * len(requests)
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(number)
        for numbers in groups.values():
            # Contexts of similar length together.
            numbers.sort(key=lambda n: len(requests[n].args[0]))
            for begin in range(0, len(numbers), self.batch_size):
                part = numbers[begin : begin + self.batch_size]
                contexts = [requests[n].args[0] for n in part]
                for n, text in zip(
                    part, self._generate(contexts, requests[part[0]].args[1]), strict=True
                ):
                    written[n] = text
                    self.cache_hook.add_partial("generate_until", requests[n].args, text)
        return written

    def _generate(self, contexts: list[str], settings: dict[str, Any]) -> list[str]:
        from lm_eval.models.utils import (  # pyright: ignore[reportMissingImports]
            handle_stop_sequences,
            normalize_gen_kwargs,
        )

        asked: Any = normalize_gen_kwargs(dict(settings), self.max_gen_toks)
        stops = handle_stop_sequences(asked["until"], None)
        most = int(asked["max_gen_toks"])
        if self.limit is not None and most >= self.limit:
            raise UserError(
                f"max_gen_toks={most}: must be less than the model's {self.limit} positions"
            )
        prompts = []
        for context in contexts:
            tokens = self.tok_encode(context) or [self.prefix_token_id]
            room = len(tokens) if self.limit is None else self.limit - most
            prompts.append(np.array(tokens[-room:], np.int32))
        temperature = float(asked["temperature"]) if asked["do_sample"] else 0.0
        sampling = Sampling(temperature, asked.get("top_k"), asked.get("top_p"))
        until = _Until(self._words, prompts, stops)
        self._decoder.generate(
            self._params, prompts, max_tokens=most, sampling=sampling, ending=until
        )
        return until.finish()


class _Until:
    """An `Ending` of rows that end at the first of some strings, or at an end-of-text token."""

    def __init__(
        self, tokenizer: Tokenizer, prompts: list[np.ndarray], stops: Sequence[str]
    ) -> None:
        self._streams = [tokenizer.decode_stream(prompt) for prompt in prompts]
        self._stops, self._size = [stop for stop in stops if stop], tokenizer.vocab_size
        self._eos = np.array(tokenizer.eos_ids, np.int32)
        self.ended, self.can_end = np.zeros(len(prompts), bool), True
        self.texts = [""] * len(prompts)

    def take(self, new: np.ndarray) -> None:
        """Appends tokens [B, n]; sets those after the end of a row to -1."""
        for row, tokens in enumerate(new):
            at = 0
            while at < len(tokens) and not self.ended[row]:
                self.ended[row] = bool(np.isin(tokens[at], self._eos))
                if not self.ended[row]:
                    self._write(row, self._streams[row].feed(tokens[at : at + 1]))
                at += 1
            tokens[at:] = -1

    def _write(self, row: int, piece: str) -> None:
        text = self.texts[row] + piece
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        self.ended[row] = bool(found)
        self.texts[row] = text[: min(found)] if found else text

    def finish(self) -> list[str]:
        """Returns the texts, with what is left of unfinished characters."""
        for row in np.flatnonzero(~self.ended).tolist():
            self._write(row, self._streams[row].flush())
        return self.texts

    def forbidden(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Returns that any token may end a row."""
        return np.zeros((1, self._size), np.int32), np.zeros(len(self.texts), np.int32), 0


@register_model("seqmodels")
class HarnessModel(SequenceLM):
    """The model of a run; see `SequenceLM`.

    Args:
      workdir: the work directory; also of an imported model, and of an n-gram.
      step: `best`, `latest` or a number.
      others: batch_size, max_length, rolling. The harness's `device` and `max_batch_size` have no
        effect: jax chooses the devices.

    Raises:
      UserError: the run cannot be opened, or does not predict the next token of a text.
    """

    def __init__(
        self,
        workdir: str,
        step: str | int = "best",
        batch_size: int | str = 16,
        device: str | None = None,
        max_batch_size: int | None = None,
        **others: Any,
    ) -> None:
        del device, max_batch_size
        if not str(batch_size).isdecimal() or int(batch_size) < 1:
            raise UserError(f"--batch_size={batch_size}: must be a positive integer")
        self.run = load_run(workdir, step)
        super().__init__(
            self.run.model,
            self.run.params,
            writing_tokenizer(self.run),
            name=f"{self.run.workdir.name}, step {self.run.step}",
            batch_size=int(batch_size),
            **others,
        )
