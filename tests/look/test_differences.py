"""Models that run a layer more than once, or step by step: gradients against differences of a
second implementation in numpy, float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from seqmodels.look.gradients import make_gradient_norms
from seqmodels.look.inside import Inside
from tests.look.runs import sigmoid, softmax
from tests.look.test_every_model import inside_of
from tests.tolerances import TOLERANCE

pytestmark = pytest.mark.grid
HALF_STEP = 1e-5


def params_of(inside: Inside) -> Any:
    return jax.tree.map(lambda x: np.asarray(x, np.float64), jax.device_get(inside.params))


def norms_by_difference(loss: Callable[[np.ndarray], float], shape: tuple[int, int]) -> np.ndarray:
    """||d loss / d shift_s|| at a shift [T, D] of zeros, from the last step on."""
    slopes = np.zeros(shape)
    for place in np.ndindex(*shape):
        shift = np.zeros(shape)
        shift[place] = HALF_STEP
        slopes[place] = (loss(shift) - loss(-shift)) / (2 * HALF_STEP)
    return np.linalg.norm(slopes, axis=1)[::-1]


class SegmentRNN:
    """The case `segment_rnn`: one GRU over the segments of the window, then over the horizon."""

    def __init__(self, inside: Inside) -> None:
        self.w, self.config = params_of(inside), inside.model.config
        window = np.asarray(inside.example.batch.inputs[0], np.float64)
        missing = -len(window) % self.config.segment_length
        window = np.concatenate([np.repeat(window[:1], missing, axis=0), window])
        segments = window.reshape(-1, self.config.segment_length * window.shape[1])
        e = self.w["embedding"]
        self.read = np.maximum(segments @ e["kernel"] + e["bias"], 0)
        self.shape = inside.outputs.shape

    def step(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        cell = self.w["layers"]["cells_0"]
        a = np.split(x @ cell["kernel"] + cell["bias"], 3)
        b = np.split(h @ cell["recurrent_kernel"], 3)
        r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        n = np.tanh(a[2] + r * (b[2] + cell["recurrent_bias"]))
        h = (1 - z) * n + z * h
        return h, {"reset_gate": r, "update_gate": z, "hidden": h}

    def __call__(self, shift: Any = 0.0) -> tuple[np.ndarray, dict[str, list[Any]]]:
        """The forecast, and the gates over the window and over the horizon."""
        (head,) = self.w["head"].values()
        h, seen = np.zeros(self.config.hidden_dim), {}
        for x in self.read + shift:
            h, gates = self.step(x, h)
            for name, value in gates.items():
                seen.setdefault(name, []).append(value)
        written = []
        for place in self.w["places"]:
            y, gates = self.step(place, h)
            written.append(y @ head["kernel"] + head["bias"])
            for name, value in gates.items():
                seen.setdefault(f"horizon.{name}", []).append(value)
        return np.concatenate(written).reshape(-1, *self.shape[1:])[: self.shape[0]], seen


def test_a_segment_rnn_is_shown_over_the_window_and_over_the_horizon() -> None:
    inside = inside_of("segment_rnn")
    model = SegmentRNN(inside)
    outputs, seen = model()
    np.testing.assert_allclose(inside.outputs, outputs, **TOLERANCE["reference"])
    for name, values in seen.items():
        before, _, gate = name.rpartition(".")
        found = inside.values[f"{before}.cells.0.{gate}" if before else f"cells.0.{gate}"]
        np.testing.assert_allclose(found, values, err_msg=name, **TOLERANCE["rounding"])
    loss = lambda shift: 0.5 * float((model(shift)[0] ** 2).sum())
    expected = norms_by_difference(loss, model.read.shape)
    found = make_gradient_norms(inside)(inside.params)
    assert list(found) == ["cells.0.resid_pre"]
    assert len(expected) > 1 and (expected > 1e-3).all()
    np.testing.assert_allclose(found["cells.0.resid_pre"], expected, **TOLERANCE["gradient"])


class Attended:
    """The case `seq2seq scaled dot, aaren`: cells that attend, in the encoder and in the decoder,
    which also attends to the encoder's outputs."""

    def __init__(self, inside: Inside) -> None:
        self.w, self.config = params_of(inside), inside.model.config
        batch = inside.example.batch
        self.source = self.w["source_embedding"]["table"][np.asarray(batch.source)[0]]
        self.target = self.w["embedding"]["table"][np.asarray(batch.inputs)[0]]
        self.answer = int(np.asarray(batch.targets)[0, -1])

    def read(self, part: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores [H] and values [H, K] of a token, for the learned query."""
        cell = self.w[part]["cells_0"]
        s = cell["scores"]
        query = np.einsum("d,dhk->hk", s["query_token"], s["query_kernel"]) + s["query_bias"]
        key = np.einsum("d,dhk->hk", x, s["key_kernel"]) + s["key_bias"]
        value = np.einsum("d,dhk->hk", x, cell["value"]["kernel"]) + cell["value"]["bias"]
        return (query * key).sum(-1) / np.sqrt(key.shape[-1]), value

    def attend(self, part: str, seen: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Output [N] of a cell that has read tokens, and its weights [H, tokens]."""
        out = self.w[part]["cells_0"]["out"]
        weights = softmax(np.stack([scores for scores, _ in seen], axis=1))
        mean = np.einsum("hi,ihk->hk", weights, np.stack([value for _, value in seen]))
        return mean.reshape(-1) @ out["kernel"] + out["bias"], weights

    def __call__(self, reads: Any = 0.0, writes: Any = 0.0) -> tuple[float, np.ndarray]:
        """The loss of the last step, and the decoder's map [H, T, T] of its own tokens."""
        seen: list[Any] = []
        states = []
        for x in self.source + reads:
            seen.append(self.read("encoder", x))
            states.append(self.attend("encoder", seen)[0])
        states = np.array(states)
        query, size, logits = states[-1], len(self.target), np.zeros(0)
        writes = np.broadcast_to(writes, (size, self.target.shape[1] + states.shape[1]))
        pattern = np.zeros((self.config.num_heads, size, size))
        for t, e in enumerate(self.target):
            align = softmax(states @ query / np.sqrt(len(query)))
            context = align @ states
            seen.append(self.read("decoder", np.concatenate([e, context]) + writes[t]))
            query, weights = self.attend("decoder", seen)
            pattern[:, t, : t + 1] = weights[:, len(self.source) :]
            features = np.tanh(np.concatenate([query, context, e]) @ self.w["mix"]["kernel"])
            (head,) = self.w["head"].values()
            logits = features @ head["kernel"] + head["bias"]
        return -float(np.log(softmax(logits)[self.answer])), pattern


def test_an_encoder_decoder_whose_cells_attend() -> None:
    inside = inside_of("seq2seq scaled dot, aaren")
    model = Attended(inside)
    loss, pattern = model()
    found = inside.values["decoder.cells.0.pattern"]
    assert np.allclose(loss, -inside.log_probabilities[-1, model.answer], **TOLERANCE["reference"])
    assert (pattern.sum(-1) < 1 - 1e-3).any()  # the rest is on the source
    np.testing.assert_allclose(found, pattern, **TOLERANCE["rounding"])
    norms = make_gradient_norms(inside)(inside.params)
    for part, word in (("encoder", "reads"), ("decoder", "writes")):
        name = f"{part}.cells.0.resid_pre"
        shape = inside.values[name].shape
        expected = norms_by_difference(lambda x, w=word: model(**{w: x})[0], shape)
        assert (expected > 1e-6).all()
        np.testing.assert_allclose(norms[name], expected, err_msg=part, **TOLERANCE["gradient"])
