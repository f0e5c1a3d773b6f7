"""Accelerators with their published peaks, and the mesh of a plan. Imports no jax."""

from __future__ import annotations

import dataclasses

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.training import Dtype, MatmulPrecision, TrainingConfig

MESH_FIELDS = {
    field.name.removeprefix("mesh_"): field.name
    for field in dataclasses.fields(TrainingConfig)
    if field.name.startswith("mesh_")
}
"""Axis of the mesh -> its field of the training section."""


@dataclasses.dataclass(frozen=True)
class Device:
    """Published peaks of an accelerator.

    Attributes:
      bfloat16, tensorfloat32, float32: operations per second of dense matrix products.
      memory: bytes.
      memory_rate: bytes per second from and to the memory.
      link: bytes per second that a device sends to the others of its domain, and at the same time
        receives, in a collective over one axis of a mesh.
      domain: number of devices that these links join.
      network: bytes per second and device between domains.
      host: devices per host.
    """

    bfloat16: float
    tensorfloat32: float
    float32: float
    memory: float
    memory_rate: float
    link: float
    domain: int
    network: float
    host: int

    def peak(self, training: TrainingConfig) -> float:
        """Operations per second of the products of a run; see `MatmulPrecision`."""
        if training.dtype is Dtype.BFLOAT16:
            return self.bfloat16
        if training.matmul_precision is MatmulPrecision.FLOAT32:
            return self.float32
        if training.matmul_precision is MatmulPrecision.TENSORFLOAT32 or self.domain == 8:
            return self.tensorfloat32
        return self.bfloat16  # the default of a TPU


def _gpu(
    bfloat16: float, float32: float, memory: float, memory_rate: float, link: float, network: float
) -> Device:
    """A GPU of a host with eight, which NVLink joins; products in TensorFloat-32 take twice as long
    as in bfloat16."""
    return Device(*(bfloat16, bfloat16 / 2, float32, memory, memory_rate, link), 8, network, host=8)


def _tpu(
    bfloat16: float, memory: float, memory_rate: float, link: float, domain: int, network: float
) -> Device:
    """A TPU chip; a product of float32 is made of three or six of bfloat16."""
    host = 4 if domain > 256 else 8
    return Device(
        *(bfloat16, bfloat16 / 3, bfloat16 / 6, memory, memory_rate, link), domain, network, host
    )


DEVICES = {
    "a100": _gpu(312e12, 19.5e12, 80e9, 2.039e12, 300e9, 25e9),
    "h100": _gpu(989.4e12, 66.9e12, 80e9, 3.35e12, 450e9, 50e9),
    "h200": _gpu(989.4e12, 66.9e12, 141e9, 4.8e12, 450e9, 50e9),
    "v5e": _tpu(197e12, 16e9, 8.1e11, 0.9e11, 256, 3.125e9),
    "v5p": _tpu(459e12, 95e9, 2.765e12, 1.8e11, 8960, 6.25e9),
    "v6e": _tpu(918e12, 32e9, 1.6e12, 1.8e11, 256, 12.5e9),
}
"""Name -> peaks.

GPUs are the SXM modules in hosts of eight: NVIDIA's data sheets of the A100 80GB, H100 and H200
(rates without sparsity; half of NVLink's 600 and 900 GB/s, which count both directions), and of the
DGX A100 and H100 for the network, one port of 200 and 400 Gb/s per GPU. TPUs: the pages of Google
Cloud for each version; for `link` both directions of one axis of the torus, and for v5e and v6e the
network, Austin et al., 2025, How to Scale Your Model. A peak is never reached: a plan multiplies
that of products by a stated share."""


def find_device(name: str) -> Device:
    """The device of a name.

    Raises:
      UserError: there is none.
    """
    if name not in DEVICES:
        raise UserError(f"--device={name}: no such device{suggest(name, DEVICES)}")
    return DEVICES[name]


def parse_mesh(text: str) -> dict[str, int]:
    """Sizes by axis of `data:8,fsdp:32,tensor:4`; an axis that is left out has 1.

    Raises:
      UserError: a word is not AXIS:NUMBER, or names an axis that is unknown or given twice.
    """
    sizes: dict[str, int] = {}
    for word in text.split(","):
        name, _, size = (part.strip() for part in word.partition(":"))
        if name not in MESH_FIELDS:
            near = suggest(name, MESH_FIELDS)
            raise UserError(f"--mesh={text}: {name!r} is not an axis of the mesh{near}")
        if not size.isdecimal() or int(size) < 1:
            raise UserError(f"--mesh={text}: {word.strip()!r} must be {name}:N with N at least 1")
        if name in sizes:
            raise UserError(f"--mesh={text}: {name} is given twice")
        sizes[name] = int(size)
    return {name: sizes.get(name, 1) for name in MESH_FIELDS}
