"""The pages: their links, commands, flags, names and numbers are those of the code."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from absl import flags

import launch
from experiments.arguments import Command, override
from experiments.diagnose import page as page_of
from seqmodels import registry
from seqmodels.config.errors import UserError
from seqmodels.config.files import config_names, config_summary, load_config
from seqmodels.config.validate import validate
from seqmodels.sweeps.grid import plan

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
RESULTS = ROOT / "docs" / "results.md"
MAX_LINES = 150
MADE_CONFIGS = ("demo_fading_bag", "demo_sums")
"""Made by blocks of docs/extending.md, as is the command `tokens`."""
PLACEHOLDERS = ("COMMAND", "tokens")
HELP_FLAGS = {"help"}

CODE = re.compile(r"```.*?```|(?:^ {4}[^\n]*\n)+|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code(page: Path) -> list[str]:
    """Blocks and inline code, with continued lines joined."""
    parts = CODE.findall(page.read_text())
    return [part.strip("`").replace("\\\n", " ") for part in parts]


def commands(page: Path) -> Iterator[list[str]]:
    """Words after `python launch.py`, for each command of a page."""
    for part in code(page):
        for line in part.splitlines():
            for text in line.split("python launch.py ")[1:]:
                lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|")
                lexer.whitespace_split = True
                words = []
                for word in lexer:
                    if set(word) <= set(";&|"):
                        break
                    words.append(word)
                yield words


def command_of(name: str) -> Command:
    return importlib.import_module(launch.COMMANDS[name]).COMMAND


def flag_problem(words: list[str]) -> str | None:
    """What is wrong with the flags of a command line, if anything."""
    command, values = command_of(words[0]), flags.FlagValues()
    command.define(values)
    references, overrides, swept = [], [], []
    for word in words[1:]:
        if not word.startswith("--"):
            continue
        name, _, text = word.removeprefix("--").partition("=")
        if name == "config" and command.takes_config:
            references.append(text)
        elif name.startswith("config.") and command.takes_overrides:
            overrides.append((name.removeprefix("config."), text))
        elif name.partition(".")[0] in command.prefixes and references:
            swept.append((name, name.partition(".")[2], text))
        elif name not in {*values, *HELP_FLAGS}:
            return f"{command.name} has no flag --{name}"
    if not references or references[0] in ("", "NAME"):  # "" where a table names them
        return None
    try:
        config = override(load_config(references[0]), overrides)
        validate(config)
        sweeps = {field: text for name, field, text in swept if name.startswith("sweep.")}
        if sweeps:
            plan(config, sweeps, 2 if any(":" in text for text in sweeps.values()) else None)
    except UserError as error:
        return str(error)
    return None


def test_the_readme_is_short() -> None:
    assert README.read_text().count("\n") <= MAX_LINES


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_between_pages_resolve(page: Path) -> None:
    broken = []
    for target in LINK.findall(CODE.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page if not path else (page.parent / path)
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / target).resolve() for target in LINK.findall(README.read_text())}
    assert set(PAGES) - {README} <= linked


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_configs_exist(page: Path) -> None:
    known = {name: config_summary(name)[1] for name in config_names()}
    missing = []
    for part in code(page):
        found = re.findall(r"--config=([\w:]+)", part)
        if re.fullmatch(r"[a-z0-9_]+:[a-z0-9_]+", part) and part.partition(":")[0] in known:
            found.append(part)
        for reference in found:
            name, _, variant = reference.partition(":")
            if name in ("NAME", *MADE_CONFIGS):
                continue
            if name not in known or (variant and variant not in known[name]):
                missing.append(reference)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_exist_with_their_flags(page: Path) -> None:
    problems = []
    for words in commands(page):
        if words[0] in PLACEHOLDERS or {f"--config={name}" for name in MADE_CONFIGS} & set(words):
            continue
        known = words[0] in launch.COMMANDS
        problem = flag_problem(words) if known else f"there is no command {words[0]}"
        if problem:
            problems.append(f"{' '.join(words)}: {problem}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("trian --config=demo_gpt", "there is no command"),
        ("train --config=demo_gtp", "no config 'demo_gtp'"),
        ("train --config=demo_gpt --dry", "train has no flag --dry"),
        ("train --config=demo_gpt --config.model.depth=3", "no such field"),
        ("train --config=demo_gpt --config.data.name=text_file", "data.path"),
        ("evaluate --workdir=DIR --splits=test | tee", "evaluate has no flag --splits"),
    ],
)
def test_a_wrong_command_is_found(line: str, problem: str, tmp_path: Path) -> None:
    page = ROOT / "wrong.md"
    wrong = tmp_path / page.name
    wrong.write_text(f"Try\n\n    python launch.py {line}  # comment\n")
    with pytest.raises(AssertionError, match=problem):
        test_commands_exist_with_their_flags(wrong)


def test_rows_of_results_are_those_of_the_page() -> None:
    section = README.read_text().partition("\n## Results\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    head = [line for line in section.splitlines() if line.startswith("| name ")]
    lines = RESULTS.read_text().splitlines()
    assert len(rows) >= 5
    assert set(rows) | set(head) <= set(lines)


def test_the_table_of_diagnose_is_that_of_its_numbers() -> None:
    docs = ROOT / "docs"
    summary = json.loads((docs / "diagnose.json").read_text())
    assert len(summary["cells"]) == 10 and {len(c) for c in summary["cells"].values()} == {10}
    assert (docs / "diagnose.md").read_text() == page_of(summary)


def test_numbers_of_the_demonstration_are_on_the_page() -> None:
    shown = re.findall(r"^ {5}(?:n-gram|LSTM|GPT) +(\d\.\d{3}) ", README.read_text(), re.MULTILINE)
    assert len(shown) == 3
    assert all(number in RESULTS.read_text() for number in shown)


def first_column(page: Path, heading: str) -> set[str]:
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)", cell)}


def test_every_model_and_task_is_in_the_readme() -> None:
    assert registry.MODELS.keys() <= first_column(README, "The family")
    assert registry.TASKS.keys() <= first_column(README, "The tasks")
    assert len(registry.MODELS) == 15, "the README says fifteen kinds of model"


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """Cells of the rows of the table in a section, without its head."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


READS = {
    "tokens": "text",
    "text": "text",
    "image": "image",
    "values": "series",
    "windows": "series",
    "sound": "sound",
}
"""Kind of feature -> the word of the README."""


@pytest.mark.parametrize("kind", registry.TASKS)
def test_the_table_of_tasks_says_what_the_code_declares(kind: str) -> None:
    (row,) = (row for row in rows_of(README, "The tasks") if row[0] == f"`{kind}`")
    task = registry.resolve(registry.TASKS[kind].config)
    kinds = task.roles.get("inputs", task.roles.get("source"))
    assert re.split(", | or ", row[1]) == [READS[name] for name in kinds]
    shown = [
        metric.name.replace("_", " ") for metric in task.metrics if metric.shown and metric.always
    ]
    assert row[3].split(", ") == shown
    assert row[4]


def test_tasks_without_a_config_are_named_in_the_readme() -> None:
    references = [f"{n}:{v}" for n in config_names() for v in config_summary(n)[1]]
    there = {load_config(reference).task.kind for reference in references}
    named = re.findall(r"No built-in config has (.*) yet", README.read_text())
    assert {f"`{kind}`" for kind in registry.TASKS.keys() - there} == set(named)


def test_every_room_is_in_the_design() -> None:
    page = ROOT / "docs" / "design.md"
    found = set(re.findall(r"^\| `seqmodels/(\w+)", page.read_text(), re.MULTILINE))
    rooms = {path.stem for path in (ROOT / "seqmodels").iterdir() if path.stem[0] != "_"}
    assert rooms <= found
