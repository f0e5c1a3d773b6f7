"""Wrong versions of drawn scenes, of images as a source, and of captions."""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.mutants.tasks import folder

SCENES = "data.test_scenes"
CAPTIONS = {
    "patches do not know their place": Mutant(
        "layers.source:ImageSteps.__call__",
        *("x + jnp.broadcast_to(jnp.asarray(waves, x.dtype), x.shape)", "x"),
        "models.test_image_source:test_steps_are_patches_with_their_places",
    ),
    "a convolution sees the pixels of another place": Mutant(
        *("layers.patches:_neighbourhoods", "((0, 0), (1, 1), (1, 1)", "((0, 0), (0, 2), (1, 1)"),
        "models.test_image_source:test_a_convolutional_stem_is_its_equation",
    ),
    "combinations of the test split are trained on": Mutant(
        "data.datasets.scenes:combinations",
        *('"train": (test, None)', '"train": (validation, None)'),
        f"{SCENES}:test_held_out_combinations_are_never_trained_on_though_their_objects_are",
    ),
    "left is right and above is below": Mutant(
        *("data.datasets.scenes:_place", "relations % 2 == 1", "relations % 2 == 0"),
        f"{SCENES}:test_a_caption_says_what_is_drawn",
    ),
    "images of a table are known by their names alone": Mutant(
        "data.features.feature:ColumnSource.images",
        *("digests.append(files.digest())", "digests.append(split)"),
        *("tasks.test_captions:test_other_pixels_in_the_same_files_are_other_data", (folder,)),
    ),
    "words of a class count in any order": Mutant(
        "tasks.text_metrics:score_word_classes",
        *("[w for w in t.split() if w in chosen]", "sorted(w for w in t.split() if w in chosen)"),
        "tasks.test_captions:test_words_of_a_class_count_in_their_order",
    ),
}
