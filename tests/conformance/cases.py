"""The models that the conformance suite runs on, and what they read.

To add a model: one line in `CONFIGS`, under its name in the registry. Further forms go to
`VARIANTS`; what a case reads and puts out to `SPECS`, where it is not tokens and the next token.
"""

from __future__ import annotations

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np

from seqmodels.config.forecasting import (
    PatchTransformerConfig,
    SegmentRNNConfig,
    WindowForm,
    WindowLinearConfig,
)
from seqmodels.config.models import (
    Activation,
    ConvolutionalConfig,
    ConvolutionForm,
    MLPConfig,
    ModelConfig,
    NgramConfig,
    PerceptronConfig,
    Pooling,
)
from seqmodels.config.recurrent import (
    InputEncoding,
    RecurrentBlock,
    RecurrentConfig,
    RecurrentEncoderConfig,
)
from seqmodels.config.transformers import (
    AarenConfig,
    BERTConfig,
    EmbeddingTying,
    GPTConfig,
    ImagePooling,
    ImagePosition,
    Norm,
    NormPlacement,
    Position,
    TransformerConfig,
    ViTConfig,
)
from seqmodels.models.build import build_model
from seqmodels.types import (
    ClassOutput,
    DataSpec,
    ImageInput,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)
from tests.conformance.seq2seq import SEQ2SEQ

B, T, S, V = 2, 7, 6, 11
CUT = 5  # all 16 ways to cut this many tokens are tried
LANGUAGE = DataSpec(TokenInput(V), VocabOutput(V))
CLASSES = DataSpec(TokenInput(V), ClassOutput(5, per_step=False))
TRANSLATION = DataSpec(TokenInput(V), VocabOutput(V), source=TokenInput(V - 2))

gpt = functools.partial(
    GPTConfig, num_layers=2, model_dim=12, num_heads=3, mlp_dim=20, max_length=T, dropout_rate=0.2
)
transformer = functools.partial(
    TransformerConfig,
    num_encoder_layers=1,
    num_decoder_layers=2,
    model_dim=12,
    num_heads=3,
    mlp_dim=20,
    max_length=T,
    dropout_rate=0.2,
    activation=Activation.GELU,
    tie_embeddings=EmbeddingTying.TARGET,
)
bert = functools.partial(
    BERTConfig,
    num_layers=1,
    model_dim=12,
    num_heads=3,
    mlp_dim=20,
    max_length=T,
    num_token_types=1,
    dropout_rate=0.2,
)
vit = functools.partial(
    ViTConfig,
    patch_size=4,
    num_layers=1,
    model_dim=12,
    num_heads=3,
    mlp_dim=20,
    dropout_rate=0.2,
)
recurrent = functools.partial(RecurrentConfig, model_dim=12, hidden_dim=10, dropout_rate=0.2)
recurrent_encoder = functools.partial(
    RecurrentEncoderConfig, model_dim=12, hidden_dim=10, dropout_rate=0.2
)
aaren = functools.partial(
    AarenConfig, num_layers=2, model_dim=12, num_heads=3, mlp_dim=20, dropout_rate=0.2
)
convolutional = functools.partial(
    ConvolutionalConfig, num_layers=2, model_dim=12, hidden_dim=10, dropout_rate=0.2
)

CONFIGS: dict[str, ModelConfig] = {
    "ngram": NgramConfig(order=3),
    "recurrent": recurrent(),
    "recurrent_encoder": recurrent_encoder(),
    "seq2seq": SEQ2SEQ["seq2seq"],
    "gpt": gpt(),
    "transformer": transformer(),
    "bert": bert(),
    "vit": vit(),
    "aaren": aaren(),
    "convolutional": convolutional(),
    "window_linear": WindowLinearConfig(
        form=WindowForm.DECOMPOSED, average_length=3, dropout_rate=0.2
    ),
    "segment_rnn": SegmentRNNConfig(
        segment_length=3, model_dim=12, hidden_dim=10, dropout_rate=0.2
    ),
    "patch_transformer": PatchTransformerConfig(
        patch_length=3, stride=2, num_layers=2, model_dim=12, num_heads=3, mlp_dim=20
    ),
    "mlp": MLPConfig(model_dim=12, hidden_dim=10, dropout_rate=0.2),
    "perceptron": PerceptronConfig(),
}
"""One config a registered kind: the whole suite runs on each."""

VARIANTS: dict[str, ModelConfig] = {
    "unigram": NgramConfig(order=1),
    "recurrent tied, 2 layers": recurrent(num_layers=2, hidden_dim=12, tie_embeddings=True),
    "recurrent RNN, one-hot": recurrent(cell="rnn", input_encoding=InputEncoding.ONE_HOT),
    "recurrent RNN of ReLU": recurrent(cell="rnn_relu"),
    "recurrent IRNN, learned": recurrent(cell="irnn", learned_initial_state=True),
    "recurrent LSTM, learned": recurrent(num_layers=2, learned_initial_state=True),
    "recurrent LSTM, projected": recurrent(
        num_layers=2, projection_dim=7, learned_initial_state=True
    ),
    "recurrent layer-norm LSTM": recurrent(cell="layer_norm_lstm", chrono_length=5),
    "recurrent GRU, learned": recurrent(cell="gru", learned_initial_state=True),
    "recurrent GRU, reset before": recurrent(cell="gru_reset_before", chrono_length=5),
    "recurrent_encoder GRU, 2 layers": recurrent_encoder(
        cell="gru", num_layers=2, input_encoding=InputEncoding.ONE_HOT, learned_initial_state=True
    ),
    "recurrent_encoder minGRU": recurrent_encoder(cell="min_gru"),
    "recurrent_encoder one way, attention": recurrent_encoder(
        bidirectional=False, pooling=Pooling.ATTENTION
    ),
    **{
        f"recurrent_encoder {pooling}": recurrent_encoder(pooling=pooling)
        for pooling in (Pooling.LAST, Pooling.MEAN, Pooling.MAX)
    },
    "recurrent minGRU, residual": recurrent(
        cell="min_gru",
        block=RecurrentBlock.RESIDUAL,
        num_layers=2,
        convolution_width=3,
        mlp_dim=20,
        tie_embeddings=True,
    ),
    "recurrent minLSTM, learned": recurrent(cell="min_lstm", learned_initial_state=True),
    "recurrent LRU": recurrent(cell="lru", num_layers=2),
    "recurrent LRU, learned": recurrent(cell="lru", learned_initial_state=True),
    "recurrent aaren, learned": recurrent(cell="aaren", num_heads=2, learned_initial_state=True),
    "aaren post, no positions": aaren(
        norm_placement=NormPlacement.POST, position=Position.NONE, use_bias=False
    ),
    "text_cnn": convolutional(form=ConvolutionForm.TEXT_CNN, num_layers=1, kernel_size=2),
    **{name: config for name, config in SEQ2SEQ.items() if name not in CONFIGS},
    "mlp of images": MLPConfig(
        num_layers=2, hidden_dim=10, activation=Activation.GELU, dropout_rate=0.2
    ),
    "perceptron of images": PerceptronConfig(),
    "gpt sinusoidal, post": gpt(position=Position.SINUSOIDAL, norm_placement=NormPlacement.POST),
    "gpt rotary, swiglu, biases": gpt(
        position=Position.ROTARY, activation=Activation.SWIGLU, use_bias=True
    ),
    "gpt remat, untied": gpt(remat=True, tie_embeddings=False, use_bias=True),
    "gpt 13 layers, scanned": gpt(num_layers=13),
    "gpt llama": gpt(
        num_heads=4,
        num_kv_heads=1,
        head_dim=6,
        norm=Norm.RMS,
        norm_epsilon=1e-6,
        position=Position.ROTARY,
        rotary_base=500.0,
        activation=Activation.SWIGLU,
    ),
    "gpt grouped heads, no positions": gpt(num_heads=6, num_kv_heads=3, position=Position.NONE),
    "gpt alibi": gpt(position=Position.ALIBI, activation=Activation.GELU_EXACT),
    "gpt window, rotary": gpt(window=3, num_heads=2, position=Position.ROTARY),
    "transformer pre, rotary, all tied": transformer(
        norm_placement=NormPlacement.PRE,
        final_norm=True,
        position=Position.ROTARY,
        num_heads=2,
        tie_embeddings=EmbeddingTying.ALL,
    ),
    "transformer alibi, untied": transformer(
        position=Position.ALIBI, tie_embeddings=EmbeddingTying.NONE, final_norm=True
    ),
    "bert classes": bert(),
    "bert tags": bert(remat=True, activation=Activation.GELU),
    "vit mean, sinusoidal": vit(
        pooling=ImagePooling.MEAN, position=ImagePosition.SINUSOIDAL_2D, remat=True
    ),
}
"""Further forms: the laws of chunks, packing and gradients run on each, most of them in
`make test-hard`."""

ALSO_QUICK = {
    "unigram",
    "recurrent minGRU, residual",
    "text_cnn",
    "gpt window, rotary",
    "bert classes",
}
"""Variants that `make test` runs too: what their kind's first form has nothing of."""

WINDOWS = DataSpec(ValueInput(3, T), ValueOutput(4, 2, 3))
IMAGES = DataSpec(ImageInput(8, 12, 3), ClassOutput(5, per_step=False))
SPECS: dict[str, DataSpec] = {
    "transformer": TRANSLATION,
    "transformer pre, rotary, all tied": dataclasses.replace(LANGUAGE, source=TokenInput(V)),
    "transformer alibi, untied": TRANSLATION,
    "text_cnn": CLASSES,
    **{f"recurrent_encoder {n}": CLASSES for n in (*Pooling, "one way, attention")},
    "bert classes": CLASSES,
    "bert tags": DataSpec(TokenInput(V), ClassOutput(5, per_step=True)),
    **dict.fromkeys(SEQ2SEQ, TRANSLATION),
    **dict.fromkeys(("window_linear", "segment_rnn", "patch_transformer"), WINDOWS),
    "mlp of images": IMAGES,
    "perceptron of images": IMAGES,
    "vit": IMAGES,
    "vit mean, sinusoidal": IMAGES,
}
"""What the data of a case are, where they are not `LANGUAGE`."""

ONE_DOCUMENT: set[str] = set(SEQ2SEQ)
"""Cases that take one document a row: what they know of a source belongs to the whole row."""

RECTIFIED: set[str] = {
    *("convolutional", "text_cnn", "recurrent_encoder max"),
    *("mlp", "mlp of images", "segment_rnn"),
    *("recurrent RNN of ReLU", "recurrent IRNN, learned"),
}
"""Cases with units that may be off for all of a few inputs (ReLU, maximum): some entries of a
parameter's gradient are then 0, though never all."""

MEMORYLESS: set[str] = {"unigram", "mlp", "perceptron"}
"""Cases whose outputs know no token before the one they stand at; of `unigram`, not even that."""

ALL = CONFIGS | VARIANTS


def spec_of(name: str) -> DataSpec:
    return SPECS.get(name, LANGUAGE)


def has_segments(name: str) -> bool:
    """Whether a row may have padding and several documents; images and windows are of one size."""
    inputs = spec_of(name).inputs
    return not isinstance(inputs, ImageInput) and getattr(inputs, "length", None) is None


def looks_back(name: str) -> bool:
    """Whether the model is causal, so that it has a carry."""
    return build_model(ALL[name], spec_of(name)).causal


TRAINED = [name for name, config in ALL.items() if not config.fitted]
CAUSAL = [name for name in ALL if looks_back(name)]
BOTH_WAYS = [name for name in ALL if name not in CAUSAL]
CAUSAL_KINDS = [name for name in CONFIGS if name in CAUSAL]
BOUNDED = [name for name in CAUSAL if not ALL[name].unbounded]
WINDOWED = [name for name in BOUNDED if getattr(ALL[name], "window", None)]

# Row 0 is packed, row 1 has padding inside a document and at its end.
PACKED = np.array([[1, 1, 1, 2, 2, 2, 2], [1, 1, 0, 1, 2, 0, 0]], np.int32)
DOCUMENTS = [(0, [0, 1, 2]), (0, [3, 4, 5, 6]), (1, [0, 1, 3]), (1, [4])]
PADDED = np.array([[1, 1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 0, 0]], np.int32)
# Every token and every position once at least, so that every parameter is used.
TOKENS = (np.arange(B * T).reshape(B, T) % V).astype(np.int32)
SOURCE = (np.arange(B * S).reshape(B, S) % (V - 2)).astype(np.int32)
SOURCE_PACKED = np.array([[1, 1, 2, 2, 2, 0], [1, 1, 1, 2, 2, 0]], np.int32)
SOURCE_PADDED = np.array([[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]], np.int32)


def inputs_of(spec: DataSpec) -> np.ndarray:
    """Tokens, values or images of B rows."""
    draw = np.random.default_rng(3)
    match spec.inputs:
        case TokenInput():
            return TOKENS
        case ValueInput(size, _):
            return draw.normal(size=(B, T, size)).astype(np.float32)
        case ImageInput(height, width, channels):
            return draw.normal(size=(B, height, width, channels)).astype(np.float32)


def edited(inputs: np.ndarray, row: int, place: int) -> np.ndarray:
    """The inputs with another one at one place."""
    changed = inputs.copy()
    if inputs.dtype == np.int32:
        changed[row, place] = (changed[row, place] + 3) % V
    else:
        changed[row, place] += 1.5
    return changed


def spoiled(inputs: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The inputs with what nothing may be made of at the places [B, T] that are True: NaN, or by
    turns tokens below and above every vocabulary."""
    if inputs.dtype != np.int32:
        return np.where(places[..., None], np.float32(np.nan), inputs)
    unknown = np.where(np.arange(inputs.shape[1]) % 2, np.int32(-1), np.int32(V + 1))
    return np.where(places, unknown, inputs)


def corpus() -> SimpleNamespace:
    """Tokens in which the rows of TOKENS occur, next to much else."""
    draw = np.random.default_rng(0)
    tokens = np.cumsum(draw.choice([1, 1, 1, 2, 5], 400)) % V
    return SimpleNamespace(tokens=tokens.astype(np.int32), offsets=np.array([0, 400]))
