"""What may change in the config of a run that is resumed, and the record of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.serialization import to_json
from seqmodels.runs import changes
from seqmodels.runs.changes import RECORD, change, read_changes
from seqmodels.runs.opening import read_config
from seqmodels.runs.workdir import refuse_other_run, write_json


def changed(**fields: Any) -> ExperimentConfig:
    config = load_config("demo_lstm")
    overrides = [(name.replace("__", "."), str(value)) for name, value in fields.items()]
    apply_overrides(config, overrides, [])
    return config


def begin(workdir: Path, step: int, **fields: Any) -> ExperimentConfig:
    """A directory with a checkpoint of a step, as far as its name and config say."""
    (workdir / "checkpoints" / str(step)).mkdir(parents=True)
    config = changed(**fields)
    write_json(workdir / "config.json", to_json(config))
    return config


FREE = {
    "training.num_steps": 5000,
    "training.log_every": 7,
    "training.evaluate_every": 9,
    "training.checkpoint_every": 11,
    "training.keep_checkpoints": 5,
    "training.early_stopping_patience": 3,
    "training.tensorboard": "true",
    "training.mesh_fsdp": 2,
    "evaluation.batch_size": 3,
    "evaluation.baseline_order": 2,
    "data.cache_dir": "elsewhere",
}
FIXED = {
    "training.seed": 1,
    "training.best_metric": "accuracy",
    "training.dtype": "bfloat16",
    "training.accumulation_steps": 2,
    "training.ema_decay": 0.9,
    "optimizer.schedule": "constant",
    "optimizer.warmup_steps": 3,
    "data.batch_size": 64,
    "model.hidden_dim": 7,
    "evaluation.context": "sliding",
}


@pytest.mark.parametrize("name", [*FREE, *FIXED])
def test_what_changes_no_step_so_far_may_change(name: str, tmp_path: Path) -> None:
    begin(tmp_path, 40, optimizer__schedule="cosine")
    config = changed(**{"optimizer.schedule": "cosine", name: (FREE | FIXED)[name]})
    if name in FREE:
        refuse_other_run(tmp_path, config)
    else:
        with pytest.raises(UserError, match=f"another config, differing in {name}: "):
            refuse_other_run(tmp_path, config)


@pytest.mark.parametrize(("step", "allowed"), [(700, True), (701, False)])
def test_the_end_of_the_schedule_may_change_until_it_begins(
    step: int, allowed: bool, tmp_path: Path
) -> None:
    begin(tmp_path, step, optimizer__schedule="constant", training__num_steps=1000)
    ends = {"optimizer.schedule": "wsd", "optimizer.decay_steps": 300, "optimizer.final_lr": 1e-5}
    config = changed(**ends, training__num_steps=1000)
    if allowed:
        refuse_other_run(tmp_path, config)
    else:
        with pytest.raises(UserError, match=r"optimizer.schedule: constant -> wsd"):
            refuse_other_run(tmp_path, config)


def test_each_change_is_recorded_with_the_step_before_it(tmp_path: Path) -> None:
    first = begin(tmp_path, 40)
    assert to_json(change(tmp_path, first, 40)) == to_json(first)
    assert not (tmp_path / RECORD).exists()
    longer = changed(training__num_steps=3000)
    old, new = first.training.num_steps, 3000
    change(tmp_path, longer, 40)
    longest = changed(training__num_steps=4000, training__log_every=10)
    assert to_json(change(tmp_path, longest, 60)) == to_json(longer)
    expected = [
        {"after_step": 40, "fields": {"training.num_steps": [old, new]}},
        {
            "after_step": 60,
            "fields": {
                "training.num_steps": [new, 4000],
                "training.log_every": [first.training.log_every, 10],
            },
        },
    ]
    assert read_changes(tmp_path, read_config(tmp_path)) == expected
    change(tmp_path, longest, 50)  # the checkpoint of step 60 was lost
    expected[1]["after_step"] = 50
    assert read_changes(tmp_path, read_config(tmp_path)) == expected
    (tmp_path / RECORD).write_text('{"changes": 1}')
    with pytest.raises(UserError, match=r"changes.json: cannot be read: it has no changes"):
        change(tmp_path, longest, 50)


def test_a_change_that_was_interrupted_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(tmp_path, 40)

    def write(path: Path, value: Any) -> None:
        if path.name == "config.json":
            raise KeyboardInterrupt
        write_json(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(changes, "write_json", write)
        with pytest.raises(KeyboardInterrupt):
            change(tmp_path, changed(training__num_steps=3000), 40)
    assert len(json.loads((tmp_path / RECORD).read_text())["changes"]) == 1
    assert read_changes(tmp_path, read_config(tmp_path)) == []
    change(tmp_path, changed(training__log_every=10), 40)
    assert read_changes(tmp_path, read_config(tmp_path)) == [
        {"after_step": 40, "fields": {"training.log_every": [first.training.log_every, 10]}}
    ]
