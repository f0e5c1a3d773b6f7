"""`launch.py benchmark`: its rows, files, comparison and mistakes. No test asserts a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import benchmark_page
from seqmodels.benchmark import suites
from seqmodels.benchmark.compare import compare_rows
from seqmodels.benchmark.measure import COLUMNS, make_row
from seqmodels.benchmark.processes import Effort
from seqmodels.benchmark.report import read_result
from seqmodels.benchmark.suites import OURS, Case, Peer, Size
from tests.experiments.conftest import FrontDoor

PARAMS = {"cell": "rnn", "shape": (2, 5, 3, 4), "gradient": False}
CELL = Case(
    "recurrent",
    "rnn",
    PARAMS,
    {
        "flax": Peer("flax"),
        "irnn": Peer(OURS, {"cell": "rnn_relu"}),
        "torch": Peer("torch"),
        "wide": Peer(OURS, {"shape": (2, 5, 3, 8)}, compares=False),
    },
)


def test_implementations_are_compared_and_take_turns(
    door: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(suites.CASES, "recurrent", lambda size: [CELL])
    monkeypatch.setitem(suites.EFFORT, Size.SMALL, Effort(0.0, 6, 60.0))
    to = tmp_path / "result.json"
    answer = door("benchmark", "--suite=recurrent", "--peers=flax", f"--json={to}")
    result = json.loads(to.read_text())
    wrong, flax, wide = result["rows"]
    assert set(COLUMNS) <= flax.keys()
    assert (flax["peer"], wide["peer"], wrong["peer"]) == ("flax", "wide", "irnn")
    assert 0 < flax["ratio_low"] <= flax["ratio"] <= flax["ratio_high"]
    assert flax["ms"] > 0 and flax["peer_ms"] > 0 and flax["rounds"] == 6
    assert flax["flops"] == 2 * 2 * 5 * (3 + 4) * 4 and 0 < flax["mfu"] < 1
    # What computes something else is not timed.
    assert wrong["ms"] is None and "outputs differ by" in wrong["problem"]
    assert answer.status == 1 and "recurrent, rnn: outputs differ by" in answer.err
    machine = result["machine"]
    assert machine["versions"]["jax"] and machine["cores"] and machine["allocator"]
    assert machine["matrix_flops_per_second"]["float32"] > 0 and machine["bytes_per_second"] > 0
    assert result["commit"] and result["size"] == "small" and result["seed"] == 0
    assert (tmp_path / "result-roofline.png").stat().st_size > 10_000
    same = door("benchmark", "compare", to, to)
    assert same.status == 0 and "0 faster, 0 slower, 2 same" in same.err


def row(case: str, ms: float, ratio: float | None = None, peer: str | None = None) -> Any:
    wide = {} if ratio is None else {"ratio_low": 0.95 * ratio, "ratio_high": 1.05 * ratio}
    bounds = {"ms_low": 0.9 * ms, "ms_high": 1.1 * ms}
    return make_row("scan", case, OURS, ms=ms, peer=peer, ratio=ratio, **bounds, **wide)


def result_of(*rows: Any, **machine: Any) -> dict[str, Any]:
    return {"machine": machine, "rows": list(rows)}


def test_a_comparison_prefers_ratios_and_respects_intervals() -> None:
    first = result_of(
        row("a", 1.0, 2.0, "torch"), row("b", 1.0), row("c", 1.0), row("d", 1.0), row("e", 1.0)
    )
    second = result_of(
        row("a", 3.0, 4.0, "torch"), row("b", 0.5), row("c", 1.1), row("d", 2.0), row("f", 1.0)
    )
    rows, alone = compare_rows(first, second)
    assert [(r["case"], r["by"], r["verdict"]) for r in rows] == [
        ("a", "ratio", "faster"),
        ("b", "ms", "faster"),
        ("c", "ms", "same"),
        ("d", "ms", "slower"),
    ]
    assert [r["change"] for r in rows] == [2.0, 2.0, pytest.approx(1 / 1.1), 0.5]
    assert alone == ["scan e", "scan f"]


def test_a_comparison_names_what_differs(door: FrontDoor, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path, version in zip(paths, ("1", "2"), strict=True):
        path.write_text(json.dumps(result_of(row("a", 1.0), versions={"jax": version})))
    answer = door("benchmark", "compare", *paths)
    assert answer.status == 0
    assert "warning: versions: {'jax': '1'} and {'jax': '2'}" in answer.err


def test_mistakes(door: FrontDoor, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "a.json").write_text(json.dumps(result_of(row("a", 1.0))))
    (tmp_path / "b.json").write_text(json.dumps(result_of(row("b", 1.0))))
    for words, part in (
        (["--suite=recurent"], "'recurent' is not known; did you mean 'recurrent'?"),
        (["--suite=,"], "--suite=,: names none of recurrent"),
        (["--peers=troch"], "'troch' is not known; did you mean 'torch'?"),
        (["--size=big"], "--size=big: must be one of: small, full"),
        (["--seed=-1"], "--seed=-1: must be"),
        (["--cases=zzz"], "--cases=zzz: no case has 'zzz' in its name"),
        ([f"--json={tmp_path}"], "is a directory; name a file"),
        ([f"--json={tmp_path}/no/a.json"], "/no does not exist"),
        (["compar", "a", "b"], "benchmark compar: not known; did you mean 'compare'?"),
        (["compare", "a"], "needs two files, FIRST and SECOND"),
        (["compare", "no.json", "no.json"], "no.json: cannot be read: No such file"),
        (["compare", __file__, __file__], "not JSON"),
        (["compare", tmp_path / "other.json", __file__], "not written by benchmark --json"),
        (["compare", tmp_path / "a.json", tmp_path / "b.json"], "have no case in common"),
        (["--first=a.json"], "'a.json': only benchmark compare takes files"),
    ):
        assert part in door("benchmark", *words).line, words


@pytest.mark.hard
def test_the_small_size_runs_whole(door: FrontDoor, tmp_path: Path) -> None:
    to = tmp_path / "result.json"
    answer = door("benchmark", "--suite=all", "--size=small", f"--json={to}")
    assert answer.status == 0, answer.err
    rows = json.loads(to.read_text())["rows"]
    assert {row["suite"] for row in rows} == set(suites.SUITES)
    named = {
        (suite, case.name) for suite, make in suites.CASES.items() for case in make(Size.SMALL)
    }
    assert named <= {(row["suite"], row["case"]) for row in rows}
    assert all(row["ms"] > 0 for row in rows if row["suite"] != "numerics")
    again = door("benchmark", "compare", to, to)
    assert again.status == 0 and "0 faster, 0 slower" in again.err
    assert (tmp_path / "result-scaling.png").stat().st_size > 10_000


def test_the_page_has_the_recorded_ratios() -> None:
    page = benchmark_page.PAGE.read_text(encoding="utf-8")
    result = read_result("RESULT", benchmark_page.RESULT)
    assert benchmark_page.with_section(page, result) == page
    assert benchmark_page.section(result) in page and result["rows"]
