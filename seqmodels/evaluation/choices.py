"""Multiple-choice questions, answered with the choice that the model finds most likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.choices import Question
from seqmodels.decoding.scoring import Scorer
from seqmodels.runs.generate import make_scorer
from seqmodels.runs.run import Run


def evaluate_choices(run: Run, questions: Sequence[Question], batch_size: int) -> dict[str, Any]:
    """Chooses answers by log p(answer | prompt); ties go to the first.

    Returns:
      num_questions; accuracy; accuracy_per_token, with log p divided by the answer's number of
      tokens; loss, the mean nats of the right answers; chance, the expected accuracy of a guess;
      and baseline, the accuracies of the same run without the prompts.

    Raises:
      UserError: the run is not a language model, or a text is too long or has unknown symbols.
    """
    scorer = make_scorer(run, batch_size)
    asked = _score(scorer, questions, [q.prompt for q in questions])
    blind = _score(scorer, questions, [""] * len(questions))
    right = [nats[q.answer] for q, (nats, _) in zip(questions, asked, strict=True)]
    return {
        "num_questions": len(questions),
        **_accuracies(questions, asked),
        "loss": -sum(right) / len(right),
        "chance": sum(1 / len(q.choices) for q in questions) / len(questions),
        "baseline": {"model": "no prompt", **_accuracies(questions, blind)},
    }


_Scores = tuple[np.ndarray, np.ndarray]
"""Log p, in nats, and number of tokens of each choice of a question."""


def _score(scorer: Scorer, questions: Sequence[Question], prompts: list[str]) -> list[_Scores]:
    encoded = []
    for question, prompt in zip(questions, prompts, strict=True):
        for choice in question.choices:
            try:
                encoded.append(scorer.encode_after(prompt, choice))
            except UserError as error:
                raise UserError(f"{question.where}: {choice!r}: {error}") from None
    # Texts of similar length together need fewer programs and less padding.
    order = np.argsort([len(tokens) for tokens, _ in encoded], kind="stable")
    nats = np.zeros(len(encoded))
    for first in range(0, len(order), scorer.batch_size):
        chosen = order[first : first + scorer.batch_size]
        nats[chosen] = scorer([encoded[i] for i in chosen])
    counts = np.array([len(tokens) - first for tokens, first in encoded])
    ends = np.cumsum([len(q.choices) for q in questions])[:-1]
    return list(zip(np.split(nats, ends), np.split(counts, ends), strict=True))


def _accuracies(questions: Sequence[Question], scores: list[_Scores]) -> dict[str, float]:
    pairs = list(zip(questions, scores, strict=True))
    whole = sum(int(nats.argmax()) == q.answer for q, (nats, _) in pairs)
    mean = sum(int((nats / counts).argmax()) == q.answer for q, (nats, counts) in pairs)
    return {"accuracy": whole / len(pairs), "accuracy_per_token": mean / len(pairs)}
