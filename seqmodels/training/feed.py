"""Placement of batches on the mesh; each process makes only the rows that its devices hold."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqmodels.data.prefetcher import Prefetcher
from seqmodels.distributed.mesh import batch_sharding
from seqmodels.protocols import BatchSource
from seqmodels.types import Batch


class Feed:
    """Global arrays of a source's batches; makes the next ones while the devices work.

    Args:
      source: the batches, see `seqmodels.data.pipeline`.
      mesh: the mesh of the run.
      steps_per_call: number of batches to stack into one array [K, B, ...] if above 1.
    """

    def __init__(self, source: BatchSource, mesh: Mesh, steps_per_call: int) -> None:
        self._source, self._steps = source, steps_per_call
        self._prefetcher = Prefetcher(self._make)
        self._sharding = batch_sharding(mesh, stacked=steps_per_call > 1)
        shape = (source.batch_size,)
        sharding = batch_sharding(mesh, stacked=False)
        indices = sharding.addressable_devices_indices_map(shape).values()
        bounds = [index[0].indices(shape[0])[:2] for index in indices if index]
        # The rows of this process form one block because the mesh follows the order of devices.
        self._first = min((b[0] for b in bounds), default=0)
        self._last = max((b[1] for b in bounds), default=shape[0])

    @property
    def waited(self) -> float:
        """Seconds for which the devices were idle because the next batch was not ready."""
        return self._prefetcher.waited

    def __call__(self, step: int) -> Batch:
        """Returns the batches of steps step .. step + steps_per_call - 1."""
        return self._prefetcher.take(step)

    def start(self, step: int, busy: Any) -> None:
        """Starts making the batches from `step` on while the devices compute `busy`."""
        self._prefetcher.start(step, busy)

    def close(self) -> None:
        """Stops the thread that makes the batches."""
        self._prefetcher.close()

    def _make(self, step: int) -> Batch:
        rows = slice(self._first, self._last)
        local = [self._source.batch(step + i, rows) for i in range(self._steps)]
        axis = 1 if self._steps > 1 else 0

        def place(*parts: np.ndarray) -> jax.Array:
            stacked = np.stack(parts) if self._steps > 1 else parts[0]
            shape = list(stacked.shape)
            shape[axis] = self._source.batch_size

            def block(index: Any) -> np.ndarray:
                start, stop, _ = index[axis].indices(shape[axis])
                own = slice(start - self._first, stop - self._first)
                return stacked[(slice(None),) * axis + (own,)]

            return jax.make_array_from_callback(tuple(shape), self._sharding, block)

        return jax.tree.map(place, *local)
