"""The goals for the diagnostics."""

from __future__ import annotations

from seqmodels.evaluation.goals import Goal

_FENG = "over 4,096 steps, Feng et al., 2024"
_LISTS = "other lists, Nangia and Bowman, 2018"
_AUTOMATA = "the best of many seeds, Deletang et al., 2022"


def _adding(cell: str, goal: float | None) -> Goal:
    return Goal(f"adding_{cell}", f"adding:{cell}", "loss", goal)


def _longer(problem: str, model: str, goal: float | None, published: float | None = None) -> Goal:
    """Accuracy on lengths of up to five times those of training."""
    source = _AUTOMATA if published is not None else ""
    name, config = f"{problem}_{model}", f"{problem}:{model}"
    return Goal(name, config, "accuracy", goal, published, source, split="longer")


GOALS = [
    *(_adding(cell, 1e-3) for cell in ("lstm", "gru", "min_gru", "lru")),
    _adding("rnn", None),
    *(Goal(f"copy_{n}", f"copy:{n}", "loss", 0.05) for n in ("lstm", "gru", "lru", "gpt")),
    *(_longer("parity", model, 0.99, 1.0) for model in ("rnn", "lstm")),
    *(_longer("parity", model, None) for model in ("min_gru", "gpt")),
    *(_longer("even_pairs", model, 0.99, 1.0) for model in ("rnn", "lstm")),
    *(_longer("even_pairs", model, None) for model in ("min_gru", "gpt")),
    Goal("recall", "recall", "accuracy", 0.99),
    *(Goal(f"recall_{name}", f"recall:{name}", "accuracy", None) for name in ("lstm", "min_gru")),
    Goal("selective_copy", "selective_copy", "accuracy", 0.99, 0.995, _FENG),
    Goal("selective_copy_one_layer", "selective_copy:one_layer", "accuracy", None, 0.37, _FENG),
    Goal("listops_lstm", "listops:lstm", "accuracy", 0.71, 0.71, _LISTS),
    Goal("listops_transformer", "listops:transformer", "accuracy", None, 0.57, _LISTS),
]
