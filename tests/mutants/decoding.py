"""Wrong versions of decoding, of the scores of what was decoded, and of goals."""

from __future__ import annotations

from seqmodels.config.training import BleuTokenizer
from tests.decoding.test_scoring import RECURRENT
from tests.mutants.mutant import Mutant

SCORER, SCORING = "decoding.scoring:Scorer", "decoding.test_scoring"
TRANSLATING, FORECASTS = "tasks.test_translator", "decoding.test_unroll_values"
STATES = "decoding.test_text_state"
BEAM, TEXTS = "decoding.test_beam", "decoding.test_text_ends"
TEXT_METRICS = "tasks.test_text_metrics"
WRITTEN = f"{TEXTS}:test_a_text_ends_where_it_contains_its_end"
TREE = f"{BEAM}:test_a_beam_as_large_as_the_tree_finds_the_best_texts"
GROWTH = "decoding.test_growing_cache"
GROWN = f"{GROWTH}:test_the_tokens_are_those_of_a_cache_that_is_large_from_the_start"
DECODING = {
    "a cache forgets as it grows": Mutant(
        "decoding.prefill:_grow",
        *("if new.shape == old.shape:", "if True:\n            return new\n        if False:"),
        *(GROWN, ("rotary",)),
    ),
    "what a row has read moves to the end of a larger cache": Mutant(
        "decoding.prefill:_grow",
        *("(0,) * new.ndim", "[n - o for n, o in zip(new.shape, old.shape)]"),
        *(GROWN, ("rotary",)),
    ),
    "a beam does not reorder its carry": Mutant(
        *("decoding.beam:_advance", "lambda x: x[rows]", "lambda x: x"),
        *(TREE, ("recurrent", 0.0)),
    ),
    "the length of a hypothesis leaves out its end": Mutant(
        "decoding.beam:_advance",
        *("totals / _penalty(state.step + 1, settings)", "totals / _penalty(state.step, settings)"),
        *(TREE, ("recurrent", 1.2)),
    ),
    "a search stops where something can still improve": Mutant(
        "decoding.beam:_advance",
        *("_penalty(settings.max_tokens + 1, settings)", "_penalty(state.step + 1, settings)"),
        f"{BEAM}:test_the_search_stops_when_nothing_can_improve",
    ),
    "certain tokens forget the finished hypotheses": Mutant(
        "decoding.beam:_certain_prefix",
        *("if np.isfinite(state.finished.scores[0, 0])", "if not live.size"),
        *(f"{BEAM}:test_certain_tokens_are_reported_before_the_search_ends", (0,)),
    ),
    "the tokens of one hypothesis are certain": Mutant(
        *(
            "decoding.beam:_certain_prefix",
            "(parts == parts[:1]).all(",
            "(parts == parts[:1]).any(",
        ),
        *(f"{BEAM}:test_certain_tokens_are_reported_before_the_search_ends", (40,)),
    ),
    "the end comes before the least length": Mutant(
        "decoding.beam:_continuations",
        *("state.step >= settings.min_tokens", "state.step >= 0"),
        *(f"{BEAM}:test_hypotheses_keep_to_their_lengths",),
    ),
    "the first token of a text has no cost": Mutant(
        *(f"{SCORER}.__call__", "weights[row, first : len", "weights[row, first + 1 : len"),
        *(f"{SCORING}:test_the_probabilities_of_all_texts_of_a_length_sum_to_one", ("bca",)),
    ),
    "a resumed text draws from the beginning": Mutant(
        "decoding.decoder:_Request.__init__",
        *("0 if state is None else state.num_drawn", "0"),
        *(f"{STATES}:test_an_interruption_changes_no_token", ("recurrent", 4)),
    ),
    "a state is that of the end of a block": Mutant(
        "decoding.decoder:_Request.__init__",
        *("1 if keeps and ending is not None and ending.can_end else _MAX_BLOCK", "_MAX_BLOCK"),
        f"{STATES}:test_the_state_is_that_of_the_end_of_the_text",
    ),
    "the padding behind a text is scored": Mutant(
        *(f"{SCORER}.__call__", "weights[row, first : len(tokens)]", "weights[row, first:]"),
        *(f"{SCORING}:test_neighbours_and_padding_change_no_score", (RECURRENT,)),
    ),
    "a source's padding is looked at": Mutant(
        "data.features.tokens:Tokens.batch",
        *("segments[row, : len(text)]", "segments[row]"),
        f"{TRANSLATING}:test_neighbours_and_padding_change_no_translation",
    ),
    "translations come in the order of their lengths": Mutant(
        "tasks.translation:translate_split",
        *("zip(chosen, best, strict=True)", "zip(range(first, len(order)), best, strict=False)"),
        f"{TRANSLATING}:test_a_split_is_translated_whole_and_in_order",
    ),
    "halves of a place are rounded down": Mutant(
        "tasks.text_metrics:WordByWord.__init__",
        *("(len(others) - 1) + last)", "(len(others) - 1))"),
        f"{TEXT_METRICS}:test_word_by_word",
    ),
    "words that punctuation parts are one": Mutant(
        "tasks.text_metrics:score_texts",
        *("len(bleu.tokenizer(text).split())", "len(text.split())"),
        f"{TEXT_METRICS}:test_without_four_words_there_is_no_bleu",
        (False,),
    ),
    "BLEU forgets the case it was asked for": Mutant(
        "tasks.text_metrics:make_bleu",
        *("BLEU(lowercase=config.lowercase, ", "BLEU("),
        f"{TEXT_METRICS}:test_scores_are_sacrebleu_s_own",
        (BleuTokenizer.WMT, True),
    ),
    "an answer gets the score of another": Mutant(
        "evaluation.choices:_score",
        *("nats[chosen] = ", "nats[first : first + len(chosen)] = "),
        "evaluation.test_choices:test_the_likely_answer_is_chosen_whatever_the_batch",
    ),
    "the beginning of a prompt that is too long is read": Mutant(
        "decoding.scoring:Scorer._from_one_place",
        *("np.s_[len(start) : len(start) + cut]", "np.s_[len(tokens) - cut :]"),
        "decoding.test_scoring:"
        "test_a_prompt_that_is_too_long_loses_its_beginning_for_all_its_texts",
    ),
    "shots are shown without their answers": Mutant(
        "data.choices:read_questions",
        *("q.prompt + q.choices[q.answer]", "q.prompt"),
        "data.test_choices:test_shots_stand_before_the_prompt_and_are_not_asked",
        (lambda folder: folder,),
    ),
    "a text may end one token too early": Mutant(
        *("decoding.sampling:forbid_end", "(index + 1 < least)", "(index + 2 < least)"),
        *(f"{TEXTS}:test_generation_ends_there_and_not_too_early", ("bpe",)),
    ),
    "an end may not begin in the prompt": Mutant(
        *("decoding.text_ends:GrowingTexts.__init__", "self._tail(prompt) for", "'' for"),
        *(WRITTEN, ("character",)),
    ),
    "an end is sought within each token alone": Mutant(
        *("decoding.text_ends:GrowingTexts._cut", "whole = before + text", "whole = text"),
        *(WRITTEN, ("word",)),
    ),
    "what a token has behind the end is written": Mutant(
        *(
            "decoding.text_ends:GrowingTexts._cut",
            "return text if at < 0 else",
            "return text if True else",
        ),
        f"{TEXTS}:test_what_a_token_has_behind_the_end_is_not_written",
    ),
    "half a character behind the end is written": Mutant(
        *("decoding.text_ends:GrowingTexts.finish", "~self.ended", "self.ended | True"),
        f"{TEXTS}:test_half_a_character_behind_the_end_is_not_written",
    ),
    "words at the beginning of a line have a space before them": Mutant(
        "decoding.text_ends:end_table",
        *("np.where(np.array([*at_start, True])[:, None], starting, within)", "within"),
        f"{TEXTS}:test_words_stand_behind_a_space_but_not_at_the_beginning_of_a_line",
    ),
    "a translation may have <bos> in it": Mutant(
        *("decoding.beam:_continuations", "(token != settings.never) & ", ""),
        f"{TRANSLATING}:test_the_log_probability_is_that_of_the_translation_and_its_end",
    ),
    "a goal must be passed": Mutant(
        *("evaluation.goals:Goal.is_met", "value >= self.goal", "value > self.goal"),
        "evaluation.test_goals:test_a_goal_is_met_from_its_own_side",
    ),
    "the best seed counts": Mutant(
        *("evaluation.goals:Goal.summarize", "statistics.fmean(values)", "max(values)"),
        "evaluation.test_goals:test_the_mean_of_the_seeds_counts",
    ),
    "the padding behind a line has a part in its class": Mutant(
        "tasks.classification:ClassAnswerer.__call__",
        *("jnp.asarray(part.segment_ids)", "jnp.ones_like(part.segment_ids)"),
        *("tasks.test_answers:test_neighbours_and_padding_change_no_class", ("bert",)),
    ),
    "the baseline has seen the split that it translates": Mutant(
        "tasks.translation:_score_baselines",
        *('seen = "train"', "seen = trial.split"),
        f"{TRANSLATING}:test_a_split_is_translated_whole_and_in_order",
    ),
    "a text that was found lacks its end": Mutant(
        "decoding.likely_text:find_likely_texts",
        *("np.concatenate([one.tokens, written_end])", "np.asarray(one.tokens)"),
        "decoding.test_likely_text:test_a_text_is_as_probable_as_it_says",
    ),
    "a choice does not know its index": Mutant(
        "decoding.unroll:unroll",
        *("choose(outputs, start + i, state)", "choose(outputs, i, state)"),
        *(f"{FORECASTS}:test_a_forecast_equals_reading_everything_again", ("lstm",)),
    ),
    "a forecast continues from the first observation": Mutant(
        *("decoding.unroll:unroll_values", "features[:, -1]", "features[:, 0]"),
        f"{FORECASTS}:test_a_linear_recurrence_by_hand",
    ),
}
