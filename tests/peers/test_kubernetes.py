"""The manifest of docs/launching.md against the schemas of Kubernetes and the flags of `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments import train
from experiments.arguments import parse
from experiments.distributed import check

kubernetes_validate = pytest.importorskip("kubernetes_validate")
MANIFEST = Path(__file__).parents[2] / "docs" / "kubernetes.yaml"


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))


def test_the_manifest_fits_the_schemas() -> None:
    found = documents()
    assert [one["kind"] for one in found] == ["Service", "Job"]
    for one in found:
        kubernetes_validate.validate(one, "1.31", strict=True)


def test_a_wrong_manifest_does_not_fit() -> None:
    _, job = documents()
    job["spec"]["completionMod"] = job["spec"].pop("completionMode")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.31", strict=True)


def test_the_command_of_the_manifest_is_one_of_train() -> None:
    service, job = documents()
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    words = container["command"]
    assert words[:3] == ["python", "launch.py", "train"]
    index = "$(JOB_COMPLETION_INDEX)"
    arguments = parse(train.COMMAND, [word.replace(index, "3") for word in words[3:]])
    assert not isinstance(arguments, str)
    check(arguments)
    assert arguments.flags.num_processes == spec["completions"] == spec["parallelism"] == 4
    name = job["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": name}
    subdomain = spec["template"]["spec"]["subdomain"]
    assert arguments.flags.coordinator == f"{name}-0.{subdomain}:29400"
    assert service["metadata"]["name"] == subdomain
