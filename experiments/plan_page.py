"""Generates the plans of docs/scale.md.

python -m experiments.plan_page          # the page from docs/scale.json
python -m experiments.plan_page --run    # first the plans that it lacks or whose words have changed
python -m experiments.plan_page --again  # first all plans
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.plan import lines_of
from seqmodels.benchmark.machine import versions
from seqmodels.files import replacing

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "docs" / "scale.json"
PAGE = ROOT / "docs" / "scale.md"
_PLAN = re.compile(r"(<!-- plan (\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)

GPT2 = "--config=gpt:gpt2_1558m --vocab_size=50257"
LLAMA = "--config=gpt:llama2_7b --vocab_size=32000"
MEASURED = ("demo_gpt", "demo_lstm", "demo_bert", "shakespeare_lstm")
WORDS = {
    "gpt2_fsdp": f"{GPT2} --mesh=fsdp:8 --device=h100",
    "gpt2_four": f"{GPT2} --mesh=fsdp:8 --device=h100 --config.training.accumulation_steps=4",
    "gpt2_data": f"{GPT2} --mesh=data:8 --device=h100 --config.training.accumulation_steps=4",
    "llama_eight": f"{LLAMA} --mesh=fsdp:8 --device=h100",
    "llama_fsdp": f"{LLAMA} --mesh=fsdp:256 --device=h100",
    "llama_hosts": f"{LLAMA} --mesh=data:32,fsdp:8 --device=h100",
    "llama_tensor": f"{LLAMA} --mesh=fsdp:64,tensor:4 --device=h100",
    "llama_v5p": f"{LLAMA} --mesh=fsdp:256 --device=v5p",
    "llama_4096": f"{LLAMA} --mesh=data:64,fsdp:64 --device=h100 --config.data.batch_size=4096",
    **{
        f"here_{name}": f"--config={name} --mesh=data:2,fsdp:2 --measure "
        "--config.data.batch_size=32 --config.training.dtype=float32"
        for name in MEASURED
    },
}
"""Name -> words of `launch.py plan`. Those of `here` are run on this machine too."""


def make_plans(plans: dict[str, Any]) -> None:
    """Adds the plans of `WORDS` that are not in `plans`, and saves after each.

    A plan that does not fit ends with status 1.
    """
    for name, words in WORDS.items():
        if plans.get(name, {}).get("words") == words:
            continue
        command = [sys.executable, "launch.py", "plan", *words.split(), "--json"]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
        if not done.stdout:
            raise RuntimeError(f"{name}: {done.stderr}")
        plans[name] = {"words": words, "plan": json.loads(done.stdout)}
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        kept = {name: plans[name] for name in WORDS if name in plans}
        text = json.dumps({"day": day, "versions": versions(), "plans": kept}, indent=1)
        with replacing(RESULT) as partial:
            partial.write_text(text + "\n", encoding="utf-8")


def with_plans(page: str, result: Mapping[str, Any]) -> str:
    """The page with the plans of a result at its marks."""
    return _PLAN.sub(lambda found: found[1] + _section(found[2], result), page)


def _section(name: str, result: Mapping[str, Any]) -> str:
    if name == "machine":
        jax = f"jax {result['versions']['jax']} and Python {result['versions']['python']}"
        return f"Plans of {result['day']}, made with {jax} on a CPU with two cores.\n"
    if name == "measured":
        return _measured(result["plans"])
    one = result["plans"][name]
    lines = [f"python launch.py plan {one['words']}", "", *lines_of(one["plan"])]
    return "\n".join(["", *(f"    {line}".rstrip() for line in lines), "", ""])


def _measured(plans: Mapping[str, Any]) -> str:
    rows = ["| config | planned | measured | ratio |", "|---|---:|---:|---:|"]
    for name in MEASURED:
        found = plans[f"here_{name}"]["plan"]["measured"]
        planned, measured = found["planned"], found["measured"]
        sizes = f"{planned / 1e6:,.0f} MB | {measured / 1e6:,.0f} MB"
        rows.append(f"| `{name}` | {sizes} | {planned / measured:.2f} |")
    return "\n".join([*rows, ""])


def main() -> None:
    """Rewrites the page."""
    if "--again" in sys.argv[1:] or not RESULT.exists():
        make_plans({})
    elif "--run" in sys.argv[1:]:
        make_plans(json.loads(RESULT.read_text(encoding="utf-8"))["plans"])
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    with replacing(PAGE) as partial:
        partial.write_text(with_plans(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")


if __name__ == "__main__":
    main()
