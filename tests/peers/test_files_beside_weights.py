"""Tokenizers, preprocessing and ends of texts that come with weights, as transformers reads them.

Folders of transformers are imported and exported; transformers must find the same model in both.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqmodels.data.huggingface import open_tokenizer
from tests.experiments.conftest import FrontDoor, door, logging_as_it_was
from tests.interop.texts import BYTES, ODD, PIECES, WORDS, bert_words, gpt2_bytes, write
from tests.peers.test_hugging_face import ENCODER, gpt2, spread
from tests.tolerances import TOLERANCE

torch = pytest.importorskip("torch", reason="make test-peers installs it")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", reason="make test-peers installs it")

__all__ = ["door", "logging_as_it_was"]
pytestmark = pytest.mark.filterwarnings("ignore")

LABELS = {"0": "bad", "1": "good", "2": "so-so"}


def assert_same_encoding(folder: Path, other: Path | None = None) -> None:
    """Compares whole texts of ours with those of transformers, or those of two folders."""
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    if other is None:
        ours = open_tokenizer(folder)
        encode = lambda text: [*ours.start, *ours.encode(text, unknown=True), *ours.end]
    else:
        encode = transformers.AutoTokenizer.from_pretrained(other)
        encode = lambda text, read=encode: read(text)["input_ids"]
    for text in ODD:
        assert [int(i) for i in encode(text)] == theirs(text)["input_ids"], text


@pytest.mark.parametrize("name", WORDS)
def test_word_pieces(name: str, tmp_path: Path) -> None:
    bert_words(tmp_path, WORDS[name])
    write(tmp_path, "config", {"model_type": "bert"})
    assert_same_encoding(tmp_path)
    ours, theirs = open_tokenizer(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert ours.mask_id == theirs.mask_token_id
    theirs.save_pretrained(tmp_path / "again")  # as tokenizer.json
    write(tmp_path / "again", "config", {"model_type": "bert"})
    assert_same_encoding(tmp_path / "again")
    settings = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
    write(tmp_path / "again", "tokenizer_config", {**settings, "do_lower_case": name == "cased"})
    assert_same_encoding(tmp_path / "again")


@pytest.mark.parametrize("name", BYTES)
def test_bytes(name: str, tmp_path: Path) -> None:
    gpt2_bytes(tmp_path, **BYTES[name])
    write(tmp_path, "config", {"model_type": "gpt2"})
    assert_same_encoding(tmp_path)


def round_trip(module: Any, folder: Path, door: FrontDoor) -> Path:
    """Saves a model next to the files of a folder, imports and exports it."""
    module.save_pretrained(folder)
    run, to = folder.parent / "run", folder.parent / "to"
    said = door("import", f"--from={folder}", f"--workdir={run}")
    assert said.status == 0, said.err
    said = door("export", f"--workdir={run}", f"--to={to}")
    assert said.status == 0, said.err
    kind = type(module)
    back = kind.from_pretrained(to).train(False)
    tokens = torch.tensor(np.random.default_rng(0).integers(0, len(PIECES), (2, 7)))
    assert torch.equal(back(tokens).logits, module(tokens).logits)
    assert_same_encoding(to, folder)
    first, second = (transformers.AutoTokenizer.from_pretrained(one) for one in (folder, to))
    present = {r: t for r, t in first.special_tokens_map.items() if t in first.get_vocab()}
    assert {r: t for r, t in second.special_tokens_map.items() if r in present} == present
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "id2label"):
        there, here = (getattr(one.config, name, None) for one in (module, back))
        assert there == here, name
    return to


def pipelines(task: str, folder: Path, to: Path, *given: Any, **settings: Any) -> list[Any]:
    """The answers of a pipeline over the imported folder, which the exported one must give too."""
    answers = []
    for place in (folder, to):
        pipe = transformers.pipeline(task, model=str(place), tokenizer=str(place), device="cpu")
        answers.append([pipe(one, **settings) for one in given])
    assert answers[0] == answers[1]
    return answers[0]


def bert(kind: str, **more: Any) -> Any:
    config = transformers.BertConfig(
        vocab_size=len(PIECES), max_position_embeddings=24, **ENCODER, **more
    )
    return spread(getattr(transformers, kind)(config))


def test_a_masked_language_model_fills_masks(tmp_path: Path, door: FrontDoor) -> None:
    folder = tmp_path / "folder"
    bert_words(folder, {"do_lower_case": False})
    to = round_trip(bert("BertForMaskedLM"), folder, door)
    found = pipelines("fill-mask", folder, to, "the [MASK] sat", "Hello [MASK]", top_k=3)
    assert len(found[0]) == 3


def test_a_classifier_predicts_and_comes_back(tmp_path: Path, door: FrontDoor) -> None:
    """Probabilities of `predict` are those of the pipeline, [SEP] included; training continues."""
    folder = tmp_path / "folder"
    bert_words(folder, {"tokenizer_class": "BertTokenizer"})
    names = {int(n): name for n, name in LABELS.items()}
    ids = {name: n for n, name in names.items()}
    module = bert("BertForSequenceClassification", id2label=names, label2id=ids)
    to = round_trip(module, folder, door)
    texts = ["the good cat", "Hello bad World", "日本語"]
    found = pipelines("text-classification", folder, to, *texts, top_k=None)
    (tmp_path / "lines.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    run = tmp_path / "run"
    said = door("predict", f"--workdir={run}", f"--input={tmp_path / 'lines.txt'}")
    assert said.status == 0, said.err
    for answer, wanted in zip(map(json.loads, said.out.splitlines()), found, strict=True):
        scores = {one["label"]: one["score"] for one in wanted}
        assert answer["probabilities"].keys() == scores.keys()
        found = [answer["probabilities"][label] for label in scores]
        np.testing.assert_allclose(found, list(scores.values()), **TOLERANCE["reference"])
    rows = "\n".join(f"{text},{label}" for text in texts for label in LABELS.values())
    (tmp_path / "table.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    fields = {
        "data.name": "table",
        "data.train_path": tmp_path / "table.csv",
        "data.validation_path": tmp_path / "table.csv",
        "data.batch_size": 3,
        "data.cache_dir": tmp_path / "cache",
        "optimizer.warmup_steps": 1,
        "training.num_steps": 2,
        "training.log_every": 2,
        "training.evaluate_every": 2,
        "training.checkpoint_every": 2,
    }
    said = door("train", f"--workdir={run}", *(f"--config.{k}={v}" for k, v in fields.items()))
    assert said.status == 0, said.err
    result = door("evaluate", f"--workdir={run}", "--split=validation", "--json").json
    assert result["num_targets"] == 9
    said = door("export", f"--workdir={run}", f"--to={tmp_path / 'tuned'}")
    assert said.status == 0, said.err
    assert_same_encoding(tmp_path / "tuned", folder)
    tuned = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "tuned")
    assert tuned.config.id2label == names


ENDS = {"eos_token_id": [259, 260], "pad_token_id": 261}


def _write_an_end(module: Any, folder: Path, prompts: list[str]) -> None:
    """Exchanges an end of text with a token that the model writes after some others."""
    tokenizer = transformers.GPT2Tokenizer.from_pretrained(folder)
    read = {i for prompt in prompts for i in tokenizer(prompt)["input_ids"]}
    start = tokenizer(prompts[0], return_tensors="pt")["input_ids"]
    settings = {"do_sample": False, "max_new_tokens": 12, "pad_token_id": 0}
    made = module.generate(start, **settings)[0, start.shape[1] + 3 :].tolist()
    token = next(token for token in made if token not in read)
    with torch.no_grad():
        table = module.transformer.wte.weight
        table[[token, 259]] = table[[259, token]]


def test_a_decoder_stops_where_transformers_does(tmp_path: Path, door: FrontDoor) -> None:
    folder = tmp_path / "folder"
    module = spread(gpt2(vocab_size=262), seed=3)
    gpt2_bytes(folder, **BYTES["added and special"])
    prompts = ["the cat", "a", "Hello"]
    _write_an_end(module, folder, prompts)
    module.generation_config.eos_token_id = ENDS["eos_token_id"]
    module.generation_config.pad_token_id = ENDS["pad_token_id"]
    to = round_trip(module, folder, door)
    written = json.loads((to / "generation_config.json").read_text())
    assert {name: written[name] for name in ENDS} == ENDS
    settings = {"do_sample": False, "max_new_tokens": 40}
    found = pipelines("text-generation", folder, to, *prompts, **settings)
    words = ["generate", f"--workdir={tmp_path / 'run'}", "--max_tokens=40", "--temperature=0"]
    ended = set()
    for prompt, (wanted,) in zip(prompts, found, strict=True):
        (text,) = door(*words, f"--prompt={prompt}", "--json").json["texts"]
        assert text == wanted["generated_text"]
        (longer,) = door(*words, f"--prompt={prompt}", "--ignore_eos", "--json").json["texts"]
        assert longer.startswith(text)
        ended.add(text != longer)
    assert True in ended


def test_a_vit_sees_what_its_processor_makes(tmp_path: Path, door: FrontDoor) -> None:
    """Images are resized, rescaled and normalized as the files say; classes have their names."""
    folder, run = tmp_path / "folder", tmp_path / "run"
    names = {int(n): name for n, name in LABELS.items()}
    module = spread(
        transformers.ViTForImageClassification(
            transformers.ViTConfig(
                image_size=8,
                patch_size=4,
                id2label=names,
                label2id={name: n for n, name in names.items()},
                **ENCODER,
            )
        )
    )
    module.save_pretrained(folder)
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    processor = ViTImageProcessorPil(
        size={"height": 8, "width": 8},
        resample=3,
        rescale_factor=1 / 127.5,
        image_mean=[0.4, 0.5, 0.6],
        image_std=[0.3, 0.2, 0.25],
    )
    processor.save_pretrained(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    said = door("import", f"--from={folder}", f"--workdir={run}")
    assert said.status == 0, said.err
    said = door("predict", f"--workdir={run}", f"--input={tmp_path / 'image.png'}")
    assert said.status == 0, said.err
    read = ViTImageProcessorPil.from_pretrained(folder)
    values = read(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    wanted = torch.softmax(module(values).logits[0], -1).detach().numpy()
    found = json.loads(said.out)["probabilities"]
    assert list(found) == list(LABELS.values())
    np.testing.assert_allclose(list(found.values()), wanted, **TOLERANCE["reference"])
