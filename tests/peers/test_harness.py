"""The evaluation harness: our model of it against its own model of Hugging Face, and itself."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import launch
from seqmodels.files import read_json
from tests.experiments.conftest import Small, small, trained
from tests.interop.conftest import GPT2, TEXT, change_config, folder, gpt2_arrays
from tests.interop.loading import write_folder

torch = pytest.importorskip("torch", reason="make test-peers installs it")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", reason="make test-peers installs it")
    lm_eval = pytest.importorskip("lm_eval", reason="make test-peers installs it")
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    from lm_eval.api.instance import Instance
    from lm_eval.api.registry import get_model

    from seqmodels.interop import harness, harness_data
    from seqmodels.interop.harness_model import CARRY, HarnessModel, SequenceLM

__all__ = ["Small", "folder", "small", "trained"]
pytestmark = pytest.mark.filterwarnings("default")

POSITIONS = 32
DATA = Path(os.environ.get("SEQMODELS_DATA_DIR", "")) / "data"
CONTEXTS = ("the cat sat on", "the", "and the dog sat on the cat. the cat sat on the mat ", "")
ENDINGS = (" the mat", " cat", " the dog sat", ".")


def ask(kind: str, *args: Any) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=args, idx=0)


PAIRS = [ask("loglikelihood", *pair) for pair in itertools.product(CONTEXTS, ENDINGS)]
PAIRS.append(ask("loglikelihood", TEXT[:200], " the mat"))  # longer than the positions
TEXTS = [ask("loglikelihood_rolling", TEXT[:length]) for length in (3, 40, 333)]


@pytest.fixture(scope="module")
def with_end(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with an end-of-text token, as GPT-2 has one, and a model that writes ASCII."""
    path = shutil.copytree(folder, tmp_path_factory.mktemp("with_end") / "folder")
    arrays, embeddings = gpt2_arrays(seed=1), "transformer.wte.weight"
    vocabulary = json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]
    for piece, number in vocabulary.items():
        if not piece.replace("Ġ", "").isascii():
            arrays[embeddings][number] *= 0.01
    write_folder(path, GPT2, arrays)
    change_config(path, eos_token_id=0, bos_token_id=0)
    return path


@pytest.fixture(scope="module")
def imported(with_end: Path) -> Path:
    workdir = with_end.parent / "imported"
    assert launch.main(["import", f"--from={with_end}", f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture(scope="module")
def theirs(with_end: Path) -> Any:
    """The harness's own model of the same folder."""
    end, file = "<|endoftext|>", str(with_end / "tokenizer.json")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=file, bos_token=end, eos_token=end, pad_token=end
    )
    model = transformers.GPT2LMHeadModel.from_pretrained(with_end).eval()
    return huggingface.HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=4, device="cpu", max_length=POSITIONS
    )


@pytest.fixture(scope="module")
def ours(imported: Path) -> SequenceLM:
    return HarnessModel(str(imported), batch_size=4)


def test_scores_are_those_of_the_harness_s_own_model(theirs: Any, ours: SequenceLM) -> None:
    assert ours.max_length == theirs.max_length == POSITIONS
    assert ours.prefix_token_id == theirs.prefix_token_id
    for kind, requests in (("loglikelihood", PAIRS), ("loglikelihood_rolling", TEXTS)):
        expected, found = getattr(theirs, kind)(requests), getattr(ours, kind)(requests)
        np.testing.assert_allclose(np.array(found), np.array(expected), rtol=0, atol=1e-4)


def test_texts_are_those_of_the_harness_s_own_model(theirs: Any, ours: SequenceLM) -> None:
    settings = {"until": ["zzz"], "max_gen_toks": 9, "do_sample": False}
    contexts = [text or "cat" for text in CONTEXTS]
    requests = [ask("generate_until", text, dict(settings)) for text in contexts]
    expected, found = theirs.generate_until(requests), ours.generate_until(requests)
    assert found == expected and all(found)
    # A string in the middle of each text ends it, and is not part of it.
    for text, context in zip(found, contexts, strict=True):
        stop = text[3:5]
        settings = {**settings, "until": ["zzz", stop]}
        (cut,) = ours.generate_until([ask("generate_until", context, settings)])
        assert cut == text[: text.index(stop)]


@pytest.fixture(scope="module")
def ngram(small: Small) -> Path:
    workdir = small.folder / "ngram"
    kept = [word for word in small.words()[1:] if ".data." in word or ".evaluation." in word]
    assert launch.main(["train", "--config=demo_ngram", *kept, f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture(params=["imported", "trained", "ngram"])
def workdir(request: pytest.FixtureRequest) -> Iterator[Path]:
    yield request.getfixturevalue(request.param)


def test_the_size_of_a_batch_and_padding_change_nothing(workdir: Path) -> None:
    pairs = [*PAIRS[:16], PAIRS[5]]
    if workdir.name != "imported":  # the characters of `small`
        words = ("main", "ma", "ste in tea", "n" * 200)
        pairs = [ask("loglikelihood", a, b) for a, b in itertools.product(words, ("a", " el"))]
    single = [HarnessModel(str(workdir), batch_size=1).loglikelihood([pair])[0] for pair in pairs]
    for size in (1, 3, 16, 64):
        found = HarnessModel(str(workdir), batch_size=size).loglikelihood(pairs)
        np.testing.assert_allclose(np.array(found), np.array(single), rtol=1e-6, atol=1e-6)


def test_a_state_carries_a_text_of_any_length(trained: Path, small: Small) -> None:
    """With a window as long as the text, both ways of reading are one."""
    text = (small.folder / "text.txt").read_text()[:1500]
    requests = [ask("loglikelihood_rolling", t) for t in (text, text[:9])]
    scores = {
        name: HarnessModel(str(trained), **how).loglikelihood_rolling(requests)
        for name, how in {
            "carried": {"rolling": CARRY},
            "whole": {"max_length": 2000},
            "cut": {"max_length": 100},
        }.items()
    }
    np.testing.assert_allclose(scores["carried"], scores["whole"], rtol=1e-5)
    assert abs(scores["cut"][0] - scores["whole"][0]) > 1e-3


def test_the_command_prints_every_way_of_reading_and_the_n_gram(
    trained: Path, small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (small.folder / "text.txt").read_text()
    (tmp_path / "rows.jsonl").write_text(f'{{"text": "{text[:400]}"}}\n')
    (tmp_path / "own.yaml").write_text(
        "task: own\n"
        "dataset_path: json\n"
        f"dataset_kwargs: {{data_files: {{test: {tmp_path / 'rows.jsonl'}}}}}\n"
        "test_split: test\n"
        "output_type: loglikelihood_rolling\n"
        "doc_to_text: ''\n"
        "doc_to_target: '{{text}}'\n"
        "metric_list: [{metric: word_perplexity}]\n"
    )
    words = [f"--workdir={trained}", "--tasks=own", f"--include_path={tmp_path}"]
    assert harness.main([*words, f"--output={tmp_path / 'out.json'}"]) == 0
    assert "Kneser-Ney of order 3" in capsys.readouterr().err
    rows = read_json(tmp_path / "out.json")["results"]
    found = {(row["model"], row["reading"]): row["word_perplexity"] for row in rows}
    assert set(found) == {
        (model, reading)
        for model in ("run, step 6", "Kneser-Ney of order 3")
        for reading in ("windows of 2048", "carried state")
    }
    # The figure is that of the scores.
    lm = HarnessModel(str(trained), rolling=CARRY)
    (nats,) = lm.loglikelihood_rolling([ask("loglikelihood_rolling", text[:400])])
    expected = np.exp(-nats / len(text[:400].split()))
    assert found["run, step 6", "carried state"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the published files")
def test_every_offline_task_runs(
    small: Small, imported: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # The tokenizer of characters is the one that has unknown symbols.
    words = [word for word in small.words() if "unknown_symbols" not in word]
    words += ["--config.data.tokenizer=byte", f"--workdir={tmp_path / 'run'}"]
    assert launch.main(["train", *words]) == 0
    capsys.readouterr()
    tasks = harness.own_tasks()
    assert len(tasks) == 6
    words = [f"--workdir={tmp_path / 'run'}", f"--tasks={','.join(tasks)}", "--limit=2", "--json"]
    assert harness.main([*words, "--no_baseline"]) == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    # A text without bounds is read in two ways.
    assert sorted(row["task"] for row in rows) == [*tasks, "seqmodels_wikitext2"]
    for row in rows:
        assert row["num_rows"] == 2 and len(row) > 3
    # An imported model has no training data to count an n-gram on.
    words = [f"--workdir={imported}", "--tasks=seqmodels_last_word", "--limit=1"]
    assert harness.main(words) == 0
    assert "no Kneser-Ney n-gram: " in capsys.readouterr().err


def test_the_harness_finds_the_model_by_its_name(trained: Path) -> None:
    lm = get_model("seqmodels").create_from_arg_string(
        f"workdir={trained},max_length=50", {"batch_size": 2, "device": None}
    )
    assert isinstance(lm, HarnessModel) and lm.batch_size == 2 and lm.max_length == 50


def test_rows_made_by_rule() -> None:
    sums = harness_data.arithmetic(num_digits=3)["test"]
    assert len(sums) == 500
    for row in sums:
        assert eval(row["question"].removesuffix("=")) == int(row["answer"]) >= 0
        assert harness_data.exact_answer(row, [f" {row['answer']}"]) == {"exact_match": 1.0}
    pairs = harness_data.minimal_pairs()["test"]
    for row in pairs:
        good, bad = row["good"].split(), row["bad"].split()
        (at,) = [n for n, (a, b) in enumerate(zip(good, bad, strict=True)) if a != b]
        plural = good[1].endswith("s")
        assert plural != good[at - 1].endswith("s")
        assert plural == (good[at] in ("are", "were", "have", "do"))
    texts = ["a " * 39 + "word word.", "b " * 60 + "other.", "word word.", "a " * 50 + "ab ab."]
    assert list(harness_data.passages(iter(texts))) == [
        {"passage": "a " * 39 + "word", "word": "word"}
    ]
