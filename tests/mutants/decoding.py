"""Wrong versions of beam search and of what is made of it."""

from __future__ import annotations

from tests.evaluation.test_scoring import RECURRENT
from tests.mutants.mutant import Mutant

SCORER, SCORING = "evaluation.scoring:Scorer", "evaluation.test_scoring"
BEAM = "evaluation.test_beam"
TREE = f"{BEAM}:test_a_beam_as_large_as_the_tree_finds_the_best_texts"
DECODING = {
    "a beam does not reorder its carry": Mutant(
        *("evaluation.beam:_advance", "lambda x: x[rows]", "lambda x: x"),
        *(TREE, ("recurrent", 0.0)),
    ),
    "the length of a hypothesis leaves out its end": Mutant(
        "evaluation.beam:_advance",
        *("totals / _penalty(state.step + 1, settings)", "totals / _penalty(state.step, settings)"),
        *(TREE, ("recurrent", 1.2)),
    ),
    "a search stops where something can still improve": Mutant(
        "evaluation.beam:_advance",
        *("_penalty(settings.max_tokens + 1, settings)", "_penalty(state.step + 1, settings)"),
        f"{BEAM}:test_the_search_stops_when_nothing_can_improve",
    ),
    "the end comes before the least length": Mutant(
        "evaluation.beam:_continuations",
        *("state.step >= settings.min_tokens", "state.step >= 0"),
        *(f"{BEAM}:test_hypotheses_keep_to_their_lengths",),
    ),
    "the first token of a text has no cost": Mutant(
        *(f"{SCORER}.__call__", "weights[row, first : len", "weights[row, first + 1 : len"),
        *(f"{SCORING}:test_the_probabilities_of_all_texts_of_a_length_sum_to_one", ("bca",)),
    ),
    "the padding behind a text is scored": Mutant(
        *(f"{SCORER}.__call__", "weights[row, first : len(tokens)]", "weights[row, first:]"),
        *(f"{SCORING}:test_neighbours_and_padding_change_no_score", (RECURRENT,)),
    ),
    "a source's padding is looked at": Mutant(
        "evaluation.translate:Translator.__call__",
        *("segments[row, : len(source)]", "segments[row]"),
        *("evaluation.test_translate:test_neighbours_and_padding_change_no_translation",),
        ("transformer",),
    ),
}
