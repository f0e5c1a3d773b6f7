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
    text = f"{axes}: devices to spread the parameters over; none = as the run did where it can"
    flags.DEFINE_string("mesh", None, text, flag_values=values)


def check(arguments: Arguments) -> None:
    """Checks the words; needs no jax.

    Raises:
      UserError: they are wrong, or there are several processes, which spread only their rows.
    """
    asked = arguments.flags
    if asked.mesh is None:
        return
    parse_mesh(asked.mesh)
    if getattr(asked, "distributed", "off") != "off":
        raise UserError(f"--mesh={asked.mesh}: is for one process; leave out --distributed")


@contextlib.contextmanager
def over_mesh(arguments: Arguments) -> Iterator[Mesh | None]:
    """Yields the mesh of the parameters, and sets it meanwhile; None for one device.

    Without the flag it has the axes of the run, shortened to what the devices allow, and `data`
    takes the others.

    Raises:
      UserError: there are fewer devices than --mesh asks for.
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
    elif jax.process_count() == 1:
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
