"""Fields of a config that make a run fit its devices, with what they would need."""

from __future__ import annotations

from collections.abc import Iterator

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.training import Dtype
from seqmodels.planning.memory import STEP, Part


def advise(config: ExperimentConfig, parts: list[Part], devices: int, limit: float) -> list[str]:
    """Lines that say what does not fit and which fields help; empty if all fits.

    Args:
      parts: with the step's, if known.
      devices: of the mesh.
      limit: bytes of each device.
    """
    each = {part.name: part.size_each for part in parts}
    total, step = sum(each.values()), each.get(STEP, 0)
    if total <= limit:
        return []
    kept = total - step
    what = "the state with its batch" if kept > limit else "a step"
    need = kept if kept > limit else total
    lines = [f"{what} needs {_gb(need)}; a device has {_gb(limit)}"]
    lines += _longer_fsdp(config, each, limit)
    if kept <= limit:
        lines += _more_parts(config, each, devices, limit)
        if getattr(config.model, "remat", True) is False:
            lines.append("model.remat=true keeps one vector per token and layer, for a third more")
    if config.training.dtype is Dtype.FLOAT32:
        lines.append("training.dtype=bfloat16 halves the activations")
    if len(lines) == 1:
        lines.append("more devices, shorter sequences or a smaller model")
    return lines


def _longer_fsdp(config: ExperimentConfig, each: dict[str, int], limit: float) -> Iterator[str]:
    """The shortest longer axis fsdp with which all fits, on the same devices if possible."""
    training, total = config.training, sum(each.values())
    spread = {name: size for name, size in each.items() if name not in (STEP, "batches of a call")}
    # The gradients of a step are spread too; they are as large as the parameters.
    saved = sum(spread.values()) + min(each["parameters"], each.get(STEP, 0))
    for factor in (2**n for n in range(1, 13)):
        need = total - saved * (1 - 1 / factor)
        if need <= limit:
            fsdp, data = training.mesh_fsdp * factor, training.mesh_data or 1
            where = f"with data:{data // factor}" if data % factor == 0 else "on more devices"
            yield f"mesh fsdp:{fsdp} {where} needs about {_gb(need)}"
            return


def _more_parts(
    config: ExperimentConfig, each: dict[str, int], devices: int, limit: float
) -> Iterator[str]:
    """The least training.accumulation_steps with which all fits."""
    need = needs_by_parts(config, each, devices)
    fits = next((n for n, size in need.items() if size <= limit), None)
    if fits is not None:
        yield f"training.accumulation_steps={fits} needs about {_gb(need[fits])}"


def needs_by_parts(
    config: ExperimentConfig, each: dict[str, int], devices: int
) -> dict[int, float]:
    """Number of micro-batches, above that of the config -> bytes of a device, about.

    Args:
      each: bytes of a device by part.
      devices: of the mesh.
    """
    now, step = config.training.accumulation_steps, each.get(STEP, 0)
    # The gradients, and one more sum of them, are as large as the parameters for any batch.
    rest = sum(each.values()) - step + 2 * each["parameters"]
    training = config.training
    shards = devices // (training.mesh_tensor * training.mesh_sequence)
    rows = config.data.batch_size // shards
    activations = max(step - each["parameters"], 0)
    return {n: rest + activations * now / n for n in range(now + 1, rows + 1) if rows % n == 0}


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
