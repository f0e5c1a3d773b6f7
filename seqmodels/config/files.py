"""Config files, one per experiment, found by name or by path. Imports no jax.

A config file defines `VARIANTS`, a tuple of names of which the first is the default, and
`get_config(variant) -> ExperimentConfig`. Its docstring is a lab note.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig

CONFIG_DIRECTORY = Path(__file__).parents[2] / "experiments" / "configs"


def config_names(directory: Path = CONFIG_DIRECTORY) -> list[str]:
    """Names of the config files, in alphabetical order."""
    return sorted(p.stem for p in directory.glob("*.py") if not p.stem.startswith("_"))


def config_summary(name: str, directory: Path = CONFIG_DIRECTORY) -> tuple[str, tuple[str, ...]]:
    """First line of a config file's docstring, and its variants, without importing it."""
    tree = ast.parse((directory / f"{name}.py").read_text(encoding="utf-8"))
    summary, _, _ = (ast.get_docstring(tree) or "").partition("\n")
    variants: tuple[str, ...] = ()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VARIANTS":
            variants = tuple(ast.literal_eval(node.value))
    return summary, variants


def load_config(reference: str, directory: Path = CONFIG_DIRECTORY) -> ExperimentConfig:
    """Builds the config of `NAME`, `NAME:variant`, `path.py` or `path.py:variant`.

    Raises:
      UserError: there is no such config or variant (with the nearest spelling), or the file is not
        a config.
    """
    name, _, variant = reference.partition(":")
    path = Path(name).expanduser()
    if path.suffix == ".py" or len(path.parts) > 1:
        if not path.is_file():
            raise UserError(f"--config={reference}: there is no file {path}")
    else:
        path = directory / f"{name}.py"
        names = config_names(directory)
        if name not in names:
            raise UserError(f"--config={reference}: no config {name!r}{suggest(name, names)}")
    module = _execute(path, reference)
    for needed in ("VARIANTS", "get_config"):
        if needed not in vars(module):
            raise UserError(f"--config={reference}: {path} does not define {needed}")
    variant = variant or module.VARIANTS[0]
    if variant not in module.VARIANTS:
        raise UserError(
            f"--config={reference}: {path.stem} has no variant {variant!r}"
            + suggest(variant, module.VARIANTS)
        )
    config = module.get_config(variant)
    if not isinstance(config, ExperimentConfig):
        raise UserError(
            f"--config={reference}: get_config of {path} does not return an ExperimentConfig"
        )
    return config


def _execute(path: Path, reference: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there, and so may a registry
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"--config={reference}: {path}:{error.lineno}: {error.msg}") from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        at = f"{path}:{lines[-1]}" if lines else str(path)
        raise UserError(f"--config={reference}: {at}: {type(error).__name__}: {error}") from None
    return module
