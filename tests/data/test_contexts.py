"""Plans: which text a model sees before a target, and that each target counts once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.data.contexts import MIN_WARMUP, Plan, make_batches, make_plan

EXACT = (EvaluationContext.CARRY, EvaluationContext.WINDOW, EvaluationContext.SLIDING)


def plan_of(
    context: EvaluationContext, num_tokens: int, length: int, rows: int, streams: int = 1
) -> Plan:
    config = EvaluationConfig(
        context=context, sequence_length=length, batch_size=rows, num_streams=streams
    )
    return make_plan(num_tokens, config, seed=3)


@pytest.mark.parametrize("context", EXACT)
@pytest.mark.parametrize("length, rows", [(1, 3), (4, 1), (5, 3), (8, 7), (300, 2)])
@pytest.mark.parametrize("num_tokens", [2, 5, 6, 9, 41, 1301, 2600])
@pytest.mark.parametrize("streams", [1, 4])
def test_every_target_counts_once(
    context: EvaluationContext, length: int, rows: int, num_tokens: int, streams: int
) -> None:
    # Token i is i: a target names its place in the text, an input too.
    tokens = np.arange(num_tokens, dtype=np.uint16)
    plan = plan_of(context, num_tokens, length, rows, streams)
    assert plan.rows <= rows
    assert plan.rows * plan.width <= max(rows * length, num_tokens)
    counted, num_batches = np.zeros(num_tokens, int), 0
    for batch, _ in make_batches(tokens, plan, plan.rows + 1):
        assert batch.inputs.shape == (plan.rows + 1, plan.width)
        assert context is EvaluationContext.CARRY or plan.width == length
        real = batch.segment_ids == 1
        np.testing.assert_array_equal(batch.targets[real], batch.inputs[real] + 1)
        assert not batch.loss_weights[~real].any()
        np.add.at(counted, batch.targets[batch.loss_weights == 1], 1)
        num_batches += 1
    np.testing.assert_array_equal(counted, [0] + [1] * (num_tokens - 1))
    assert num_batches == plan.num_batches


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_sliding_has_half_a_window_before_each_target(length: int) -> None:
    plan = plan_of(EvaluationContext.SLIDING, 99, length, 4)
    # The target after token `first` is predicted from tokens start .. first.
    before = (plan.firsts - plan.starts + 1)[1:]
    assert (2 * before >= length).all()
    assert (plan.stops - plan.starts <= length).all()


def test_windows_do_not_overlap() -> None:
    plan = plan_of(EvaluationContext.WINDOW, 41, 8, 4)
    np.testing.assert_array_equal(plan.starts, plan.firsts)
    np.testing.assert_array_equal(plan.starts, [0, 8, 16, 24, 32])


@pytest.mark.parametrize("length", [16, 300])
def test_streams_are_warmed_up_and_balanced(length: int) -> None:
    plan = plan_of(EvaluationContext.CARRY, 9001, length, 5, 5)
    warmup = plan.firsts - plan.starts
    assert warmup[0] == 0
    assert (warmup[1:] >= max(length, MIN_WARMUP)).all()
    sizes = plan.stops - plan.starts
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() < 5
    counted = plan.stops - plan.firsts
    assert (counted >= warmup).all()


def test_streams_run_on_from_batch_to_batch() -> None:
    tokens = np.arange(3001, dtype=np.uint16)
    plan = plan_of(EvaluationContext.CARRY, len(tokens), 16, 3, 3)
    batches = list(make_batches(tokens, plan, plan.rows))
    assert [starts for _, starts in batches] == [True] + [False] * (len(batches) - 1)
    for (before, _), (after, _) in itertools.pairwise(batches):
        goes_on = after.segment_ids[:, 0] == 1
        np.testing.assert_array_equal(after.inputs[goes_on, 0], before.inputs[goes_on, -1] + 1)


def test_a_short_text_has_fewer_streams() -> None:
    assert plan_of(EvaluationContext.CARRY, 400, 16, 32, 32).rows == 1
    one = plan_of(EvaluationContext.CARRY, 4000, 16, 32)
    assert (one.rows, one.starts[0], one.firsts[0], one.stops[0]) == (1, 0, 0, 3999)


@pytest.mark.parametrize("context", EvaluationContext)
@pytest.mark.parametrize("streams", [1, 4])
def test_what_a_target_is_predicted_from_does_not_depend_on_the_batch_size(
    context: EvaluationContext, streams: int
) -> None:
    plans = [plan_of(context, 3001, 16, rows, streams) for rows in (1, 3, 4, 32, 1000)]
    for name in ("starts", "firsts", "stops"):
        for plan in plans[1:]:
            np.testing.assert_array_equal(getattr(plan, name), getattr(plans[0], name))


def test_crops_are_seeded_and_inside_the_text() -> None:
    config = EvaluationConfig(
        context=EvaluationContext.CROPS, sequence_length=7, batch_size=4, num_crops=500
    )
    plan, same, other = (make_plan(31, config, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(plan.starts, same.starts)
    assert (plan.starts != other.starts).any()
    assert plan.starts.min() == 0 and plan.stops.max() == 30
    weights = [b.loss_weights.sum() for b, _ in make_batches(np.zeros(31, np.uint8), plan, 4)]
    assert sum(weights) == 500 * 7
    short = make_plan(4, config, 1)
    assert (short.stops == 3).all()
