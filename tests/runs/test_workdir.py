"""metrics.jsonl and the work directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.errors import RunFailure, UserError
from seqmodels.config.features import LabelConfig, TokenizerKind, TokensConfig
from seqmodels.config.files import load_config
from seqmodels.config.serialization import to_json
from seqmodels.data.features.label import Label
from seqmodels.data.features.saved import FEATURES_FILE, save_features
from seqmodels.data.features.tokens import Tokens
from seqmodels.data.words import WordTokenizer
from seqmodels.evaluation.evaluate import to_json as to_json_of
from seqmodels.runs.changes import change
from seqmodels.runs.opening import read_config
from seqmodels.runs.rows import MetricsWriter, read_rows
from seqmodels.runs.workdir import (
    claim,
    claim_data,
    kept_features,
    only_trainer,
    write_json,
)
from tests.training.runs import files_end_at

ROOT = Path(__file__).parents[2]


def test_resuming_cuts_later_rows_and_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": s, "split": "train", "loss": 1.0 / s} for s in range(1, 6)]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"step": 6, "spl')
    assert read_rows(path) == rows
    writer = MetricsWriter(path, last_step=3)
    writer.write(rows[3])
    writer.close()
    assert read_rows(path) == rows[:4]


def test_a_damaged_row_is_refused_if_a_checkpoint_covers_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": s, "split": "train"}) for s in range(1, 6)]
    for damaged in ('{"step": 3, "sp', "\0\0\0", "[]", '{"split": "train"}'):
        path.write_text("\n".join([*lines[:2], damaged, *lines[3:]]) + "\n")
        before = path.read_bytes()
        for read in (read_rows, lambda path: MetricsWriter(path, last_step=3)):
            with pytest.raises(UserError, match=r"metrics.jsonl: line 3 is damaged \(.*repair or"):
                read(path)
        assert path.read_bytes() == before
        # After the checkpoint it is written again, with all later rows.
        MetricsWriter(path, last_step=2).close()
        assert [row["step"] for row in read_rows(path)] == [1, 2]


@pytest.mark.parametrize("content", ['{"fingerpr', "[]", "{}", "\udcff"])
def test_a_damaged_description_of_the_data_is_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    (tmp_path / "data.json").write_text(content, errors="surrogateescape")
    with pytest.raises(UserError, match=r"data.json: cannot be read: "):
        claim_data(tmp_path, {"fingerprint": "a" * 64})


def test_a_run_resumes_with_its_own_copy_of_another_run_s_tokenizer(tmp_path: Path) -> None:
    config = load_config("order_lstm")
    inputs = TokensConfig(tokenizer=TokenizerKind.RUN, tokenizer_path=str(tmp_path / "gone"))
    own = {
        "inputs": Tokens(inputs, WordTokenizer(["a"]), starts=True),
        "targets": Label(LabelConfig(), ("no", "yes")),
    }
    save_features(own, tmp_path / FEATURES_FILE)
    config.data = ExamplesDataConfig(name="sst2", inputs=inputs, targets=LabelConfig())
    assert kept_features(tmp_path, config) is None  # a new start uses the other run's
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    kept = kept_features(tmp_path, config)
    assert kept is not None and to_json_of(kept) == to_json_of(own)
    config.data = ExamplesDataConfig(name="sst2", inputs=TokensConfig(), targets=LabelConfig())
    assert kept_features(tmp_path, config) is None


def test_a_run_whose_kept_config_is_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json: cannot be read: "):
        claim(tmp_path, load_config("demo_lstm"))


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    row = {"step": 1, "split": "train", "note": "x" * 100_000}
    writer = MetricsWriter(tmp_path / "metrics.jsonl", last_step=0)
    for step in range(1, 11):
        writer.write({**row, "step": step})
    with files_end_at(1 << 20), pytest.raises(RunFailure) as error:
        writer.write({**row, "step": 11})
    writer.close()
    assert str(error.value).startswith(f"{tmp_path / 'metrics.jsonl'} cannot be written: File too")
    assert "\n" not in str(error.value)
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 11))
    MetricsWriter(tmp_path / "metrics.jsonl", last_step=99).close()
    assert read_rows(tmp_path / "metrics.jsonl") == rows


def test_a_run_that_saved_nothing_can_be_started_over(tmp_path: Path) -> None:
    config = load_config("demo_lstm")
    claim(tmp_path, config)
    config.model.hidden_dim = 7
    claim(tmp_path, config)
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    claim(tmp_path, config)
    with pytest.raises(UserError, match=r"another config.*model.hidden_dim: 7 -> 256"):
        claim(tmp_path, load_config("demo_lstm"))
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match=r"checkpoints but no config.json"):
        claim(tmp_path, config)


def test_a_config_of_another_version_is_refused_by_file_and_field(tmp_path: Path) -> None:
    config = load_config("demo_lstm")
    claim(tmp_path, config)
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    del values["training"]["seed"]
    path.write_text(json.dumps(values))
    line = f"{path}: damaged, or of another version: training.seed is missing"
    for read in (lambda: read_config(tmp_path), lambda: claim(tmp_path, config)):
        with pytest.raises(UserError, match=f"^{re.escape(line)}$"):
            read()


def test_paths_are_kept_absolute_and_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    config = load_config("demo_lstm")
    config.data.name, config.data.path = "text_file", "texts/*.txt"
    write_json(tmp_path / "config.json", to_json(config))
    claim(tmp_path, config)
    change(tmp_path, config, 20)
    kept = json.loads((tmp_path / "config.json").read_text())["data"]["path"]
    assert kept == str(tmp_path / "texts" / "*.txt")
    config.data.path = "elsewhere/*.txt"
    claim(tmp_path, config)


def test_one_process_trains_in_a_directory(tmp_path: Path) -> None:
    code = "import sys, pathlib, time; from seqmodels.runs.workdir import only_trainer\n"
    code += (
        "with only_trainer(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another process is training"), only_trainer(tmp_path):
            pass
        holder.kill()
    with only_trainer(tmp_path):  # a dead process holds no lock
        pass


def test_processes_may_train_in_a_directory_one_after_another(tmp_path: Path) -> None:
    refused = pytest.raises(UserError, match="another process is training")
    with only_trainer(tmp_path), refused, only_trainer(tmp_path):
        pass
    with only_trainer(tmp_path):
        pass


def test_other_data_are_refused_naming_what_differs(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    claim_data(tmp_path, {"fingerprint": "a" * 64, "vocab_size": 65})
    claim_data(tmp_path, {"fingerprint": "a" * 64, "vocab_size": 65})
    with pytest.raises(UserError, match=r"other data.*vocab_size 65 -> 66"):
        claim_data(tmp_path, {"fingerprint": "b" * 64, "vocab_size": 66})
    assert json.loads((tmp_path / "data.json").read_text())["vocab_size"] == 65


def test_json_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert {p.name for p in tmp_path.iterdir()} - {f".x.json.{os.getpid()}.tmp"} == {"x.json"}
