"""Texts of a run over pairs: sources in, the best targets out; and how good those are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.training import EvaluationConfig
from seqmodels.data.datasets.pair_source import bring
from seqmodels.data.pairs import PairData
from seqmodels.decoding.beam import BeamSearch, check_beam
from seqmodels.decoding.prefill import position_limit
from seqmodels.evaluation.beam_settings import make_beam
from seqmodels.evaluation.text_metrics import WordByWord, score_by_length, score_texts
from seqmodels.runs.run import Run

_LEAST_WIDTH = 8


@dataclasses.dataclass(frozen=True)
class Translated:
    """One text that a source became.

    Attributes:
      text: the target.
      score: what it is ranked by; see `Beam`.
      log_probability: of the target and its end, in nats.
    """

    text: str
    score: float
    log_probability: float


class Translator:
    """Translates with one run; what is compiled stays with it.

    Every call has `batch_size` rows, and sources are padded to a power of two, so that few programs
    are compiled. No result depends on what else is translated, but for the rounding of other
    widths.

    Args:
      run: over pairs.
      beam: how is searched.
      batch_size: sources at once.

    Raises:
      UserError: the run has no pairs, or its model cannot be searched so.
    """

    def __init__(self, run: Run, beam: Beam, batch_size: int) -> None:
        if not isinstance(run.config.data, PairsDataConfig):
            raise UserError(f"--workdir={run.workdir}: its data are no pairs, nothing to translate")
        check_beam(run.model, beam, 1)
        self._run, self._beam, self.batch_size = run, beam, batch_size
        self._search = BeamSearch(run.model)
        self._limit, self._form = position_limit(run.model), run.config.data.form

    def encode(self, text: str) -> np.ndarray:
        """A source's tokens, in data.form; unknown symbols become <unk> where there is one.

        Raises:
          UserError: it is empty, has unknown symbols or is longer than the model's positions.
        """
        tokens = self._run.encoding.source.encode(bring(text, self._form), unknown=True)
        if not len(tokens):
            raise UserError("is empty; a source needs at least one token")
        if self._limit is not None and len(tokens) > self._limit:
            raise UserError(f"has {len(tokens)} tokens; the model has max_length = {self._limit}")
        return tokens

    def __call__(self, sources: Sequence[np.ndarray]) -> list[list[Translated]]:
        """The best targets of each of up to `batch_size` sources, best first."""
        width = max(_LEAST_WIDTH, 1 << (max(len(s) for s in sources) - 1).bit_length())
        width = width if self._limit is None else min(width, self._limit)
        # A row without a source of its own has one token, like any other source.
        tokens = np.zeros((self.batch_size, width), np.int32)
        segments = np.zeros((self.batch_size, width), np.int32)
        segments[:, 0] = 1
        for row, source in enumerate(sources):
            tokens[row, : len(source)], segments[row, : len(source)] = source, 1
        encoding = self._run.encoding
        prompts = [np.array([encoding.bos_id], np.int32)] * self.batch_size
        found = self._search(
            self._run.params,
            prompts,
            end=encoding.eos_id,
            beam=self._beam,
            source=(tokens, segments),
            never=encoding.bos_id,
        )
        return [
            [
                Translated(encoding.decode_target(h.tokens), h.score, h.log_probability)
                for h in hypotheses
            ]
            for hypotheses in found[: len(sources)]
        ]


def translate_split(run: Run, data: PairData, split: str) -> list[str]:
    """The best translation of each source of a split, in the order of the split."""
    translator = Translator(run, make_beam(run.config), run.config.evaluation.batch_size)
    sources = data.splits[split].sources()
    found = [""] * len(sources)
    # Sources of like length together: little padding, and few programs.
    order = np.argsort([len(source) for source in sources], kind="stable")
    for first in range(0, len(order), translator.batch_size):
        chosen = order[first : first + translator.batch_size].tolist()
        best = translator([sources[i] for i in chosen])
        for i, hypotheses in zip(chosen, best, strict=True):
            found[i] = hypotheses[0].text
    return found


def evaluate_translations(run: Run, data: PairData, split: str) -> dict[str, Any]:
    """Translates a split and compares with its targets as they are in data.form.

    Returns:
      What `score_texts` does, by_source_length (tokens; see `score_by_length`), beam_size,
      length_penalty, coverage_penalty, and translation_baselines: the source itself, `WordByWord`.
    """
    sources, targets = data.texts(split)
    config = run.config.evaluation
    found, (lengths, _) = translate_split(run, data, split), data.splits[split].lengths
    beam = make_beam(run.config)
    return {
        **score_texts(found, targets, config),
        "by_source_length": score_by_length(found, targets, lengths, config),
        "beam_size": beam.size,
        "length_penalty": beam.length_penalty,
        "coverage_penalty": beam.coverage_penalty,
        "translation_baselines": score_baselines(data.texts("train"), sources, targets, config),
    }


def score_baselines(
    train: tuple[list[str], list[str]],
    sources: list[str],
    targets: list[str],
    config: EvaluationConfig,
) -> list[dict[str, Any]]:
    """Scores what needs no training: model, bleu, chrf and exact_match of each."""
    writers = {"copy": str, "word by word, the most frequent": WordByWord(*train)}
    names = ("bleu", "chrf", "exact_match")
    rows = []
    for name, write in writers.items():
        scores = score_texts([write(source) for source in sources], targets, config)
        rows.append({"model": name, **{n: scores[n] for n in names}})
    return rows
