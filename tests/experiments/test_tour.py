"""`make tour`: its page is that of its numbers, and a stop runs once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from experiments import program, tour, tour_pictures
from seqmodels.runs.opening import read_config
from seqmodels.runs.run import open_data
from seqmodels.tasks.build import build_task
from tests.experiments.conftest import Small

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES = 200_000


def test_the_page_has_the_numbers_and_pictures_of_the_tour() -> None:
    found = json.loads((DOCS / "tour.json").read_text(encoding="utf-8"))
    assert (
        list(found["stops"]) == [stop.name for stop in tour.STOPS] == list(tour_pictures.PICTURES)
    )
    assert (DOCS / "tour.md").read_text(encoding="utf-8") == tour.make_page(found)
    drawn = {path.name: path.stat().st_size for path in (DOCS / "tour").iterdir()}
    assert set(drawn) == {f"{name}.png" for name in found["stops"]}
    assert max(drawn.values()) < MOST_BYTES


def test_the_shortest_stop_runs_once(
    small: Small,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop = tour.STOPS[0]
    there = ("data.name", "data.path", "data.cache_dir", "data.unknown_symbols")
    flags = [w for w in small.words() if w.removeprefix("--config.").split("=")[0] in there]
    lines = tuple(" ".join([line, *flags]) for line in stop.commands[-2:])
    monkeypatch.setattr(tour_pictures, "ORDERS", tour_pictures.ORDERS[-2:])
    monkeypatch.setattr(tour, "STOPS", (dataclasses.replace(stop, commands=lines), *tour.STOPS[1:]))
    words = [f"--only={stop.name}", f"--root={tmp_path / 'runs'}", f"--page={tmp_path}"]
    assert program.main(tour.COMMAND, words) == 0
    found = json.loads((tmp_path / "tour.json").read_text())["stops"]
    assert list(found) == [stop.name]
    shares = [found[stop.name][f"unseen{n}"] for n in tour_pictures.ORDERS]
    assert shares == pytest.approx(unseen_by_sets(tmp_path / "runs" / "ngram9"))
    assert 0 < shares[0] < shares[1]
    assert (tmp_path / "tour" / "counting.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "tour.md").exists()

    def run_again(line: str) -> int:
        raise AssertionError(line)

    monkeypatch.setattr(tour, "run_line", run_again)
    assert program.main(tour.COMMAND, words) == 0
    assert capsys.readouterr().err.count("finished before") == 2


def unseen_by_sets(workdir: Path) -> list[float]:
    """Shares of n-grams of the validation split that are not in the training split."""
    config = read_config(workdir)
    data = open_data(workdir, config, build_task(config))
    train, validation = (data.splits[s].tokens.tolist() for s in ("train", "validation"))
    shares = []
    for n in tour_pictures.ORDERS:
        cut = lambda tokens, n=n: list(zip(*(tokens[k:] for k in range(n)), strict=False))
        known, asked = set(cut(train)), cut(validation)
        shares.append(sum(gram not in known for gram in asked) / len(asked))
    return shares


def test_a_stop_brings_those_that_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    names = [stop.name for stop in tour.choose("fine_tuning")]
    assert names == ["counting", "vanishing", "gates", "equal_compute", "fine_tuning"]
    assert program.main(tour.COMMAND, ["--only=aligment"]) == 2
    line = capsys.readouterr().err
    assert "--only=aligment: must be one of counting" in line and "'alignment'" in line
