"""Files next to weights are used, or refused by name; `export` gives back what came in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from seqmodels.config.data import ExamplesDataConfig, TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import ImageConfig, LabelConfig, Resampling, TokensConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import (
    ClassificationConfig,
    LanguageModelConfig,
    MaskedLanguageModelConfig,
    TaskConfig,
)
from seqmodels.config.transformers import BERTConfig, GPTConfig
from seqmodels.data.features.label import Label
from seqmodels.data.features.tokens import CLASS_TOKEN, EncodedTokens, Tokens
from seqmodels.data.huggingface import open_tokenizer
from seqmodels.data.special_tokens import SpecialTokens
from seqmodels.data.text import as_features
from seqmodels.data.token_store import TokenSplit
from seqmodels.data.tokenizers import ByteTokenizer, load_tokenizer, tokenizer_from_json
from seqmodels.interop.exporting import export_run
from seqmodels.interop.formats import find_format
from seqmodels.interop.generation import generation_notes
from seqmodels.interop.preprocessing import read_preprocessing
from seqmodels.models.build import build_model
from seqmodels.runs.run import Run, abstract_params
from seqmodels.tasks.build import build_task
from tests.golden.make_tokenizers import GOLDEN
from tests.interop.conftest import FrontDoor, byte_level, door, logging_as_it_was
from tests.interop.loading import write_folder
from tests.interop.texts import BYTES, ODD, PIECES, WORDS, bert_words, gpt2_bytes, write

__all__ = ["door", "logging_as_it_was"]

CASES = {f"bert, {name}": (bert_words, files) for name, files in WORDS.items()}
CASES |= {f"gpt2, {name}": (gpt2_bytes, files) for name, files in BYTES.items()}
SMALL = {"num_layers": 1, "model_dim": 12, "num_heads": 3, "mlp_dim": 16, "max_length": 16}


def test_tokenizers_have_the_ids_of_transformers(tmp_path: Path) -> None:
    wanted = json.loads(GOLDEN.read_text())
    assert wanted.keys() == CASES.keys()
    for name, (make, files) in CASES.items():
        folder = tmp_path / name
        make(folder, files) if make is bert_words else make(folder, **files)
        ours = open_tokenizer(folder)
        for text, ids in zip(ODD, wanted[name], strict=True):
            found = [*ours.start, *ours.encode(text, unknown=True), *ours.end]
            assert found == ids, (name, text)


def test_a_text_of_a_classifier_has_both_ends(tmp_path: Path) -> None:
    """In `predict` and in batches; the ends count towards max_length, and a cut text keeps them."""
    bert_words(tmp_path)
    tokenizer = open_tokenizer(tmp_path)
    config = TokensConfig(max_length=5, cut_long=True)
    feature = Tokens(config, tokenizer, starts=True)
    ids = [PIECES.index(token) for token in ("[CLS]", "the", "cat", "sat", "[SEP]")]
    assert feature.read("The cat sat on the mat").tolist() == ids
    texts = [tokenizer.encode(text) for text in ("the cat sat on", "a")]
    offsets = np.cumsum([0, *map(len, texts)])
    split = TokenSplit(np.concatenate(texts), offsets)
    part = EncodedTokens(split, feature).part(np.array([1, 0]), 5)
    short = [ids[0], PIECES.index("a"), ids[-1], 0, 0]
    assert part.values.tolist() == [short, ids]
    assert part.segment_ids.tolist() == [[1, 1, 1, 0, 0], [1] * 5]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "words of Japanese": (
        {"tokenizer_config": {"tokenizer_class": "BertJapaneseTokenizer"}},
        "tokenizer_config.json: tokenizer_class=BertJapaneseTokenizer is not supported",
    ),
    "no words": ({"tokenizer_config": {"do_basic_tokenize": False}}, "do_basic_tokenize=False"),
    "a gap": (
        {"added_tokens": {"<ent>": len(PIECES) + 2}},
        f"added_tokens.json: token '<ent>' has id {len(PIECES) + 2}; after the vocabulary and "
        f"the tokens before it, it must be {len(PIECES)}",
    ),
    "a list": ({"added_tokens": []}, "added_tokens.json: damaged: must hold an object, not []"),
    "an end that is no number": (
        {"generation_config": {"eos_token_id": "</s>"}},
        "generation_config.json: eos_token_id=</s> is not supported; allowed: a number of a token",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_tokenizer_cannot_be_is_refused_by_name(name: str, tmp_path: Path) -> None:
    files, message = REFUSED[name]
    bert_words(tmp_path)
    for file, values in files.items():
        write(tmp_path, file, values)
    with pytest.raises(UserError) as caught:
        open_tokenizer(tmp_path)
    assert message in str(caught.value)


def test_the_ends_of_texts(tmp_path: Path) -> None:
    """generation_config.json counts before config.json, whose defaults depend on the model."""
    gpt2_bytes(tmp_path, config={"model_type": "llama", "pad_token_id": 7})
    assert open_tokenizer(tmp_path).eos_ids == (2,)
    write(tmp_path, "config", {"model_type": "llama", "eos_token_id": None})
    assert open_tokenizer(tmp_path).eos_ids == ()
    write(tmp_path, "generation_config", {"eos_token_id": [259, 300]})
    found = open_tokenizer(tmp_path, 270)
    assert found.eos_ids == (259,), "300 is not a token"
    found.save(tmp_path / "saved.json")
    again = load_tokenizer(tmp_path / "saved.json")
    assert again.eos_ids == (259,)
    assert again.to_json() == found.to_json()
    with pytest.raises(ValueError, match="no special tokens"):
        tokenizer_from_json({**found.to_json(), "special": {"what": 1}})


def test_other_settings_of_generation_are_named(tmp_path: Path) -> None:
    assert generation_notes(tmp_path) == []
    values = {"eos_token_id": 3, "do_sample": True, "num_beams": 1, "top_k": None}
    write(tmp_path, "generation_config", values)
    assert generation_notes(tmp_path) == []
    write(tmp_path, "generation_config", {**values, "top_p": 0.9, "repetition_penalty": 1.1})
    assert generation_notes(tmp_path) == [
        "generation_config.json: generate samples so with --top_p=0.9",
        "generation_config.json: not used by generate: repetition_penalty=1.1",
    ]


IMAGE = {"height": 8, "width": 8, "channels": 3}


def test_preprocessing_of_images(tmp_path: Path) -> None:
    assert read_preprocessing(tmp_path, IMAGE) == ImageConfig(size=8)
    values: dict[str, Any] = {"image_processor_type": "ViTImageProcessor", "size": 8}
    write(tmp_path, "preprocessor_config", values)
    assert read_preprocessing(tmp_path, IMAGE) == ImageConfig(size=8)
    values |= {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.2], "resample": 3}
    write(tmp_path, "preprocessor_config", {**values, "size": {"height": 8, "width": 8}})
    found = read_preprocessing(tmp_path, IMAGE)
    assert found == ImageConfig(
        size=8, mean="0.4,0.5,0.6", deviation="0.2", resampling=Resampling.BICUBIC
    )
    assert not list(found.problems())
    write(tmp_path, "preprocessor_config", {**values, "rescale_factor": 1 / 127.5})
    assert read_preprocessing(tmp_path, IMAGE).mean == "0.2,0.25,0.3"
    write(tmp_path, "preprocessor_config", {"do_rescale": False, "do_normalize": False})
    found = read_preprocessing(tmp_path, IMAGE)
    assert [numbers[0] * 255 for numbers in found.scaling()] == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 9}, "size=9 is not supported; allowed: the 8 x 8 pixels that the model reads"),
        ({"size": {"shortest_edge": 8}}, "size={'shortest_edge': 8} is not supported"),
        ({"do_center_crop": True}, "do_center_crop=true is not supported; allowed: false, none"),
        ({"do_resize": False}, "do_resize=false is not supported; allowed: true"),
        ({"image_mean": [1, 2]}, "image_mean=[1, 2] is not supported; allowed: a number, or 3"),
        ({"image_std": 0}, "image_std=0 is not supported; allowed: numbers above 0"),
        ({"resample": 9}, "resample=9 is not supported; allowed: 0 (nearest), 1 (lanczos)"),
        ({"image_processor_type": "CLIPImageProcessor"}, "image_processor_type=CLIPImageProcessor"),
    ],
)
def test_preprocessing_that_differs_is_refused(
    values: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write(tmp_path, "preprocessor_config", values)
    with pytest.raises(UserError) as caught:
        read_preprocessing(tmp_path, IMAGE)
    assert message in str(caught.value)


def run_of(
    model: ModelConfig, task: TaskConfig, data: Any, features: dict[str, Any], folder: Path
) -> Run:
    """A run with random parameters, without a work directory."""
    config = ExperimentConfig(model, data, task)
    spec = build_task(config).make_spec(features)
    module = build_model(model, spec, jnp.float32)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(np.float32), abstract_params(module)
    )
    return Run(folder, module, params, features, build_task(config), config, spec, 0)


def test_an_lstm_that_classifies_is_exported(tmp_path: Path) -> None:
    inputs, targets = TokensConfig(), LabelConfig()
    features = {
        "inputs": Tokens(inputs, ByteTokenizer(), starts=True),
        "targets": Label(targets, ("bad", "good", "so-so")),
    }
    model = RecurrentConfig(cell="lstm", num_layers=1, model_dim=5, hidden_dim=7)
    data = ExamplesDataConfig(inputs=inputs, targets=targets)
    run = run_of(model, ClassificationConfig(), data, features, tmp_path)
    export_run(run, find_format(model, None), tmp_path / "to.safetensors")
    there = load_file(tmp_path / "to.safetensors")
    kernel = run.params["head"]["Dense_0"]["kernel"]
    np.testing.assert_array_equal(there["head.weight"], kernel.T)
    assert there["head.bias"].shape == (3,)
    np.testing.assert_array_equal(there["embedding.weight"], run.params["embedding"]["table"])
    assert there["lstm.weight_ih_l0"].shape == (28, 5)


def test_a_decoder_that_classifies_is_not_exported_without_its_head(tmp_path: Path) -> None:
    inputs, targets = TokensConfig(), LabelConfig()
    features = {
        "inputs": Tokens(inputs, ByteTokenizer(), starts=True),
        "targets": Label(targets, ("bad", "good")),
    }
    model = GPTConfig(**SMALL, use_bias=True, tie_embeddings=False)
    data = ExamplesDataConfig(inputs=inputs, targets=targets)
    run = run_of(model, ClassificationConfig(), data, features, tmp_path)
    model.tie_embeddings = True
    with pytest.raises(UserError, match=r"model.kind=gpt with outputs of classes cannot be exp"):
        export_run(run, find_format(model, None), tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_our_own_tokens_are_exported_with_the_tokenizer(tmp_path: Path) -> None:
    """[CLS] and [MASK] after the vocabulary, where the tokenizer has none of its own."""
    byte_level(tmp_path)
    tokenizer = open_tokenizer(tmp_path, 288)  # 8 more rows than tokens
    inputs, targets = TokensConfig(class_token=True), LabelConfig()
    features = {
        "inputs": Tokens(inputs, tokenizer, (CLASS_TOKEN,), starts=True),
        "targets": Label(targets, ("bad", "good", "so-so")),
    }
    model = BERTConfig(**SMALL)
    data = ExamplesDataConfig(inputs=inputs, targets=targets)
    run = run_of(model, ClassificationConfig(), data, features, tmp_path)
    export_run(run, find_format(model, None), tmp_path / "to")
    config = json.loads((tmp_path / "to" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "bad", "1": "good", "2": "so-so"}
    assert config["vocab_size"] == 289
    back = open_tokenizer(tmp_path / "to")
    text = "the cat"
    np.testing.assert_array_equal(
        [*back.start, *back.encode(text), *back.end], features["inputs"].read(text)
    )
    assert back.special.tokens["cls_token"] == CLASS_TOKEN

    features = as_features(tokenizer)
    task = MaskedLanguageModelConfig()
    run = run_of(model, task, TextDataConfig(), features, tmp_path)
    export_run(run, find_format(model, None), tmp_path / "masked")
    assert open_tokenizer(tmp_path / "masked").mask_id == 288


def test_ids_come_back(tmp_path: Path) -> None:
    files = {"config": {"eos_token_id": 259}, "generation_config": {"eos_token_id": [259, 3]}}
    gpt2_bytes(tmp_path / "from", **files, tokenizer_config={"pad_token": "<pad>"})
    tokenizer = open_tokenizer(tmp_path / "from")
    assert tokenizer.special == SpecialTokens(
        dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
        | {"pad_token": "<pad>"},
        *files.values(),
    )
    model, features = GPTConfig(**SMALL, use_bias=True), as_features(tokenizer)
    run = run_of(model, LanguageModelConfig(), TextDataConfig(), features, tmp_path)
    export_run(run, find_format(model, None), tmp_path / "to")
    back = open_tokenizer(tmp_path / "to")
    assert back.special.tokens == tokenizer.special.tokens
    assert back.eos_ids == (259, 3)
    config = json.loads((tmp_path / "to" / "config.json").read_text())
    assert (config["eos_token_id"], config["bos_token_id"]) == (259, None)


def test_a_classifier_without_a_tokenizer_is_refused(tmp_path: Path, door: FrontDoor) -> None:
    config = {"architectures": ["BertForSequenceClassification"], "num_labels": 3}
    folder = write_folder(tmp_path / "folder", config, {"x": np.zeros(1, np.float32)})
    line = door("import", f"--from={folder}", f"--workdir={tmp_path / 'run'}").line
    assert "--config.data.inputs.tokenizer_path=DIR" in line
    write(folder, "config", {**config, "id2label": {"0": "score"}})
    line = door("import", f"--from={folder}", f"--workdir={tmp_path / 'run'}").line
    assert "id2label has one class; 2 or more are supported" in line
