"""Models, cells, tasks, features and kinds of data by name."""

from __future__ import annotations

from seqmodels.registry.entries import CellEntry, Entry

MODELS: dict[str, Entry] = {
    "ngram": Entry(
        "seqmodels.models.ngram:Ngram",
        "seqmodels.config.models:NgramConfig",
        "n-gram with interpolated modified Kneser-Ney smoothing",
    ),
    "recurrent": Entry(
        "seqmodels.models.recurrent:Recurrent",
        "seqmodels.config.recurrent:RecurrentConfig",
        "stack of recurrent cells: RNN, LSTM, GRU, minGRU, minLSTM, LRU, Aaren",
    ),
    "recurrent_encoder": Entry(
        "seqmodels.models.recurrent_encoder:RecurrentEncoder",
        "seqmodels.config.recurrent:RecurrentEncoderConfig",
        "bidirectional recurrent layers with pooling",
    ),
    "seq2seq": Entry(
        "seqmodels.models.seq2seq:Seq2Seq",
        "seqmodels.config.recurrent:Seq2SeqConfig",
        "recurrent encoder-decoder with a fixed context or attention (Bahdanau, Luong)",
    ),
    "gpt": Entry(
        "seqmodels.models.gpt:GPT",
        "seqmodels.config.transformers:GPTConfig",
        "decoder-only Transformer with a key/value cache (GPT, Llama)",
    ),
    "transformer": Entry(
        "seqmodels.models.transformer:Transformer",
        "seqmodels.config.transformers:TransformerConfig",
        "encoder-decoder Transformer",
    ),
    "bert": Entry(
        "seqmodels.models.bert:BERT",
        "seqmodels.config.transformers:BERTConfig",
        "Transformer encoder over tokens or values",
    ),
    "vit": Entry(
        "seqmodels.models.vit:ViT",
        "seqmodels.config.transformers:ViTConfig",
        "Transformer encoder over the patches of an image",
    ),
    "aaren": Entry(
        "seqmodels.models.aaren:Aaren",
        "seqmodels.config.transformers:AarenConfig",
        "Transformer blocks with attention as a recurrence of constant state",
    ),
    "convolutional": Entry(
        "seqmodels.models.convolutional:Convolutional",
        "seqmodels.config.models:ConvolutionalConfig",
        "convolutional baselines: TCN, TextCNN",
    ),
    "window_linear": Entry(
        "seqmodels.models.window_linear:WindowLinear",
        "seqmodels.config.forecasting:WindowLinearConfig",
        "linear map of a window of a series (DLinear, NLinear)",
    ),
    "segment_rnn": Entry(
        "seqmodels.models.segment_rnn:SegmentRNN",
        "seqmodels.config.forecasting:SegmentRNNConfig",
        "recurrent cells over segments of a series (SegRNN)",
    ),
    "patch_transformer": Entry(
        "seqmodels.models.patch_transformer:PatchTransformer",
        "seqmodels.config.forecasting:PatchTransformerConfig",
        "Transformer encoder over patches of a series (PatchTST)",
    ),
    "mlp": Entry(
        "seqmodels.models.mlp:MLP",
        "seqmodels.config.models:MLPConfig",
        "hidden layers on each input separately",
    ),
    "perceptron": Entry(
        "seqmodels.models.perceptron:Perceptron",
        "seqmodels.config.models:PerceptronConfig",
        "one linear layer",
    ),
}

CELLS: dict[str, CellEntry] = {
    "rnn": CellEntry(
        "seqmodels.layers.cells:RNNCell",
        "Elman's network, with tanh",
        reads=("uniform_init",),
    ),
    "rnn_relu": CellEntry(
        "seqmodels.layers.cells:RNNCell",
        "Elman's network, with max(0, x)",
        reads=("uniform_init",),
        options={"relu": True},
    ),
    "irnn": CellEntry(
        "seqmodels.layers.cells:RNNCell",
        "rnn_relu that starts as the identity",
        options={"relu": True, "identity": True},
    ),
    "lstm": CellEntry(
        "seqmodels.layers.cells:LSTMCell",
        "long short-term memory",
        reads=("projection_dim", "forget_bias", "chrono_length", "uniform_init"),
    ),
    "layer_norm_lstm": CellEntry(
        "seqmodels.layers.cells:LayerNormLSTMCell",
        "LSTM with layer normalisation",
        reads=("forget_bias", "chrono_length"),
    ),
    "gru": CellEntry(
        "seqmodels.layers.cells:GRUCell",
        "gated recurrent unit, reset after the product (cuDNN)",
        reads=("chrono_length", "uniform_init"),
    ),
    "gru_reset_before": CellEntry(
        "seqmodels.layers.cells:GRUResetBeforeCell",
        "gated recurrent unit as published",
        reads=("chrono_length", "uniform_init"),
    ),
    "min_gru": CellEntry(
        "seqmodels.layers.linear_recurrent:MinGRUCell",
        "GRU whose gate does not see the state",
    ),
    "min_lstm": CellEntry(
        "seqmodels.layers.linear_recurrent:MinLSTMCell",
        "LSTM whose gates do not see the state",
    ),
    "lru": CellEntry(
        "seqmodels.layers.linear_recurrent:LRUCell",
        "linear recurrent unit, diagonal and complex",
        reads=("min_radius", "max_radius"),
    ),
    "aaren": CellEntry(
        "seqmodels.layers.linear_recurrent:AarenCell",
        "attention of a learned query, as a recurrence",
        reads=("num_heads",),
    ),
}

TASKS: dict[str, Entry] = {
    "language_model": Entry(
        "seqmodels.tasks.language_model:LanguageModel",
        "seqmodels.config.tasks:LanguageModelConfig",
        "next-token prediction",
    ),
    "masked_language_model": Entry(
        "seqmodels.tasks.masked_language_model:MaskedLanguageModel",
        "seqmodels.config.tasks:MaskedLanguageModelConfig",
        "prediction of masked tokens from both sides (BERT's 80/10/10)",
    ),
    "classification": Entry(
        "seqmodels.tasks.classification:Classification",
        "seqmodels.config.tasks:ClassificationConfig",
        "one class for a whole image or sequence",
    ),
    "translation": Entry(
        "seqmodels.tasks.translation:Translation",
        "seqmodels.config.tasks:TranslationConfig",
        "prediction of a target sequence from a source sequence, with teacher forcing",
    ),
    "transcription": Entry(
        "seqmodels.tasks.transcription:Transcription",
        "seqmodels.config.transcription:TranscriptionConfig",
        "the text of a sound or a line of writing, by CTC",
    ),
    "tagging": Entry(
        "seqmodels.tasks.tagging:Tagging",
        "seqmodels.config.tasks:TaggingConfig",
        "a label for each step of a sequence",
    ),
    "forecasting": Entry(
        "seqmodels.tasks.forecasting:Forecasting",
        "seqmodels.config.forecasting:ForecastingConfig",
        "the next steps of a series",
    ),
    "regression": Entry(
        "seqmodels.tasks.regression:Regression",
        "seqmodels.config.regression:RegressionConfig",
        "real numbers for a whole sequence",
    ),
}

FEATURES: dict[str, Entry] = {
    "tokens": Entry(
        "seqmodels.data.features.tokens:Tokens",
        "seqmodels.config.features:TokensConfig",
        "a text as tokens",
    ),
    "label": Entry(
        "seqmodels.data.features.label:Label",
        "seqmodels.config.features:LabelConfig",
        "one class per row",
    ),
    "tags": Entry(
        "seqmodels.data.features.tags:Tags",
        "seqmodels.config.features:TagsConfig",
        "a label for each step",
    ),
    "image": Entry(
        "seqmodels.data.features.image:Image",
        "seqmodels.config.features:ImageConfig",
        "an image",
    ),
    "values": Entry(
        "seqmodels.data.features.values:Values",
        "seqmodels.config.features:ValuesConfig",
        "a series of real values",
    ),
    "sound": Entry(
        "seqmodels.data.features.sound:Sound",
        "seqmodels.config.sound:SoundConfig",
        "a sound as log-mel frames",
    ),
    "windows": Entry(
        "seqmodels.data.features.windows:Windows",
        "seqmodels.config.forecasting:WindowsConfig",
        "windows of a series, and the steps after each",
    ),
}

DATA: dict[str, Entry] = {
    "text": Entry(
        "seqmodels.data.text:TextData",
        "seqmodels.config.data:TextDataConfig",
        "a stream of text",
    ),
    "examples": Entry(
        "seqmodels.data.example_data:ExampleData",
        "seqmodels.config.data:ExamplesDataConfig",
        "whole examples, one feature per role",
    ),
}
