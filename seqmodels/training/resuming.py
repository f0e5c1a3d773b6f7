"""Effects of a changed config on the learning rates of a run that resumes."""

from __future__ import annotations

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import differences
from seqmodels.training.optimizers import make_schedule


def describe_change(before: ExperimentConfig, after: ExperimentConfig, step: int) -> Iterator[str]:
    """Yields lines for the user about a run that resumes after `step` with another config."""
    lines = differences(before, after)
    yield from (f"changed after step {step}: {line}" for line in lines)
    if not any(line.startswith(("training.num_steps:", "optimizer.")) for line in lines):
        return
    old, new = rates(before, step), rates(after, step)
    differ = np.flatnonzero(old[:step] != new[:step])
    num_steps, schedule = after.training.num_steps, after.optimizer.schedule
    if not len(differ):
        yield (
            f"learning rates: no step so far has another one in a run of {num_steps} steps, so "
            "this becomes that run"
        )
        return
    yield (
        f"warning: optimizer.schedule={schedule} depends on training.num_steps: steps "
        f"{differ[0] + 1} to {step} had the learning rates of a run of "
        f"{before.training.num_steps} steps, the last {old[step - 1]:.3g}; a run of {num_steps} "
        f"steps has {new[step - 1]:.3g} there, and step {step + 1} continues with "
        f"{new[step]:.3g}. The result will differ from {num_steps} steps at once"
    )


def rates(config: ExperimentConfig, step: int) -> np.ndarray:
    """The learning rates of steps 1 to step + 1, float32."""
    schedule = make_schedule(config.optimizer, config.training.num_steps)
    return np.asarray(jnp.broadcast_to(schedule(jnp.arange(step + 1)), (step + 1,)), np.float32)
