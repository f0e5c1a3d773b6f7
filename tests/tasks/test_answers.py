"""Classes of the user's own lines: neighbours and padding do not enter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.transformers import BERTConfig, GPTConfig
from seqmodels.protocols import Answerer
from seqmodels.runs.run import Run
from tests.evaluation.runs import make_labelled_run
from tests.tolerances import TOLERANCE

LINES = ["ab", "cabbacbabcaba", "b", "xx"]
MODELS: dict[str, ModelConfig] = {
    "recurrent_encoder": RecurrentEncoderConfig(num_layers=1, model_dim=6, hidden_dim=7),
    "bert": BERTConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=10, max_length=20),
    "gpt": GPTConfig(1, 12, 3, mlp_dim=10, max_length=20, tie_embeddings=False),
}


def answerer(run: Run, batch_size: int) -> Answerer:
    assert run.features is not None
    return run.task.answerer(run.model, run.params, run.features, run.config, None, batch_size)


def answer(predictor: Answerer, lines: list[str]) -> list[dict[str, Any]]:
    return predictor(lines, [predictor.read(line) for line in lines])


@pytest.mark.parametrize("kind", MODELS)
def test_neighbours_and_padding_change_no_class(kind: str) -> None:
    run = make_labelled_run(MODELS[kind], "abc", max_length=20)
    together, alone = answer(answerer(run, 5), LINES), answerer(run, 1)
    for line, expected in zip(LINES, together, strict=True):
        (found,) = answer(alone, [line])
        assert found["text"] == line and found["label"] == expected["label"]
        shares = [list(side["probabilities"].values()) for side in (found, expected)]
        np.testing.assert_allclose(*shares, **TOLERANCE["chunking"])
    assert [one.get("num_unknown") for one in together] == [None, None, None, 2]


def test_a_line_that_is_too_long() -> None:
    run = make_labelled_run(MODELS["gpt"], "abc", max_length=5)
    with pytest.raises(UserError, match=r"has 6 tokens; the run's max_length is 5"):
        answerer(run, 1).read("abcab")
    with pytest.raises(UserError, match="is empty"):
        answerer(run, 1).read("")
    cut = make_labelled_run(MODELS["gpt"], "abc", max_length=5, cut_long=True)
    assert answerer(cut, 1).read("abcab").tolist() == [4, 1, 2, 3, 1]
