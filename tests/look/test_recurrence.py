"""Gates, memory, eigenvalues and gradients of recurrences against their equations in numpy."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.look import gradients, probes, recurrence
from tests.look.runs import TOKENS, inside, look_at, sigmoid, softmax, weights
from tests.tolerances import TOLERANCE

T = TOKENS.shape[1]


def rnn_by_hand() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """States [T, N], and W, U and the head of the tanh network."""
    w = weights("rnn")
    cell = w["layers"]["cells_0"]
    h, states = np.zeros(5), []
    for token in TOKENS[0]:
        x = w["embedding"]["table"][token]
        h = np.tanh(x @ cell["kernel"] + h @ cell["recurrent_kernel"] + cell["bias"])
        states.append(h)
    return np.array(states), cell["kernel"], cell["recurrent_kernel"], w["head"]


def state_by_input(states: np.ndarray, kernel: np.ndarray, square: np.ndarray) -> list[np.ndarray]:
    """d h_T / d x_s for each step s, [D, N]."""
    slope, found = np.eye(5), []
    for h in states[::-1]:
        found.append(kernel @ (np.diag(1 - h**2) @ slope))
        slope = square @ np.diag(1 - h**2) @ slope
    return found[::-1]


def test_gates_of_two_layers_of_lstm() -> None:
    w, seen = weights("lstm"), inside("lstm").values
    inputs = w["embedding"]["table"][TOKENS[0]]
    for layer in range(2):
        cell = w["layers"][f"cells_{layer}"]
        h, c, outputs = np.zeros(5), np.zeros(5), []
        for t in range(T):
            z = inputs[t] @ cell["kernel"] + h @ cell["recurrent_kernel"] + cell["bias"]
            i, f, g, o = np.split(z, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            outputs.append(h)
            expected = {"input_gate": sigmoid(i), "forget_gate": sigmoid(f), "cell": c}
            expected |= {"output_gate": sigmoid(o), "candidate": np.tanh(g), "hidden": h}
            for name, value in expected.items():
                found = seen[f"cells.{layer}.{name}"][t]
                np.testing.assert_allclose(found, value, err_msg=name, **TOLERANCE["rounding"])
        inputs = np.array(outputs)


@pytest.mark.grid
def test_gates_of_a_gru() -> None:
    w, seen, h = weights("gru"), inside("gru").values, np.zeros(5)
    cell = w["layers"]["cells_0"]
    for t, token in enumerate(TOKENS[0]):
        a = np.split(w["embedding"]["table"][token] @ cell["kernel"] + cell["bias"], 3)
        b = np.split(h @ cell["recurrent_kernel"], 3)
        r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        n = np.tanh(a[2] + r * (b[2] + cell["recurrent_bias"]))
        h = (1 - z) * n + z * h
        for name, value in {"reset_gate": r, "update_gate": z, "hidden": h}.items():
            np.testing.assert_allclose(seen[f"cells.0.{name}"][t], value, **TOLERANCE["rounding"])


@pytest.mark.grid
def test_a_cell_that_reads_from_the_end_has_the_order_of_the_text() -> None:
    config = RecurrentEncoderConfig(cell="rnn", model_dim=6, hidden_dim=5, num_layers=1)
    seen = look_at(config)
    w = jax.tree.map(lambda x: np.asarray(x, np.float64), jax.device_get(seen.params))
    cell = next(w[name]["cells_0"]["backward"] for name in w if "cells_0" in w[name])
    h = np.zeros(5)
    (found,) = (v for n, v in seen.values.items() if n.endswith("backward.hidden"))
    for t in reversed(range(T)):
        x = w["embedding"]["table"][TOKENS[0, t]]
        h = np.tanh(x @ cell["kernel"] + h @ cell["recurrent_kernel"] + cell["bias"])
        np.testing.assert_allclose(found[t], h, **TOLERANCE["rounding"])


def test_memory_is_the_norm_of_the_product_of_jacobians() -> None:
    states, kernel, square, _ = rnn_by_hand()
    expected = [np.linalg.norm(j) for j in state_by_input(states, kernel, square)][::-1]
    (found,) = recurrence.effective_memory(inside("rnn")).values()
    np.testing.assert_allclose(found, expected, **TOLERANCE["rounding"])


def test_eigenvalues_are_those_of_the_last_jacobian() -> None:
    states, _, square, _ = rnn_by_hand()
    expected = np.linalg.eigvals(square @ np.diag(1 - states[-1] ** 2))
    found = recurrence.step_eigenvalues(inside("rnn"))
    key = lambda x: np.sort_complex(np.round(x, 6))
    np.testing.assert_allclose(key(found), key(expected), **TOLERANCE["chunking"])
    assert recurrence.step_eigenvalues(inside("gpt")) is None


def test_gradients_by_distance_are_those_of_the_chain_rule() -> None:
    states, kernel, square, head = rnn_by_hand()
    logits = states[-1] @ head["Dense_0"]["kernel"] + head["Dense_0"]["bias"]
    slope = softmax(logits) - np.eye(7)[TOKENS[0, 0]]  # the last target is the first token
    through = head["Dense_0"]["kernel"] @ slope
    expected = [np.linalg.norm(j @ through) for j in state_by_input(states, kernel, square)]
    (found,) = gradients.make_gradient_norms(inside("rnn"))(inside("rnn").params).values()
    np.testing.assert_allclose(found, expected[::-1], **TOLERANCE["rounding"])


def test_the_factor_per_step_is_that_of_a_geometric_series() -> None:
    assert abs(gradients.decay_rate(3 * 0.8 ** np.arange(20)) - 0.8) < 1e-12
    assert gradients.decay_rate(np.array([1.0, 0.0, 0.0])) is None


def test_saturation_counts_both_ends() -> None:
    gate = np.array([[0.05, 0.5], [0.95, 0.99]])
    assert recurrence.saturation(gate) == (0.25, 0.5)


def test_properties_of_a_text_are_counted_after_each_token() -> None:
    found = probes.text_properties(list('a("b)\nc"'))
    assert found["position in the line"].tolist() == [1, 2, 3, 4, 5, 0, 1, 2]
    assert found["inside quotes"].tolist() == [0, 0, 1, 1, 1, 1, 1, 0]
    assert found["depth of brackets"].tolist() == [0, 1, 1, 1, 0, 0, 0, 0]
    assert list(probes.text_properties(list("abc"))) == ["position in the line"]


def test_a_probe_finds_what_is_there_and_nothing_else() -> None:
    draw = np.random.default_rng(0)
    wanted = draw.integers(0, 2, 200).astype(float)
    noise = draw.normal(size=(200, 4))
    with_it = np.concatenate([noise, -wanted[:, None]], axis=1)
    found = probes.probe(with_it, wanted)
    assert found["r2"] > 0.99
    assert found["accuracy"] == 1.0
    correlation = probes.correlate(with_it, wanted)
    expected = [np.corrcoef(with_it[:, n], wanted)[0, 1] for n in range(5)]
    np.testing.assert_allclose(correlation, expected, **TOLERANCE["rounding"])
    without = probes.probe(noise, wanted)
    assert without["r2"] < 0.1
    assert abs(without["accuracy"] - 0.5) < 0.15
