"""`launch.py reproduce`, its goals, and the page of results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import goals, reproduce
from seqmodels.config.errors import UserError
from seqmodels.config.files import load_config
from seqmodels.config.validate import validate
from seqmodels.data.datasets import scales
from seqmodels.evaluation.goals import Goal, Measure, read_results, render_page
from seqmodels.music.judge import METRICS
from tests.experiments.conftest import FrontDoor, Small

KEYS = ["name", "metric", "value", "published", "goal", "met", "baseline", "seconds"]


def test_the_page_is_up_to_date() -> None:
    results = read_results(reproduce.RESULTS)
    known, notes = list(goals.GOALS.values()), reproduce.read_notes()
    made = render_page(known, results, reproduce.PICTURE, notes)
    assert reproduce.PAGE.read_text(encoding="utf-8") == made, "launch.py reproduce --page"
    settings = reproduce._TUNES
    told = f"Tunes: {settings['num_samples']}, sampled at temperature {settings['temperature']}."
    assert told in " ".join(made.split())
    assert notes and notes in made


def test_every_result_belongs_to_a_goal() -> None:
    for name, result in read_results(reproduce.RESULTS).items():
        goal = goals.GOALS[name]
        summary = goal.summarize(result["values"], result["baseline"], result["seconds"])
        assert {key: result[key] for key in KEYS} == {key: summary[key] for key in KEYS}
        assert all(run["hardware"] and run["versions"] for run in result["runs"])


def test_the_config_of_every_goal_exists_and_declares_its_metric() -> None:
    for name, goal in goals.GOALS.items():
        config = load_config(goal.config)
        validate(config)
        declared = METRICS if goal.measure is Measure.TUNES else config.task.metrics
        assert goal.metric in [metric.name for metric in declared], name


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Goals for a config that takes a second, with another place for the results."""
    found = [
        Goal("easy", "demo_lstm", "loss", 90.0, 1.5, "nobody", split="validation"),
        Goal("hard", "demo_lstm", "loss", 0.1, split="validation"),
        Goal("trained", "demo_lstm", "accuracy", 0.0, measure=Measure.TRAINING),
    ]
    monkeypatch.setattr(goals, "GOALS", {goal.name: goal for goal in found})
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(reproduce, "PAGE", tmp_path / "results.md")


@pytest.mark.usefixtures("tiny")
def test_a_goal_is_trained_measured_and_recorded(
    door: FrontDoor, small: Small, tmp_path: Path
) -> None:
    words = (*small.words()[1:], f"--workdir={tmp_path / 'runs'}")
    found = door("reproduce", "easy", *words, "--json", "--num_seeds=2", "--record").json
    assert set(found) == {*KEYS, "p_value"}
    assert found["met"] is True and found["published"] == 1.5
    assert 0 < found["baseline"] < found["value"] < 90 and found["seconds"] > 0
    kept = json.loads((tmp_path / "results" / "easy.json").read_text())
    assert {key: kept[key] for key in found} == found
    first, second = kept["values"]
    assert first != second and [run["seed"] for run in kept["runs"]] == [0, 1]
    assert kept["overrides"]["model.model_dim"] == "8"
    assert all("jax" in run["versions"] for run in kept["runs"])
    page = (tmp_path / "results.md").read_text()
    assert "| `easy` | loss (validation) | **" in page and "| `hard` |" in page
    # A finished run is measured again, not trained.
    rows = (tmp_path / "runs" / "seed0" / "metrics.jsonl").read_bytes()
    answer = door("reproduce", "hard", *words)
    assert answer.status == 0 and "goal 0.1: missed (baseline " in answer.err
    assert (tmp_path / "runs" / "seed0" / "metrics.jsonl").read_bytes() == rows
    trained = door("reproduce", "trained", *words, "--json").json
    assert trained["met"] is True and trained["baseline"] is None
    told = door("reproduce", "--list", "--json").json
    assert [row["name"] for row in told] == ["easy", "hard", "trained"]
    assert told[0]["value"] == found["value"] and told[1]["value"] is None
    assert "not run" in door("reproduce", "--list").err
    # Hardware and time are those of the training.
    origin = tmp_path / "runs" / "seed0" / "reproduce.json"
    values = {**json.loads(origin.read_text()), "hardware": "a better one", "seconds": 4000.0}
    origin.write_text(json.dumps(values))
    again = door("reproduce", "easy", *words, "--json", "--record").json
    (run,) = json.loads((tmp_path / "results" / "easy.json").read_text())["runs"]
    assert run["hardware"] == "a better one" != run["measured"]["hardware"]
    assert again["seconds"] > 4000
    assert "a better one" in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize("variant", ["sst2", "sst2_from_nothing"])
def test_a_goal_starts_from_an_earlier_run(tmp_path: Path, variant: str) -> None:
    config, earlier = load_config(f"wikitext2_bert:{variant}"), tmp_path / "earlier" / "seed0"
    goal = goals.GOALS[f"wikitext2_bert_{variant}"]
    with pytest.raises(UserError, match="does not exist, .* reproduce wikitext2_bert first"):
        reproduce.begin_after(goal, config, earlier)
    earlier.mkdir(parents=True)
    for name in ("data.inputs.tokenizer_path", "training.init_from"):
        with pytest.raises(UserError, match=f"{name}: .* uses that of the run of wikitext2_bert"):
            reproduce.begin_after(goal, config, earlier, [name])
    made = reproduce.begin_after(goal, config, earlier)
    (inputs,) = made.data.tokenizers().values()
    assert inputs.tokenizer_path == str(earlier)
    assert made.training.init_from == (str(earlier) if variant == "sst2" else None)


@pytest.mark.hard
def test_tunes_are_sampled_and_judged(
    door: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scales, "NUM_TUNES", 60)
    few = {"num_samples": 3, "max_tokens": 150, "temperature": 1.0, "seed": 0}
    monkeypatch.setattr(reproduce, "_TUNES", few)
    goal = Goal("tunes", "demo_ngram", "parsed", 0.0, measure=Measure.TUNES)
    monkeypatch.setattr(goals, "GOALS", {"tunes": goal})
    fields = {"data.name": "scales", "data.cache_dir": tmp_path, "evaluation.baseline_order": 3}
    words = [f"--config.{name}={value}" for name, value in fields.items()]
    found = door("reproduce", "tunes", *words, f"--workdir={tmp_path / 'run'}", "--json").json
    workdir = tmp_path / "run" / "seed0"
    flags = [f"--{name}={value}" for name, value in few.items()]
    values = door("music", f"--workdir={workdir}", *flags, "--render=1", "--json").json
    assert (values["num_tunes"], values["baseline"]["order"]) == (3, 3)
    assert values["parsed"] == found["value"]
    assert values["baseline"]["parsed"] == found["baseline"]
    assert {"full", "copied_whole", "copied_share", "longest_copy"} < values.keys()
    assert json.loads((workdir / "music" / "music.json").read_text()) == values
    assert len(values["rendered"]) == min(1, round(3 * values["parsed"]))


def test_the_help_shows_the_place_of_the_name(door: FrontDoor) -> None:
    assert door("reproduce", "--help").out.startswith("python launch.py reproduce [NAME] [flags]")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("reproduce", "reproduce: name a goal, one of: shakespeare_ngram"),
        ("reproduce date", "no goal 'date'; did you mean 'dates'?"),
        ("reproduce dates numbers", "'numbers' is not a flag"),
        ("reproduce dates --config.data.nme=1", "data.nme"),
        ("reproduce dates --num_seeds=2 --config.training.seed=3", "no effect with --num_seeds"),
        ("reproduce dates --num_seeds=0", "--num_seeds=0: must be a positive integer"),
    ],
)
def test_mistakes(door: FrontDoor, words: str, told: str) -> None:
    assert told in door(*words.split()).line


def test_a_result_reports_restricted_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3}, raising=False)
    assert reproduce.usable_cores() == "1 of 8"
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert reproduce.usable_cores() == "8"


def test_a_goal_with_folds_has_a_run_for_each_and_its_row_says_so() -> None:
    goal = Goal("splice", "splice", "accuracy", 0.94, num_folds=10)
    found = list(reproduce.variations(goal, load_config("splice"), 2))
    assert [(one.training.seed, one.data.fold) for one, _ in found] == [
        (seed, fold) for seed in range(2) for fold in range(10)
    ]
    assert found[13][1] == "seed1_fold3" and len({name for _, name in found}) == 20
    here = {"measured": {"commit": "a"}, "date": "d", "hardware": "h", "versions": "v"}
    values = [0.9] * 10 + [0.95] * 10
    result = {**goal.summarize(values, 0.5, 60.0), "values": values, "overrides": {}}
    page = render_page([goal], {"splice": {**result, "runs": [here]}})
    assert "**0.925** +- 0.026 over 10 folds | >= 0.94 | missed |  | 0.5 | 2 | 60 s |" in page
