"""Every bad config is one line that names the field, its value and what is allowed."""

from __future__ import annotations

import operator
import re

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.serialization import leaves, optional_of
from seqmodels.config.tasks import LanguageModelConfig, MaskedLanguageModelConfig, TaskConfig
from seqmodels.config.transformers import BERTConfig, GPTConfig, TransformerConfig, ViTConfig
from seqmodels.config.validate import validate
from tests.config.examples import MODELS, make

GPT, LSTM, NGRAM, BERT = GPTConfig, RecurrentConfig, NgramConfig, BERTConfig

# Model, overrides (the last one is at fault), what the line says is allowed.
BAD = [
    (GPT, "model.num_layers=0", "1 or more"),
    (GPT, "model.num_heads=3", "must divide model_dim, 128; the nearest are 1, 2, 4"),
    (GPT, "model.model_dim=12 model.num_heads=4 model.position=rotary", "even"),
    (GPT, "model.dropout_rate=1", "at least 0 and below 1"),
    (GPT, "model.dropout_rate=-0.1", "at least 0 and below 1"),
    (GPT, "data.sequence_length=65", "at most model.max_length, 64"),
    (GPT, "evaluation.sequence_length=65", "at most model.max_length, 64"),
    (GPT, "evaluation.context=carry", "use window or sliding"),
    (GPT, "data.batching=streams", "use crops, windows or packed"),
    (LSTM, "model.hidden_dim=128 model.tie_embeddings=true model.model_dim=256", "hidden_dim, 128"),
    (LSTM, "model.forget_bias=nan", "finite"),
    (LSTM, "model.cell=gru model.forget_bias=2", "only for lstm, layer_norm_lstm, not gru"),
    (LSTM, "model.cell=min_gru model.chrono_length=9", "gru_reset_before, not min_gru"),
    (LSTM, "model.cell=min_gru model.uniform_init=0.1", "gru, gru_reset_before, not min_gru"),
    (LSTM, "model.uniform_init=0", "above 0"),
    (LSTM, "model.cell=lstn", "is not known; did you mean 'lstm'?"),
    (LSTM, "model.chrono_length=2", "must be 3 or more, or none"),
    (LSTM, "model.uniform_init=0.1 model.forget_bias=0.5", "is not read with model.uniform_init"),
    (LSTM, "model.block=residual model.uniform_init=0.1", "needs model.block=plain"),
    (LSTM, "optimizer.decay_start=-1", "0 or more"),
    (LSTM, "model.num_heads=2", "only for aaren, not lstm"),
    (LSTM, "model.max_radius=0.99", "only for lru, not lstm"),
    (NGRAM, "model.order=0", "from 1 to 64"),
    (NGRAM, "model.order=65", "from 1 to 64"),
    (LSTM, "data.name=python_doc", "did you mean 'python_docs'?"),
    (LSTM, "data.name=wikitext", "did you mean 'wikitext2'?"),
    (LSTM, "data.name=enwik8", "one of: python_docs, python_source, text_file, wikitext2"),
    (LSTM, "data.name=tfds", "tfds:NAME"),
    (LSTM, "data.batch_size=0", "1 or more"),
    (LSTM, "data.name=text_file data.path=none", "data.name=text_file needs your files here"),
    (LSTM, "data.path=a.txt", "only for data.name=text_file or wikitext2 or irish_abc or abc"),
    (LSTM, "data.name=text_file data.path=a.txt data.train_path=b.txt", "one of the two"),
    (LSTM, "data.name=text_file data.train_path=b.txt data.validation_path=none", "next to"),
    (LSTM, "data.name=text_file data.path=a.txt data.validation_fraction=0", "above 0"),
    (LSTM, "data.name=text_file data.path=", "must be a path, or none"),
    (LSTM, "data.test_fraction=0.5 data.validation_fraction=0.5", "less than 1"),
    (LSTM, "data.batching=buckets training.steps_per_call=2", "must be 1"),
    (LSTM, "data.vocab_size=9", "only for the tokenizers word, bpe, huggingface, not character"),
    (LSTM, "data.feature=a,,b", "the name of a text feature, or of several"),
    (LSTM, "data.tokenizer=word data.vocab_size=2", "3 or more with tokenizer=word"),
    (LSTM, "data.tokenizer=bpe data.vocab_size=255", "256 or more with tokenizer=bpe"),
    (LSTM, "data.tokenizer=bpe data.vocab_size=none", "the number of tokens for bpe to learn"),
    (LSTM, "data.tokenizer=bpe data.vocab_size=300 data.min_count=2", "word, not bpe"),
    (LSTM, "data.tokenizer=word data.min_count=0", "1 or more"),
    (LSTM, "data.tokenizer=word data.unknown_symbols=false", "word, which has <unk>"),
    (
        LSTM,
        "data.tokenizer=word data.tokenizer_path=x",
        "tokenizer=huggingface or run, not word",
    ),
    (
        LSTM,
        "data.tokenizer=run data.tokenizer_path=none",
        "tokenizer=run needs a work directory here",
    ),
    (LSTM, "data.tokenizer=run data.tokenizer_path=x data.vocab_size=9", "not run"),
    (LSTM, "data.tokenizer=word training.best_metric=bits_per_byte", "loses nothing"),
    (LSTM, "task.label_smoothing=1", "at least 0 and below 1"),
    (BERT, "task.mask_rate=0", "above 0 and below 1"),
    (BERT, "task.mask_share=1.5", "from 0 to 1"),
    (BERT, "task.mask_share=0.8 task.random_share=0.3", "with task.mask_share=0.8 must be 1"),
    (BERT, "evaluation.context=carry", "a bert looks both ways and has none; use window"),
    (BERT, "evaluation.context=sliding", "a bert looks both ways; use window"),
    (BERT, "data.batching=streams", "a bert looks both ways and has none"),
    (GPT, "evaluation.coverage_penalty=0.1", "must be 0: this gpt gives no weights of attention"),
    (BERT, "training.best_metric=bits_per_byte", "is not a metric of task.kind=masked"),
    (LSTM, "optimizer.peak_lr=0", "above 0"),
    (LSTM, "optimizer.peak_lr=inf", "above 0"),
    (LSTM, "optimizer.final_lr=0.1", "at most optimizer.peak_lr, 0.001"),
    (LSTM, "optimizer.warmup_steps=-1", "0 or more"),
    (LSTM, "optimizer.schedule=wsd optimizer.decay_steps=901", "optimizer.warmup_steps, 900"),
    (LSTM, "optimizer.warmup_steps=1001", "at most training.num_steps, 1000"),
    (LSTM, "optimizer.decay_factor=0", "above 0 and at most 1"),
    (LSTM, "optimizer.decay_every=0", "1 or more"),
    (LSTM, "optimizer.beta2=1", "at least 0 and below 1"),
    (LSTM, "optimizer.clip_norm=0", "above 0"),
    (LSTM, "optimizer.weight_decay=-1", "0 or more"),
    (LSTM, "optimizer.frozen=head//bias", "must be a path of parameters"),
    (LSTM, "optimizer.lr_scales=head=x", "a number above 0"),
    (LSTM, "training.init_from=runs/a@bst", "did you mean 'best'?"),
    (NGRAM, "optimizer.frozen=head", "an ngram is fitted, not trained"),
    (NGRAM, "training.init_from=runs/a", "an ngram is fitted, not trained"),
    (LSTM, "training.seed=-1", "from 0 to 4294967295"),
    (LSTM, "training.seed=4294967296", "from 0 to 4294967295"),
    (LSTM, "training.ema_decay=1", "above 0 and below 1, or none"),
    (LSTM, "training.steps_per_call=4 training.log_every=50", "near are 48 and 52"),
    (LSTM, "training.steps_per_call=20 training.evaluate_every=10", "near are 20"),
    (LSTM, "training.steps_per_call=3 training.log_every=3 training.num_steps=100", "99 and 102"),
    (LSTM, "training.accumulation_steps=3 data.batch_size=32", "1 x 1 x 3 = 3"),
    (LSTM, "training.mesh_data=3 training.mesh_fsdp=2 data.batch_size=32", "3 x 2 x 1 = 6"),
    (LSTM, "training.early_stopping_patience=0", "1 or more"),
    (LSTM, "training.best_metric=los", "did you mean 'loss'?"),
    (LSTM, "training.best_metric=bleu", "one of: loss, bits_per_byte, perplexity, accuracy"),
    (LSTM, "training.best_metric=bits_per_byte", "loses nothing"),
    (LSTM, "evaluation.num_crops=0", "1 or more"),
    (LSTM, "evaluation.baseline_order=0", "from 1 to 64"),
    (LSTM, "evaluation.baseline_order=65", "from 1 to 64"),
]


def refusal(config: ExperimentConfig) -> str | None:
    """What `validate` has against a config, None where that is nothing."""
    try:
        validate(config)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("model", "words", "allowed"), BAD, ids=[row[1] for row in BAD])
def test_the_line_names_field_value_and_what_is_allowed(
    model: type, words: str, allowed: str
) -> None:
    config = make(model())
    overrides = [tuple(word.split("=", 1)) for word in words.split()]
    apply_overrides(config, overrides, [])  # type: ignore[arg-type]
    with pytest.raises(UserError) as caught:
        validate(config)
    line = str(caught.value)
    assert "\n" not in line
    assert allowed in line
    name, value = overrides[-1]
    found = re.search(rf"--config\.{re.escape(name)}=(\S*): ", line)
    assert found, line
    shown = found.group(1).strip("'")
    assert shown == value or float(shown) == float(value) or shown == str(float(value))


@pytest.mark.parametrize(
    "config",
    [*map(make, MODELS), load_config("demo_images"), load_config("multi30k_lstm")],
    ids=lambda config: config.model.kind,
)
def test_every_number_is_bounded(config: ExperimentConfig) -> None:
    """A whole number of -1 and a number that is not a number are refused in every field."""
    for name, kind, _ in leaves(config):
        number = optional_of(kind) or kind
        if number in (int, float):
            path, _, field = name.rpartition(".")
            section = vars(operator.attrgetter(path)(config))
            before = section[field]
            section[field] = -1 if number is int else float("nan")
            try:
                with pytest.raises(UserError, match=re.escape(f"--config.{name}=")):
                    validate(config)
            finally:
                section[field] = before  # the model is shared


@pytest.mark.parametrize(
    ("section", "field", "value", "expected"),
    [
        ("model", "num_layers", 2.0, "an integer"),
        ("model", "num_layers", True, "an integer"),
        ("model", "use_bias", 1, "true or false"),
        ("model", "position", "rotary", "one of: none, learned"),
        ("optimizer", "peak_lr", "1e-3", "a number"),
        ("optimizer", "peak_lr", None, "a number"),
        ("data", "path", 3, "text, or none"),
    ],
)
def test_a_wrong_type_in_a_config_file(
    section: str, field: str, value: object, expected: str
) -> None:
    config = make()
    setattr(vars(config)[section], field, value)
    with pytest.raises(UserError, match=rf"--config\.{section}\.{field}=.*must be {expected}"):
        validate(config)


@pytest.mark.parametrize(
    ("section", "base"),
    [
        ("model", "a ModelConfig"),
        ("data", "a DataConfig"),
        ("task", "a TaskConfig"),
        ("optimizer", "an OptimizerConfig"),
        ("evaluation", "an EvaluationConfig"),
    ],
)
def test_a_section_of_another_class(section: str, base: str) -> None:
    config = make()
    setattr(config, section, config.training)
    with pytest.raises(UserError, match=rf"config: {section} must be {base}, not TrainingConfig"):
        validate(config)


def test_whole_numbers_do_for_numbers() -> None:
    config = make()
    config.optimizer.peak_lr = 1
    assert refusal(config) is None


def test_everything_wrong_is_told_at_once() -> None:
    config = make()
    apply_overrides(config, [("optimizer.peak_lr", "0"), ("training.seed", "-1")], [])
    with pytest.raises(UserError, match=r"optimizer\.peak_lr.*; and .*training\.seed"):
        validate(config)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_the_defaults_are_valid(model: object) -> None:
    assert refusal(make(model)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "task", "line"),
    [
        (BERT(), LanguageModelConfig(), "task.kind=language_model needs a causal model, not bert"),
        (LSTM(), MaskedLanguageModelConfig(), "needs a model that looks both ways, not recurrent"),
        (ViTConfig(), MaskedLanguageModelConfig(), "model.kind=vit reads image, not tokens"),
        (TransformerConfig(), LanguageModelConfig(), "model.kind=transformer reads a source"),
    ],
)
def test_models_and_tasks_that_do_not_go_together(
    model: ModelConfig, task: TaskConfig, line: str
) -> None:
    config = make(model)
    config.task = task
    with pytest.raises(UserError, match=line):
        validate(config)
