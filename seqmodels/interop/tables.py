"""Rules that map the tensors of a file to our parameters, and back.

Imports no jax.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig
from seqmodels.config.tasks import TaskConfig
from seqmodels.interop.files import Tensors, name_some

Shape = tuple[int, ...]
Join = Callable[..., np.ndarray]
Split = Callable[[np.ndarray], Sequence[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One of our parameters and the tensors that it is made from.

    Attributes:
      path: path of the parameter, such as `stack/blocks/attention/qkv/kernel`.
      tensors: name -> shape; `{}` in a name is the number of the layer.
      join: makes the parameter (of one layer) from the tensors, in their order.
      split: makes the tensors from the parameter; None if there is no way back.
      layers: number of layers, stacked along `axis`; None if not stacked.
      optional: a file may lack all of the tensors, in which case the parameter is initialised.
    """

    path: str
    tensors: dict[str, Shape]
    join: Join
    split: Split | None = None
    layers: int | None = None
    axis: int = 0
    optional: bool = False

    def names(self) -> list[list[str]]:
        """The names of the tensors, one list per layer."""
        layers = range(1) if self.layers is None else range(self.layers)
        return [[name.replace("{}", str(layer)) for name in self.tensors] for layer in layers]

    def expected(self) -> Iterator[tuple[str, Shape]]:
        """(name, shape) of every tensor of every layer."""
        for names in self.names():
            yield from zip(names, self.tensors.values(), strict=True)

    def read(self, tensors: Tensors) -> np.ndarray:
        """Reads the tensors and returns the parameter."""
        parts = (self.join(*map(tensors.read, names)) for names in self.names())
        if self.layers is None:
            return np.ascontiguousarray(next(parts))
        first = next(parts)
        whole = np.empty(np.insert(first.shape, self.axis, self.layers), np.float32)
        layers = np.moveaxis(whole, self.axis, 0)
        layers[0] = first
        for layer, part in enumerate(parts, 1):
            layers[layer] = part
        return whole

    def write(self, parameter: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the tensors of the parameter."""
        assert self.split is not None, f"{self.path} has no way back"
        parts = parameter[None] if self.layers is None else np.moveaxis(parameter, self.axis, 0)
        return {
            name: array
            for names, part in zip(self.names(), parts, strict=True)
            for name, array in zip(names, self.split(part), strict=True)
        }


def same(path: str, name: str, *shape: int, **more: Any) -> Rule:
    """A parameter equal to its tensor."""
    return Rule(path, {name: shape}, lambda x: x, lambda x: [x], **more)


def transposed(path: str, name: str, *shape: int, **more: Any) -> Rule:
    """A kernel [in, out] from a weight [out, in]; `shape` is the weight's."""
    return Rule(path, {name: shape}, lambda x: x.T, lambda x: [x.T], **more)


def norm(
    path: str, name: str, size: int, parts: tuple[str, str] = ("weight", "bias"), **more: Any
) -> tuple[Rule, Rule]:
    """Scale and bias of a layer norm, which the file calls `parts`."""
    return (
        same(f"{path}/scale", f"{name}.{parts[0]}", size, **more),
        same(f"{path}/bias", f"{name}.{parts[1]}", size, **more),
    )


def dense(path: str, name: str, inputs: int, outputs: int, **more: Any) -> tuple[Rule, Rule]:
    """Kernel and bias of a PyTorch linear layer."""
    return (
        transposed(f"{path}/kernel", f"{name}.weight", outputs, inputs, **more),
        same(f"{path}/bias", f"{name}.bias", outputs, **more),
    )


def constant(path: str, make: Callable[[], np.ndarray], **more: Any) -> Rule:
    """A parameter that the file does not have and that equals what `make` returns."""
    return Rule(path, {}, make, lambda _: [], **more)


def zeros(path: str, *shape: int, **more: Any) -> Rule:
    """A parameter that the file does not have and that is 0."""
    return constant(path, lambda: np.zeros(shape, np.float32), **more)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """How a file becomes one of our models.

    Attributes:
      architecture: its name in the file.
      model, task: our configs.
      spec: JSON of the `DataSpec` (`seqmodels.runs.specs`).
      make_rules: maps a model, which may be `model` with overrides, to the rules of all
        parameters that the file may hold.
      harmless: patterns of names of tensors that do not belong to any parameter.
      notes: lines for the user.
      labels: class names of a model that classifies images or texts.
    """

    architecture: str
    model: ModelConfig
    task: TaskConfig
    spec: dict[str, Any]
    make_rules: Callable[[Any], tuple[Rule, ...]]
    harmless: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def vocab_size(self) -> int | None:
        """Size of the vocabulary that the model reads; None if it does not read tokens."""
        return self.spec["inputs"].get("vocab_size")


def text_spec(vocab_size: int) -> dict[str, Any]:
    """JSON of the spec of a model that reads and predicts tokens of one vocabulary."""
    size = {"kind": "tokens", "vocab_size": vocab_size}
    return {"inputs": size, "outputs": {**size, "kind": "vocab"}, "source": None}


@dataclasses.dataclass(frozen=True)
class Matched:
    """The parts of a conversion that a file holds.

    Attributes:
      rules: rules whose tensors are in the file.
      fresh: paths of the other parameters.
      unused: tensors that no rule uses and that are not known to be harmless.
    """

    rules: tuple[Rule, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]


def match(conversion: Conversion, model: ModelConfig, tensors: Tensors) -> Matched:
    """Compares the names, shapes and dtypes in a file with the rules of a model.

    Reads no tensors, and takes memory for those in the file alone, whatever the config says.

    Raises:
      UserError: tensors are missing (names up to 5 of them), have the wrong shape, or are
        quantised; or the config asks for far more than the file holds.
    """
    shapes, source = tensors.shapes, tensors.source
    _refuse_more_layers(model, tensors)
    filled, fresh, missing, wrong = [], [], [], []
    used: set[str] = set()
    size = 0
    for rule in conversion.make_rules(model):
        expected = dict(rule.expected())
        used |= set(expected)
        absent = [name for name in expected if name not in shapes]
        if rule.optional and expected and len(absent) == len(expected):
            fresh.append(rule.path)
            size += sum(math.prod(shape) for _, shape in rule.expected())
            continue
        filled.append(rule)
        missing += [name for name in absent if name not in missing]
        wrong += [
            f"{name} has shape {list(shapes[name])}, expected {list(shape)}"
            for name, shape in expected.items()
            if name in shapes and tuple(shapes[name]) != shape
        ]
    packed = {n: kind for n, kind in tensors.packed.items() if n in used or missing}
    if packed:
        kinds = ", ".join(sorted(set(packed.values())))
        raise UserError(
            f"{source}: {name_some(packed, 'tensor')} of {kinds}: quantised weights are not "
            "supported; allowed: float32, float64, float16, bfloat16"
        )
    if missing:
        raise UserError(
            f"{source}: the tensors are not those of the {conversion.architecture} in its config: "
            f"missing {len(missing)}: {name_some(missing, 'tensor')}"
        )
    if wrong:
        more = f" ({len(wrong)} tensors differ)" if len(wrong) > 1 else ""
        raise UserError(f"{source}: {wrong[0]}{more}")
    held = sum(math.prod(shape) for shape in shapes.values())
    if size > held:
        raise UserError(
            f"{source}: the config asks for {size:,} more parameters ({', '.join(fresh)}) than the "
            f"{held:,} of the file"
        )
    harmless = re.compile("|".join(conversion.harmless) or r"(?!)")
    unused = [name for name in shapes if name not in used and not harmless.fullmatch(name)]
    return Matched(tuple(filled), tuple(fresh), tuple(sorted(unused)))


def _refuse_more_layers(model: ModelConfig, tensors: Tensors) -> None:
    """Refuses a number of layers that exceeds the number of tensors, before naming them all."""
    for field, value in vars(model).items():
        if field.startswith("num_") and field.endswith("layers") and value > len(tensors.shapes):
            raise UserError(
                f"{tensors.source}: model.{field}={value}: the file has only "
                f"{len(tensors.shapes)} tensors"
            )


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"a/b": x} -> {"a": {"b": x}}."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *folders, last = path.split("/")
        inner = tree
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[last] = value
    return tree


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": x}} -> {"a/b": x}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat
