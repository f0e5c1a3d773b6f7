"""Config files by name and by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqmodels import registry
from seqmodels.config.errors import UserError
from seqmodels.config.files import config_names, load_config
from seqmodels.config.serialization import from_json, to_json
from tests.config.examples import make

GOOD = '''"""A note."""
from tests.config.examples import make
VARIANTS = ("small", "large")
def get_config(variant):
    config = make()
    config.model.num_layers = {"small": 1, "large": 9}[variant]
    return config
'''


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    return path


def num_layers(reference: str) -> int:
    return vars(load_config(reference).model)["num_layers"]


def test_the_first_variant_is_the_default(good: Path) -> None:
    assert num_layers(str(good)) == 1
    assert num_layers(f"{good}:large") == 9
    assert num_layers("shakespeare_gpt") == num_layers("shakespeare_gpt:cpu") == 4
    assert num_layers("shakespeare_gpt:gpu") == 6


def test_two_loads_share_nothing() -> None:
    first = load_config("demo_gpt")
    first.training.seed = 9
    assert load_config("demo_gpt").training.seed == 0


@pytest.mark.parametrize(
    ("reference", "line"),
    [
        ("demo_gtp", "no config 'demo_gtp'; did you mean 'demo_gpt'?"),
        ("x", f"no config 'x'; one of: {', '.join(config_names())}"),
        ("shakespeare_gpt:gpuu", "has no variant 'gpuu'; did you mean 'gpu'?"),
        ("some/where.py", "there is no file some/where.py"),
        ("", "no config ''"),
    ],
)
def test_what_is_not_there(reference: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(reference)
    assert str(caught.value).startswith(f"--config={reference}: ")
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def f(:\n", "mine.py:1: "),
        ("x = 1\nimport nothing_like_it\n", "mine.py:2: ModuleNotFoundError: No module named"),
        ("VARIANTS = ('a',)\n", "does not define get_config"),
        ("def get_config(v): return 3\n", "does not define VARIANTS"),
        ("VARIANTS = ('a',)\ndef get_config(v): return 3\n", "does not return an ExperimentConfig"),
    ],
)
def test_a_file_that_is_no_config(good: Path, text: str, line: str) -> None:
    good.write_text(text)
    with pytest.raises(UserError) as caught:
        load_config(str(good))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_may_define_and_register_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dataclasses find their module, and a run over them can be read again."""
    monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))
    path = tmp_path / "own_task.py"
    path.write_text(
        "from __future__ import annotations\n"
        "import dataclasses\n"
        "from typing import ClassVar\n"
        "from seqmodels import registry\n"
        "from seqmodels.config.tasks import TaskConfig\n"
        "from tests.config.examples import make\n"
        "VARIANTS = ('default',)\n"
        "@dataclasses.dataclass\n"
        "class OwnConfig(TaskConfig):\n"
        "    kind: ClassVar[str] = 'own'\n"
        "    depth: int = 3\n"
        "registry.TASKS['own'] = registry.Entry('', f'{__name__}:OwnConfig', '')\n"
        "def get_config(variant):\n"
        "    config = make()\n"
        "    config.task = OwnConfig(depth=7)\n"
        "    return config\n"
    )
    from_json(to_json(make()))  # whatever is read before it is known
    values = to_json(load_config(str(path)))
    assert values["task"] == {"kind": "own", "depth": 7}
    assert to_json(from_json(values)) == values
