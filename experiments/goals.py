"""The goals: words, music, sentiment, translation; series, genes, pixels, sounds; diagnostics."""

from __future__ import annotations

from experiments import goals_diagnostics
from seqmodels.config.errors import UserError, suggest
from seqmodels.evaluation.goals import Goal, Measure

_TUTORIAL = "a public tutorial series"
_OTHERS = "English to German, BPE"


def _shakespeare(
    config: str, goal: float, published: float | None = None, source: str = ""
) -> Goal:
    """Loss on nanoGPT's validation part, on which the recipes were chosen."""
    name = config.replace(":", "_")
    return Goal(name, config, "loss", goal, published, source, split="validation")


def _fine_tuned(config: str) -> Goal:
    """Accuracy on SST-2 sentences, with or without masked language modelling before."""
    name = config.replace(":", "_")
    return Goal(name, config, "accuracy", None, split="validation", after="wikitext2_bert")


def _tunes(config: str) -> list[Goal]:
    """Loss on held-out tunes, and quality of sampled ones."""
    tunes = Measure.TUNES
    return [
        Goal(config, config, "loss", 1.45),
        Goal(f"{config}_tunes", config, "full", 0.8, measure=tunes),
        Goal(f"{config}_copies", config, "copied_whole", 0.0, measure=tunes),
    ]


GOALS: dict[str, Goal] = {
    goal.name: goal
    for goal in [
        _shakespeare("shakespeare_ngram", 1.53),
        _shakespeare("shakespeare_ngram:order7", 1.52),
        _shakespeare("shakespeare_lstm", 1.70),
        _shakespeare("shakespeare_lstm:2x256", 1.58),
        _shakespeare("shakespeare_gpt", 1.88, 1.88, "nanoGPT"),
        _shakespeare("shakespeare_gpt:muon", 1.88, 1.88, "nanoGPT"),
        _shakespeare("shakespeare_gpt:gpu", 1.4697, 1.4697, "nanoGPT"),
        _shakespeare("shakespeare_min_rnn:gru", 1.548, 1.548, "Feng et al., 2024"),
        _shakespeare("shakespeare_min_rnn:lstm", 1.555, 1.555, "Feng et al., 2024"),
        Goal("mr_bilstm", "mr_bilstm", "accuracy", 0.75, 0.761, "CNN-rand, Kim, 2014, ten folds"),
        Goal(
            *("sst2_bilstm", "sst2_bilstm", "accuracy", 0.83, 0.852),
            source="Flax's BiLSTM with attention",
            split="validation",
        ),
        Goal("order_lstm", "order_lstm", "accuracy", 0.99),
        Goal(
            *("ecg5000_gru", "ecg5000_gru", "accuracy", 0.93, 0.943),
            source="LSTM-FCN, Karim et al., 2018",
        ),
        Goal("splice", "splice", "accuracy", 0.94, num_folds=10),
        Goal(
            *("proteins", "proteins", "accuracy", None, 0.643),
            source="Qian and Sejnowski, 1988, Q3",
        ),
        Goal("digits_vit", "digits_vit", "accuracy", 0.96),
        Goal("digits_lstm", "digits_lstm", "accuracy", 0.93),
        Goal("mnist_rows", "mnist_rows", "accuracy", 0.98),
        Goal("pass_fail", "pass_fail", "accuracy", None),
        Goal("tones", "tones", "accuracy", 0.99),
        Goal("spoken_digits", "spoken_digits", "character_error_rate", 0.01),
        Goal("lines", "lines", "character_error_rate", 0.02),
        Goal("captions", "captions", "exact_match", 0.95),
        Goal("stories", "stories", "accuracy", None),
        Goal("stories_lstm", "stories:lstm", "accuracy", None),
        Goal("wikitext2_bert", "wikitext2_bert", "accuracy", None),
        _fine_tuned("wikitext2_bert:sst2"),
        _fine_tuned("wikitext2_bert:sst2_from_nothing"),
        Goal("dates", "dates", "exact_match", 0.99),
        Goal("numbers", "numbers", "exact_match", 0.99),
        Goal("music_lab", "music_lab", "loss", 1.0, measure=Measure.TRAINING),
        *_tunes("irish_gru"),
        *_tunes("irish_gpt"),
        Goal("etth1_linear", "etth1_linear", "mse", 0.375, 0.374, "NLinear"),
        Goal("etth1_lstm", "etth1_lstm", "mse", 0.45, 1.135, "GRU, recursive, SegRNN's paper"),
        Goal("etth1_segment", "etth1_segment", "mse", 0.40),
        Goal("etth1_patch", "etth1_patch", "mse", 0.385, 0.370, "PatchTST"),
        Goal("ball", "ball", "end_error", 0.02),
        Goal("demo_forecast", "demo_forecast", "crps", None),
        Goal("multi30k_lstm", "multi30k_lstm", "bleu", 13.8, 13.8, _TUTORIAL),
        Goal("multi30k_gru", "multi30k_gru", "bleu", 20.6, 20.6, _TUTORIAL),
        Goal("multi30k_bahdanau", "multi30k_bahdanau", "bleu", 28.3, 28.3, _TUTORIAL),
        Goal("multi30k_luong", "multi30k_luong", "bleu", None),
        Goal("multi30k_transformer", "multi30k_transformer", "bleu", 36.5, 36.5, _TUTORIAL),
        Goal("multi30k_bahdanau_bpe", "multi30k_bahdanau:bpe", "bleu", 39.0, 39.0, _OTHERS),
        Goal("multi30k_transformer_bpe", "multi30k_transformer:bpe", "bleu", 41.0, 41.0, _OTHERS),
        *goals_diagnostics.GOALS,
    ]
}


def find_goal(name: str | None) -> Goal:
    """Returns a goal by name; raises UserError with the nearest name."""
    if name is None:
        raise UserError(f"reproduce: name a goal, one of: {', '.join(GOALS)} (see --list)")
    if name not in GOALS:
        raise UserError(f"no goal {name!r}{suggest(name, GOALS)}")
    return GOALS[name]
