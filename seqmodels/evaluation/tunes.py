"""Evaluation of the tunes that a run writes, compared with those of an n-gram."""

from __future__ import annotations

import dataclasses
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.data.text import tokenizer_of
from seqmodels.music.abc_notation import Tune
from seqmodels.music.abc_text import cut_tunes
from seqmodels.music.judge import first_tune, judge
from seqmodels.protocols import Data
from seqmodels.runs.generate import generate_text
from seqmodels.runs.run import Run
from seqmodels.tasks.ngram_baseline import count_ngram

PROMPT = "\n\nX:"
"""Prompt of each sample: a tune book continues after a blank line."""
TUNE_END = "\n\n"


def sample_texts(
    run: Run, number: int, max_tokens: int, temperature: float, seed: int
) -> list[str]:
    """Samples texts that continue PROMPT, without its blank line."""
    made = generate_text(
        run,
        [PROMPT],
        num_samples=number,
        max_tokens=max_tokens,
        temperature=temperature,
        end=TUNE_END,
        seed=seed,
        on_notice=lambda line: None,
    )
    return [text.lstrip("\n") for text in made.texts]


def judge_run(
    run: Run, data: Data, *, num_samples: int, max_tokens: int, temperature: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any], list[Tune]]:
    """Samples tunes from a run, and as many from the n-gram of `baseline_run`.

    Returns:
      The result of `judge` for the run, with that of the n-gram and its order; the run's tunes.

    Raises:
      UserError: the data have no tunes.
    """
    training = training_tunes(data)
    if not training:
        name = run.config.data.name
        raise UserError(f"--workdir={run.workdir}: {name} has no tunes in ABC")
    settings = (num_samples, max_tokens, temperature, seed)
    sample = lambda one: [first_tune(text) for text in sample_texts(one, *settings)]
    base = baseline_run(run, data)
    named = {"model": base.config.model.kind, "order": run.config.evaluation.baseline_order}
    tunes = sample(run)
    return judge(tunes, training), {**named, **judge(sample(base), training)}, tunes


def baseline_run(run: Run, data: Data) -> Run:
    """The Kneser-Ney n-gram of evaluation.baseline_order, counted on the run's training split."""
    model, params = count_ngram(data, run.config.evaluation.baseline_order)
    config = dataclasses.replace(run.config, model=model.config)
    return dataclasses.replace(run, model=model, params=params, config=config)


def training_tunes(data: Data) -> list[str]:
    """The tunes of the training split, as text."""
    text = tokenizer_of(data.features).decode(data.splits["train"].tokens)
    return [part for _, part in cut_tunes(text)]
