"""Pages of `look` and `report` in Chromium, from disk and without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import launch
from tests.experiments.conftest import Small, small, trained  # noqa: F401
from tests.experiments.test_report import diagnosed

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=5000"
)
WIDTHS = (1280, 390)
PROBE = """<script>
addEventListener("load", () => {
  const all = [...document.querySelectorAll("body *")];
  const inside = e => !e.closest(".wide") && !e.closest("pre") && !e.closest("script");
  const small = all.filter(e => e.children.length === 0 && e.textContent.trim() && inside(e)
    && parseFloat(getComputedStyle(e).fontSize) < 12 && e.offsetParent !== null);
  const answer = {
    inner: innerWidth, wide: document.documentElement.scrollWidth,
    broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt),
    pictures: document.images.length,
    dead: [...document.links].filter(a => !document.getElementById(a.hash.slice(1)))
      .map(a => a.href),
    links: document.links.length, small: small.map(e => e.textContent.trim()),
  };
  for (const part of document.querySelectorAll("[data-matrices],[data-lines]")) {
    const select = part.querySelector("select");
    for (const option of select.options) { select.value = option.value;
      select.dispatchEvent(new Event("change")); }
    for (const token of part.querySelectorAll(".tokens button")) token.click();
  }
  answer.readouts = [...document.querySelectorAll(".readout")].map(e => e.textContent);
  parent.postMessage(JSON.stringify(answer), "*");
});
</script></body>"""
FRAME = """<!doctype html><meta charset="utf-8"><style>body { margin: 0 }</style>
<link rel="icon" href="data:,"><script>addEventListener("message", event => {
  const said = document.createElement("pre");
  said.id = "answer"; said.textContent = event.data; document.body.append(said);
});</script><body><iframe src="PAGE" width="WIDTH" height="900" frameborder="0"></iframe></body>"""
"""A window is at least 500 pixels wide; a frame may be as narrow as a telephone."""


@pytest.fixture(scope="session")
def pages(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:  # noqa: F811
    """A page of each command."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    folder = tmp_path_factory.mktemp("pages")
    path = folder / "given.txt"
    path.write_text("main also main " * 6, encoding="utf-8")
    for words in (
        ("evaluate", f"--workdir={trained}"),
        ("generate", f"--workdir={trained}", "--max_tokens=20"),
        ("look", f"--workdir={trained}", f"--input={path}", f"--folder={folder}"),
        ("report", f"--workdir={trained}", f"--output={folder / 'report.html'}"),
    ):
        assert launch.main(list(words)) == 0
    place = diagnosed(folder / "diagnosis")
    assert launch.main(["report", f"--root={place}"]) == 0
    made = {"look": folder / "look.html", "report": folder / "report.html"}
    return {**made, "diagnosis": place / "report.html"}


def open_page(page: Path, folder: Path, width: int) -> tuple[dict[str, Any], list[str]]:
    """The answers of a page to the probe, and the lines of its console."""
    assert CHROMIUM is not None
    probed = folder / page.name
    probed.write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME.replace("PAGE", probed.as_uri()).replace("WIDTH", str(width)))
    done = subprocess.run(
        [
            *(CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}"),
            *("--window-size=1400,900", "--dump-dom", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    answer = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return answer, re.findall(r"CONSOLE.*", done.stderr)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["look", "report", "diagnosis"])
def test_a_page_opens_and_can_be_read(
    pages: dict[str, Path], name: str, width: int, tmp_path: Path
) -> None:
    answer, console = open_page(pages[name], tmp_path, width)
    assert not console
    assert answer["inner"] == width
    assert answer["wide"] <= width, "the page is wider than the window"
    least = 1 if name == "diagnosis" else 4
    assert answer["pictures"] >= least and not answer["broken"]
    assert answer["links"] >= 3 and not answer["dead"]
    assert not answer["small"]
    if name == "look":
        assert answer["readouts"] and all(answer["readouts"])


def test_an_error_of_a_page_is_found(pages: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "wrong" / "wrong.html"
    page.parent.mkdir()
    text = pages["look"].read_text(encoding="utf-8")
    more = '<p style="width: 900px">wide</p><img alt="none" src="none.png"><a href="#none">x</a>'
    page.write_text(text.replace("</body>", f"{more}<script>none()</script></body>"))
    answer, console = open_page(page, tmp_path, 390)
    assert any("none is not defined" in line for line in console)
    assert answer["wide"] > 390
    assert answer["broken"] == ["none"]
    assert len(answer["dead"]) == 1
