"""`--mesh` of the commands that read a run: its parameters, spread over several devices."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments.arguments import Arguments
from seqmodels.config.errors import UserError
from seqmodels.planning.devices import MESH_FIELDS, parse_mesh

if TYPE_CHECKING:
    from jax.sharding import Mesh


def define(values: flags.FlagValues) -> None:
    """Defines the flag."""
    axes = ",".join(f"{name}:N" for name in MESH_FIELDS)
    text = f"{axes}: devices over which to spread the parameters; none = as in the run, if possible"
    flags.DEFINE_string("mesh", None, text, flag_values=values)


def check(arguments: Arguments) -> None:
    """Checks the words; needs no jax.

    Raises:
      UserError: they are wrong, or the task needs whole parameters in one of several processes.
    """
    asked, task = arguments.flags, arguments.experiment.task
    if asked.mesh is None:
        return
    parse_mesh(asked.mesh)
    how = getattr(asked, "distributed", "off")
    if how != "off" and not task.is_summed:
        raise UserError(
            f"--mesh={asked.mesh}: with --distributed={how} one process needs all parameters for "
            f"the {task.kind} task; leave out one of the two"
        )


@contextlib.contextmanager
def over_mesh(arguments: Arguments) -> Iterator[Mesh | None]:
    """Yields the mesh of the parameters, and sets it meanwhile; None for one device.

    Without the flag it has the axes of the run, shortened to what the devices allow, and `data`
    takes the others. Several processes have one mesh over the devices of all, if the task's result
    consists of sums over rows; else each keeps all parameters, and yields None.

    Raises:
      UserError: there are fewer devices than --mesh asks for, or more in several processes.
    """
    import jax

    from seqmodels.distributed.mesh import mesh_context, mesh_of_sizes

    text, training, devices = arguments.flags.mesh, arguments.experiment.training, 1
    sizes: dict[str, Any] = {}
    if text is not None:
        sizes = parse_mesh(text)
        devices = math.prod(sizes.values())
        if devices > jax.device_count():
            raise UserError(
                f"--mesh={text}: needs {devices} devices; there are {jax.device_count()}"
            )
        if jax.process_count() > 1 and devices < jax.device_count():
            raise UserError(
                f"--mesh={text}: has {devices} devices; several processes use all they have, "
                f"{jax.device_count()} here"
            )
    elif jax.process_count() == 1 or arguments.experiment.task.is_summed:
        left = devices = jax.device_count()
        for name in reversed([name for name in MESH_FIELDS if name != "data"]):
            sizes[name] = math.gcd(left, getattr(training, MESH_FIELDS[name]))
            left //= sizes[name]
        if left == devices:  # the run was not spread
            devices = 1
        sizes["data"] = left
    if devices == 1:
        yield None
        return
    mesh = mesh_of_sizes(sizes)
    with mesh_context(mesh):
        yield mesh
