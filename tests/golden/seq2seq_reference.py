"""Attention and encoder-decoders in float64 numpy: one row, one step and one number at a time.

Written from the equations of Sutskever et al., 2014 (arXiv:1409.3215), Cho et al., 2014
(arXiv:1406.1078), Bahdanau et al., 2015 (arXiv:1409.0473) and Luong et al., 2015 (arXiv:1508.04025)
with Elman cells and without padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Vector, Matrix = np.ndarray, np.ndarray


def score(kind: str, p: dict[str, Any], s: Vector, h: Vector) -> float:
    """Score of the source's state h for the decoder's state s."""
    match kind:
        case "dot":
            return sum(a * b for a, b in zip(s, h, strict=True))
        case "scaled_dot":
            return score("dot", p, s, h) / np.sqrt(len(s))
        case "general":
            return s @ (h @ p["memory"]["kernel"])
        case "concat":
            return p["score_kernel"] @ np.tanh(np.concatenate([s, h]) @ p["kernel"])
    hidden = s @ p["query"]["kernel"] + h @ p["memory"]["kernel"]
    return p["score_kernel"] @ np.tanh(hidden)


def align(
    kind: str, p: dict[str, Any], s: Vector, states: list[Vector], half_width: int | None = None
) -> tuple[Vector, Vector]:
    """Context and weights: local-p with `half_width` D, global otherwise. Positions from 0."""
    scores = [score(kind, p, s, h) for h in states]
    if half_width is None:
        exponentials = np.exp(scores)
        weights = exponentials / exponentials.sum()
    else:
        inner = p["position_kernel"] @ np.tanh(s @ p["position"]["kernel"])
        center = len(states) / (1 + np.exp(-inner))
        window = [j for j in range(len(states)) if center - half_width <= j <= center + half_width]
        total = sum(np.exp(scores[j]) for j in window)
        weights, deviation = np.zeros(len(states)), half_width / 2
        for j in window:
            fade = np.exp(-((j - center) ** 2) / (2 * deviation**2))
            weights[j] = np.exp(scores[j]) / total * fade
    return sum(w * h for w, h in zip(weights, states, strict=True)), weights


def elman(p: dict[str, Matrix], x: Vector, s: Vector) -> Vector:
    return np.tanh(x @ p["kernel"] + s @ p["recurrent_kernel"] + p["bias"])


def read(p: dict[str, Matrix], xs: list[Vector]) -> list[Vector]:
    """The states after each of xs."""
    states = [np.zeros(len(p["recurrent_kernel"]))]
    for x in xs:
        states.append(elman(p, x, states[-1]))
    return states[1:]


def encode(p: dict[str, Any], source: list[int], reverse: bool) -> tuple[list[Vector], Vector]:
    """The states h in the order of their tokens, and the decoder's first state."""
    xs = [p["source_embedding"]["table"][token] for token in source]
    xs = xs[::-1] if reverse else xs
    cell = p["encoder"]["cells_0"]
    if "forward" not in cell:
        states = read(cell, xs)
        first = states[-1]
    else:
        ahead, back = read(cell["forward"], xs), read(cell["backward"], xs[::-1])[::-1]
        states = [np.concatenate(pair) for pair in zip(ahead, back, strict=True)]
        bridge = p["bridges_0"]["state"]
        both = np.concatenate([ahead[-1], back[0]])
        first = np.tanh(both @ bridge["kernel"] + bridge["bias"])
    return states[::-1] if reverse else states, first


def decode(
    p: dict[str, Any], source: list[int], target: list[int], settings: dict[str, Any]
) -> tuple[list[Vector], list[Vector]]:
    """Features and, with attention, weights of every step.

    Args:
      p: parameters of Seq2Seq.
      source, target: tokens.
      settings: context, score, half_width, reverse, feeds.
    """
    states, s = encode(p, source, settings["reverse"])
    attend = lambda s: align(settings["score"], p["alignment"], s, states, settings["half_width"])
    fed, features, weights = np.zeros(len(s)), [], []
    for token in target:
        e, cell = p["embedding"]["table"][token], p["decoder"]["cells_0"]
        match settings["context"]:
            case "fixed":
                s = o = elman(cell, e, s)
            case "every_step":
                size = len(states[0]) // 2
                c = states[0 if settings["reverse"] else -1]
                if "forward" in p["encoder"]["cells_0"]:
                    c = np.concatenate([states[-1][:size], states[0][size:]])
                s = elman(cell, np.concatenate([e, c]), s)
                o = np.tanh(np.concatenate([s, c, e]) @ p["mix"]["kernel"])
            case "bahdanau":
                c, a = attend(s)
                s = elman(cell, np.concatenate([e, c]), s)
                o = np.tanh(np.concatenate([s, c, e]) @ p["mix"]["kernel"])
                weights.append(a)
            case _:
                s = elman(cell, np.concatenate([e, fed]) if settings["feeds"] else e, s)
                c, a = attend(s)
                fed = o = np.tanh(np.concatenate([c, s]) @ p["mix"]["kernel"])
                weights.append(a)
        features.append(o)
    return features, weights
