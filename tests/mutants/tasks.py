"""Wrong versions of texts with classes, their figures and their baselines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.mutant import Mutant

SCORES, FRAME = "tasks.test_classification", "data.test_frame"
NUMBERS, MULTI30K, TABLE = "data.test_numbers", "data.test_multi30k", "data.test_table"
PARALLEL = "data.test_parallel_text"
STORIES, FINETUNING = "data.test_stories", "training.test_finetuning"


def folder(path: Path) -> Path:
    return path


def prepared_sets(path: Path) -> Path:
    """TFDS's own directory with the data sets of the test."""
    from tests.data.test_catalog_columns import prepare_sets

    return prepare_sets(path)


def animals(path: Path) -> Path:
    """A folder of images."""
    from tests.data.test_images import make_animals

    return make_animals(path / "animals")


BASELINES = "tasks.test_baselines"
TASKS = {
    "a window sees the neighbouring sequence": Mutant(
        "tasks.tag_baselines:around",
        *("steps.owners[at[inside]] == steps.owners[inside]", "at[inside] >= 0"),
        f"{BASELINES}:test_guesses_of_labels_are_the_definition_s",
    ),
    "weights of positions are not smoothed by the alphabet": Mutant(
        *("tasks.class_baselines:weigh_positions", "np.log(used + sizes)", "np.log(1 + sizes)"),
        f"{BASELINES}:test_position_weights_are_the_definition_s",
    ),
    "rows and columns of the confusions change places": Mutant(
        *("tasks.class_scores:count_confusions", "...i,...j->ij", "...i,...j->ji"),
        f"{BASELINES}:test_confusions_are_counted_without_padding_in_any_shape",
    ),
    "permuted pixels are put back the way they came": Mutant(
        *("data.image_steps:from_steps", "np.argsort(pixel_order(len(values)))"),
        "pixel_order(len(values))",
        "data.test_image_steps:test_steps_are_rows_or_pixels_in_order",
    ),
    "the second box of a motif is written over the first": Mutant(
        *("data.datasets.motifs:write", "(i, j + width + 1)", "(i, i + 1)"),
        "data.test_series_and_sequences:test_the_order_of_the_boxes_is_the_class_of_a_sequence",
    ),
    "a feature counts as often as it occurs": Mutant(
        *("tasks.naive_bayes:_features", "(features[1:] != features[:-1]) |", "True |"),
        f"{SCORES}:test_naive_bayes_is_the_definition_s",
    ),
    "neighbours of two texts are a pair": Mutant(
        *("tasks.naive_bayes:_features", "owners[1:] == owners[:-1]", "owners[1:] >= 0"),
        f"{SCORES}:test_naive_bayes_is_the_definition_s",
    ),
    "padding has a confidence": Mutant(
        *("tasks.class_scores:count_outcomes", "[None]) * weights[:, None]", "[None]) * 1.0"),
        *(f"{SCORES}:test_f1_and_calibration_are_the_definition_s_whatever_the_cut", ((6,),)),
    ),
    "a class that is nowhere counts as missed": Mutant(
        *("tasks.class_scores:summarize_outcomes", "scores[total > 0].mean()", "scores.mean()"),
        f"{SCORES}:test_a_class_that_neither_occurs_nor_is_predicted_is_in_no_mean",
    ),
    "a denial outside is forgotten": Mutant(
        *("data.datasets.order_sentences:write", "!= praise_first) != flips", "!= praise_first)"),
        "data.test_order_sentences:test_sentences_mean_what_is_not_denied",
    ),
    "the classes are not in the fingerprint": Mutant(
        "data.example_data:_fingerprint",
        *("digest.update(np.ascontiguousarray(array).data)", "pass"),
        *(f"{FRAME}:test_another_class_of_a_text_is_other_data", (folder,)),
    ),
    "the last row of an evaluation is dropped": Mutant(
        "data.examples:ExampleRows.batches",
        *("range(0, len(items), self._rows)", "range(0, len(items) - self._rows + 1, self._rows)"),
        *(f"{FRAME}:test_every_row_of_an_evaluation_counts_once", (folder, 3)),
    ),
    "equal texts are dealt out by their place": Mutant(
        *("data.datasets.own_files:deal_rows", "hash_fraction(key)", "hash_fraction(f'{row}')"),
        *(f"{TABLE}:test_one_file_is_dealt_by_a_hash_of_the_first_column", (folder,)),
    ),
    "a test fraction is cut although the test files are given": Mutant(
        "data.datasets.own_files:OwnFiles.of",
        *('config.test_fraction if "path" in paths else 0.0', "config.test_fraction"),
        f"{TABLE}:test_validation_is_dealt_from_the_training_file_where_only_a_test_path_is_given",
        (folder,),
    ),
    "copies of an image are in several splits": Mutant(
        *("data.image_file:digest_of", 'hashlib.file_digest(stream, "sha256").hexdigest()'),
        "str(file)",
        *("data.test_images:test_a_folder_is_dealt_by_the_content_of_its_files", (animals,)),
    ),
    "sides are not the columns asked for": Mutant(
        *("data.datasets.table:read_table", "names.index(part)", "[*groups].index(name)"),
        *(f"{TABLE}:test_the_columns_that_are_wanted_of_a_file_per_split", (folder,)),
    ),
    "a number of two parts is joined wrongly": Mutant(
        *("data.datasets.numbers:write", "number % 1000", "number % 100"),
        f"{NUMBERS}:test_words_mean_the_number",
    ),
    "held-out numbers are trained on": Mutant(
        *("data.datasets.numbers:split_numbers", "lot > 1", "lot > 0"),
        f"{NUMBERS}:test_no_number_is_in_two_splits",
    ),
    "images of 16 bits are clipped": Mutant(
        *("data.image_file:_to_bytes", "(values * 255 + 32767) // 65535", "values.clip(0, 255)"),
        *("data.test_images:test_gray_of_16_bits_is_scaled", (folder,)),
    ),
    "a picture is not turned upright": Mutant(
        *("data.image_file:read_pixels", "ImageOps.exif_transpose(opened)", "opened"),
        *("data.test_images:test_a_picture_is_turned_as_its_camera_was_held", (folder, "png")),
    ),
    "what is transparent shows what is below": Mutant(
        *("data.image_file:_to_bytes", "not image.has_transparency_data", "True"),
        *("data.test_images:test_what_is_transparent_is_white", (folder,)),
    ),
    "unknown words are known": Mutant(
        *("tasks.scores:score_tokens", "targets != outputs.unknown_id", "targets == targets[0, 0]"),
        "tasks.test_language_model:test_perplexity_with_and_without_unknown_words",
        (pytest.MonkeyPatch(),),
    ),
    "lines end where Unicode says": Mutant(
        *("files:split_lines", 'text.removesuffix("\\n").split("\\n")', "text.splitlines()"),
        *("test_files:test_a_line_ends_at_a_line_feed", ("a\u2028b\n", ["a\u2028b"])),
    ),
    "a word ends at its vowel sign": Mutant(
        "data.datasets.dataset:lower_words",
        *("_word_or_symbol().findall(", r"""re.findall(r"['\u2019]s\b|\w+|[^\w\s]", """),
        f"{MULTI30K}:test_lower_words",
    ),
    "coverage is asked of what aligns nothing": Mutant(
        *("config.tasks:TranslationConfig.conflicts", "not model.aligns", "False"),
        "config.test_validate_data:test_refused",
        ("multi30k_lstm", "evaluation.coverage_penalty=0.5", "gives no weights of"),
    ),
    "a run goes on by another run's tokenizer": Mutant(
        "runs.workdir:kept_features",
        *("(imported or TokenizerKind.RUN in kinds)", "imported"),
        "runs.test_workdir:test_a_run_resumes_with_its_own_copy_of_another_run_s_tokenizer",
        (folder,),
    ),
    "words keep their capitals": Mutant(
        *("data.datasets.dataset:lower_words", "text.lower()", "text"),
        f"{MULTI30K}:test_lower_words",
    ),
    "the form of a text is not in the fingerprint": Mutant(
        "data.features.tokens:_text_source",
        *("describe_form(forms[role])", '""'),
        *(f"{FRAME}:test_the_form_of_a_text_is_a_part_of_its_key_in_the_store", (folder,)),
    ),
    "the rule of words is not in the store's key": Mutant(
        *("data.datasets.dataset:describe_form", " {_word_or_symbol().pattern}", ""),
        *("data.test_features_tokens:test_a_text_is_tokenised_in_its_form", (folder,)),
    ),
    "a batch has the form that its rows happen to have": Mutant(
        *("tasks.task:Task.make_batch", 'aligned and features["targets"].is_aligned', "aligned"),
        *("data.test_example_data:test_targets_may_have_a_length_of_their_own", (folder,)),
    ),
    "tags of a text that is cut are not": Mutant(
        *("data.example_data:_keep", 'and "inputs" in columns', "and not columns"),
        "data.test_features_tags:test_a_text_that_is_cut_keeps_the_labels_of_its_tokens",
        (folder,),
    ),
    "a blank line is a table's header": Mutant(
        *("data.datasets.table:split_rows", "if row:", "if True:"),
        *(f"{TABLE}:test_bad_tables_are_named_with_the_line", (folder,)),
    ),
    "a field may be empty": Mutant(
        *("data.datasets.table:read_table", 'if "" in texts:', "if False:"),
        *(f"{TABLE}:test_bad_tables_are_named_with_the_line", (folder,)),
    ),
    "a class may have all its examples left out": Mutant(
        *("data.features.label:Label.check_kept", "if names and fresh:", "if False:"),
        *(f"{FRAME}:test_a_class_whose_examples_are_all_left_out_is_refused", (folder,)),
    ),
    "what is held out may be trained on too": Mutant(
        *("data.datasets.parallel_text:ParallelText._cut", "keys[row] not in later", "True"),
        *(f"{PARALLEL}:test_a_row_that_occurs_again_is_in_one_split", (folder,)),
    ),
    "sides may differ in length where each split has its own files": Mutant(
        *("data.datasets.parallel_text:ParallelText._read", "len(columns[name]) != count"),
        'len(columns[name]) not in (count, count + (field != "path"))',
        *(f"{PARALLEL}:test_columns_of_other_lengths_are_refused", (folder,)),
    ),
    "two answers may be the same": Mutant(
        *("data.choices:_parse", "len(set(choices)) < len(choices)", "False"),
        "data.test_choices:test_lines_that_are_no_questions_are_named",
        (folder, {"prompt": "a", "choices": ["b", "b"], "answer": 0}, "two of them are the same"),
    ),
    "only what the system refuses is told of an image": Mutant(
        *("data.image_file:read_pixels", "except Exception as error", "except OSError as error"),
        *("data.test_images:test_an_image_that_its_reader_does_not_know_is_told", (folder,)),
    ),
    "what is carried stays where it was taken": Mutant(
        *("data.datasets.stories:_World.find", "self.place[self.holder[what]]", "'park'"),
        f"{STORIES}:test_a_second_reader_gives_the_same_answers",
    ),
    "things are taken from afar": Mutant(
        *("data.datasets.stories:_World.happen", "self.lying.get(t, here) == here", "True"),
        f"{STORIES}:test_nobody_takes_what_is_not_there",
    ),
    "texts with classes are told nothing of other symbols": Mutant(
        "training.initialize_from:_notes",
        *("if ours is None or", "if ours is None or inputs.start.size or"),
        *(f"{FINETUNING}:test_other_symbols_are_reported_for_texts_with_classes_too", (folder,)),
    ),
    "white space around a text of the catalog is kept": Mutant(
        *("data.datasets.catalog:Catalog._read_text", "return text.strip()", "return text"),
        *("data.test_catalog_columns:test_the_texts_of_both_sides", (prepared_sets,)),
    ),
}
