"""Multiple-choice questions, answered with the choice that the model finds most likely."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.choices import Question
from seqmodels.decoding.scoring import Scorer
from seqmodels.runs.generate import make_scorer
from seqmodels.runs.run import Run

_log = logging.getLogger(__name__)


def evaluate_choices(run: Run, questions: Sequence[Question], batch_size: int) -> dict[str, Any]:
    """Chooses answers by log p(answer | prompt); ties go to the first.

    All answers of a question are scored from one place; see `Scorer.encode_after`. A prompt that is
    longer than the model's positions loses its beginning.

    Returns:
      num_questions; num_cut_prompts; accuracy; accuracy_per_token, with log p divided by the
      answer's number of tokens; loss, the mean nats of the right answers; chance, the expected
      accuracy of a guess; and baseline, the accuracies of the same run without the prompts.

    Raises:
      UserError: the run is not a language model, or an answer is too long or has unknown symbols.
    """
    scorer = make_scorer(run, batch_size)
    asked, num_cut = _score(scorer, questions, [q.prompt for q in questions])
    blind, _ = _score(scorer, questions, [""] * len(questions))
    right = [nats[q.answer] for q, (nats, _) in zip(questions, asked, strict=True)]
    if num_cut:
        _log.warning(
            "%d of %d prompts are longer than the model's positions and lose their beginning",
            *(num_cut, len(questions)),
        )
    return {
        "num_questions": len(questions),
        "num_cut_prompts": num_cut,
        **_accuracies(questions, asked),
        "loss": -sum(right) / len(right),
        "chance": sum(1 / len(q.choices) for q in questions) / len(questions),
        "baseline": {"model": "no prompt", **_accuracies(questions, blind)},
    }


_Scores = tuple[np.ndarray, np.ndarray]
"""Log p, in nats, and number of tokens of each choice of a question."""


def _score(
    scorer: Scorer, questions: Sequence[Question], prompts: list[str]
) -> tuple[list[_Scores], int]:
    """Scores of each question, and how many of the prompts are cut."""
    encoded, num_cut = [], 0
    for question, prompt in zip(questions, prompts, strict=True):
        try:
            choices, cut = scorer.encode_after(prompt, question.choices)
        except UserError as error:
            raise UserError(f"{question.where}: {error}") from None
        encoded += choices
        num_cut += cut > 0
    # Texts of similar length together need fewer programs and less padding.
    order = np.argsort([len(tokens) for tokens, _ in encoded], kind="stable")
    nats = np.zeros(len(encoded))
    for first in range(0, len(order), scorer.batch_size):
        chosen = order[first : first + scorer.batch_size]
        nats[chosen] = scorer([encoded[i] for i in chosen])
    counts = np.array([len(tokens) - first for tokens, first in encoded])
    ends = np.cumsum([len(q.choices) for q in questions])[:-1]
    return list(zip(np.split(nats, ends), np.split(counts, ends), strict=True)), num_cut


def _accuracies(questions: Sequence[Question], scores: list[_Scores]) -> dict[str, float]:
    pairs = list(zip(questions, scores, strict=True))
    whole = sum(int(nats.argmax()) == q.answer for q, (nats, _) in pairs)
    mean = sum(int((nats / counts).argmax()) == q.answer for q, (nats, counts) in pairs)
    return {"accuracy": whole / len(pairs), "accuracy_per_token": mean / len(pairs)}
