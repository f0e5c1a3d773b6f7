"""The time of a training step, predicted from the measured peaks of this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from seqmodels.benchmark.machine import LARGEST, TRIAD, bandwidth, matrix_peak
from seqmodels.config.training import TrainingConfig
from seqmodels.planning.memory import Part


@dataclasses.dataclass(frozen=True)
class StepTime:
    """A lower bound: products at the peak of square ones, then memory that is moved at its peak.

    Attributes:
      operations: of products, in a step of one device.
      moved: bytes; the state, the activations and the gradients are each written and read once.
      operations_per_second, bytes_per_second: measured.
    """

    operations: float
    moved: float
    operations_per_second: float
    bytes_per_second: float

    @property
    def products(self) -> float:
        """Seconds."""
        return self.operations / self.operations_per_second

    @property
    def memory(self) -> float:
        """Seconds."""
        return self.moved / self.bytes_per_second

    def lines(self) -> Iterator[str]:
        """Text with the assumptions."""
        yield f"a step takes {1e3 * (self.products + self.memory):,.1f} ms or more:"
        yield (
            f"  products {1e3 * self.products:,.1f} ms: {self.operations:.3g} operations at the "
            f"{self.operations_per_second:.3g} per second of square products here"
        )
        yield (
            f"  memory {1e3 * self.memory:,.1f} ms: the state, activations and gradients, "
            f"{self.moved / 1e6:,.1f} MB written and read at {self.bytes_per_second / 1e9:,.1f} "
            "GB/s"
        )
        yield (
            "  not counted: smaller and narrower products, element-wise work, the steps of loops "
            "over time, messages between devices"
        )


def predict_step_time(
    training: TrainingConfig, operations: int, parts: list[Part], devices: int
) -> StepTime:
    """Measures the peaks of this process's first device, and predicts a step.

    Args:
      operations: of the products of a call, over all devices; see `benchmark.flops.count`.
      parts: of the memory, with the step's.
      devices: of the mesh. Those of a CPU share its cores.
    """
    shared = jax.local_devices()[0].platform == "cpu"
    size = {part.name: part.size if shared else part.size_each for part in parts}
    batches = size.pop("batches of a call", 0)
    calls = training.steps_per_call
    return StepTime(
        operations / calls / (1 if shared else devices),
        2 * sum(size.values()) + 2 * batches / calls,
        matrix_peak(jnp.dtype(training.dtype.value), LARGEST, seed=0),
        bandwidth(TRIAD, seed=0),
    )
