"""Findings as one HTML page that needs no network: pictures, tables, and tokens to point at."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.look.labels import visible
from seqmodels.look.sections import Section, plain

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 76rem;
  color: #1b1b1b; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { margin-top: 2.2rem; border-top: 1px solid #ccc; padding-top: .8rem; }
nav a { margin-right: 1rem; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; } figcaption { color: #555; font-size: .85rem; }
.grid { display: grid; gap: 0 1rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; }
td, th { padding: .15rem .6rem; border-bottom: 1px solid #e4e4e4; text-align: left;
  overflow-wrap: normal; max-width: 34rem; }
td.number { text-align: right; white-space: nowrap; }
.tokens { font-family: ui-monospace, monospace; line-height: 1.9; }
.tokens button { font: inherit; border: 0; padding: 0 .1rem; margin: 0 1px; background: none;
  border-radius: 2px; cursor: pointer; color: inherit; }
.tokens button.chosen { outline: 2px solid #c00; }
.readout { min-height: 1.6em; color: #444; }
select { max-width: 100%; }
pre { overflow-x: auto; background: #f5f5f5; padding: .6rem; }
code { overflow-wrap: anywhere; }
"""
SCRIPT = """
const data = JSON.parse(document.getElementById("page-data").textContent);
function spans(line, labels, act) {
  line.replaceChildren(...labels.map((label, n) => {
    const token = document.createElement("button");
    token.type = "button"; token.textContent = label;
    for (const event of ["mouseenter", "focus", "click"])
      token.addEventListener(event, () => act(n));
    return token;
  }));
}
function shade(token, share, colour) {
  token.style.background = `rgba(${colour},${Math.min(1, Math.max(0, share)).toFixed(3)})`;
}
function options(select, things) {
  select.replaceChildren(...things.map((thing, n) => new Option(thing.name, n)));
}
for (const part of document.querySelectorAll("[data-matrices]")) {
  const all = data.matrices[part.dataset.matrices], select = part.querySelector("select");
  const [queries, keys] = part.querySelectorAll(".tokens");
  const readout = part.querySelector(".readout");
  let at = 0;
  function point(n) {
    const one = all[select.value];
    at = Math.min(n, one.values.length - 1);
    const row = one.values[at], most = Math.max(...row, 1e-9);
    [...queries.children].forEach((t, i) => t.classList.toggle("chosen", i === at));
    [...keys.children].forEach((t, i) => { shade(t, row[i] / most, "33,120,200");
      t.title = row[i].toFixed(3); });
    const best = row.map((w, i) => [w, i]).sort((a, b) => b[0] - a[0]).slice(0, 5);
    readout.textContent = `${one.rows[at]} looks at ` +
      best.map(([w, i]) => `${one.columns[i]} ${w.toFixed(3)}`).join(", ");
  }
  function change() {
    const one = all[select.value];
    spans(queries, one.rows, point); spans(keys, one.columns, () => {});
    point(one.rows.length - 1);
  }
  options(select, all); select.addEventListener("change", change); change();
}
for (const part of document.querySelectorAll("[data-lines]")) {
  const all = data.lines[part.dataset.lines], select = part.querySelector("select");
  const tokens = part.querySelector(".tokens"), readout = part.querySelector(".readout");
  function change() {
    const one = all[select.value], known = one.values.filter(v => v !== null);
    const most = Math.max(...known.map(Math.abs), 1e-9);
    spans(tokens, one.labels, n => { readout.textContent =
      `${one.labels[n]}: ${one.values[n] === null ? "none" : one.values[n].toPrecision(4)}`; });
    [...tokens.children].forEach((t, n) => { const v = one.values[n]; if (v !== null)
      shade(t, .6 * Math.abs(v) / most, v < 0 ? "200,40,40" : "30,140,60");
      t.title = v === null ? "" : v.toPrecision(4); });
    readout.textContent = "";
  }
  options(select, all); select.addEventListener("change", change); change();
}
"""
TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title><link rel="icon" href="data:,"><style>{{ style|safe }}</style></head>
<body>
<h1>{{ title }}</h1>
{% for line in lead %}<p>{{ line }}</p>{% endfor %}
<nav>{% for s in sections %}<a href="#{{ s.name }}">{{ s.title }}</a> {% endfor %}</nav>
{% for s in sections %}
<section id="{{ s.name }}"><h2>{{ s.title }}</h2>{% if s.text %}<p>{{ s.text }}</p>{% endif %}
{% if s.matrices %}<div data-matrices="{{ s.name }}">
<p><label>Map: <select></select></label></p>
<p>Point at a token: the darker another one, the more it is looked at.</p>
<p class="tokens"></p><p class="readout" aria-live="polite"></p><p class="tokens"></p></div>
{% endif %}{% if s.lines %}<div data-lines="{{ s.name }}">
<p><label>Colour: <select></select></label> (green positive, red negative)</p>
<p class="tokens"></p><p class="readout" aria-live="polite"></p></div>{% endif %}
{% for t in s.tables %}<div class="wide"><table><caption>{{ t.title }}</caption>
<thead><tr>{% for h in t.heads %}<th>{{ h }}</th>{% endfor %}</tr></thead><tbody>
{% for row in t.rows %}<tr>{% for c in row %}<td{% if c is number %} class="number"{% endif %}>
{{- c|cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>{% endfor %}
{% for block in s.texts %}<pre>{{ block }}</pre>{% endfor %}
{% if s.columns > 1 %}<div class="grid">{% endif %}
{% for name, uri in s.pictures %}<figure><img src="{{ uri }}" alt="{{ name }}">
<figcaption>{{ name }}</figcaption></figure>{% endfor %}
{% if s.columns > 1 %}</div>{% endif %}
</section>{% endfor %}
<script type="application/json" id="page-data">{{ data|safe }}</script>
<script>{{ script|safe }}</script>
</body></html>
"""


def check_templates() -> None:
    """Raises UserError where jinja2 is not installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise UserError("pages need jinja2: pip install 'jinja2>=3.1'") from None


def render(
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    pictures: Mapping[str, Mapping[str, bytes]],
) -> str:
    """The page.

    Args:
      lead: paragraphs under the title.
      pictures: section -> name -> a PNG.
    """
    from jinja2 import Environment

    pages = Environment(autoescape=True)
    pages.filters["cell"] = cell
    shown = [
        {
            **{name: getattr(s, name) for name in ("name", "title", "text", "matrices", "lines")},
            "tables": s.tables,
            "texts": s.texts,
            "columns": s.columns,
            "pictures": [(name, as_uri(png)) for name, png in pictures[s.name].items()],
        }
        for s in sections
    ]
    text = json.dumps(pointed(sections), ensure_ascii=False).replace("<", "\\u003c")
    fixed = {"style": STYLE, "script": SCRIPT, "data": text}
    return pages.from_string(TEMPLATE).render(title=title, lead=lead, sections=shown, **fixed)


def pointed(sections: Sequence[Section]) -> dict[str, Any]:
    """The values to point at, rounded for the page."""
    short = lambda values, digits: plain(np.round(np.asarray(values, np.float64), digits))
    show = lambda labels: list(map(visible, labels))
    matrices = {
        s.name: [
            {
                "name": m.name,
                "rows": show(m.rows),
                "columns": show(m.columns),
                "values": short(m.values, 4),
            }
            for m in s.matrices
        ]
        for s in sections
        if s.matrices
    }
    lines = {
        s.name: [
            {"name": one.name, "labels": show(one.labels), "values": short(one.values, 5)}
            for one in s.lines
        ]
        for s in sections
        if s.lines
    }
    return {"matrices": matrices, "lines": lines}


def cell(value: Any) -> str:
    """A number or text of a table."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def as_uri(picture: bytes) -> str:
    """A PNG or a GIF as a data URI."""
    kind = "gif" if picture.startswith(b"GIF8") else "png"
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode()
