"""Wrong versions of tokenizers and corpora, and of what a vocabulary of words asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.data import Batching
from seqmodels.config.training import EvaluationContext
from tests.mutants.mutant import Mutant

WORDS, OF_TRAIN = "data.test_words", ' if n.partition(".")[0] == "train"'
LAST = "parts - 1 - jnp.argmax(jnp.max(cut, axis=-1)[..., ::-1], axis=-1)"
TRAINED = "data.words:WordTokenizer.train"


def words(folder: Path) -> Any:
    from tests.data.test_words import make_config

    return make_config(folder)


def byte_pairs(folder: Path) -> Any:
    from tests.data.test_bpe import make_config

    return make_config(folder)


TEXT = {
    "the words of all splits are known": Mutant(
        *("data.token_store:_tokenise_all", OF_TRAIN, ""),
        *(f"{WORDS}:test_only_the_training_split_makes_the_vocabulary", (words,)),
    ),
    "BPE learns from all splits": Mutant(
        *("data.token_store:_tokenise_all", OF_TRAIN, ""),
        *("data.test_bpe:test_only_the_training_split_teaches_tokens", (byte_pairs,)),
    ),
    "the end of a line is no token": Mutant(
        *("data.words:_split", '.replace("\\n", f" {END_OF_LINE} ")', ""),
        f"{WORDS}:test_a_text_is_its_words_and_its_line_ends",
    ),
    "a word must occur once more than min_count": Mutant(
        *(TRAINED, "count >= min_count", "count > min_count"),
        *(f"{WORDS}:test_rare_words_are_left_out", (2, None, ["c", "b"])),
    ),
    "there is one word too many": Mutant(
        *(TRAINED, "vocab_size - len(_MARKS)", "vocab_size - len(_MARKS) + 1"),
        *(f"{WORDS}:test_rare_words_are_left_out", (1, 5, ["c", "b", "a"])),
    ),
    "words of one count stand as they came": Mutant(
        *(TRAINED, "sorted(frequent)", "sorted(frequent, key=lambda pair: pair[0])"),
        f"{WORDS}:test_a_text_is_its_words_and_its_line_ends",
    ),
    "the size of a vocabulary is not in the store's key": Mutant(
        *("data.token_store:open_tokens", '"vocab_size": settings.vocab_size,', ""),
        *(f"{WORDS}:test_every_setting_of_the_tokenizer_is_in_the_store_s_key", (words,)),
    ),
    "what shares a paragraph with another split is tested on": Mutant(
        *("data.datasets.built:hold_out", "if not leaks:", "if True:"),
        "data.test_python_docs:test_a_held_out_topic_that_leaks_is_trained_on",
    ),
    "the gradient of a bias is a mean": Mutant(
        *("ops.linear:_backward", "summed.astype", "(summed / gradient.shape[0]).astype"),
        "ops.test_linear:test_a_bias_is_added_and_its_gradient_is_the_sum_of_the_rows_s",
        ((3,),),
    ),
    "the target is not taken off the gradient": Mutant(
        *("ops.losses:_backward", "softmax - wanted", "softmax"),
        *("ops.test_losses:test_loss_and_gradient_are_the_definition_s", (0.0,)),
    ),
    "the last of equals is the most likely": Mutant(
        "ops.losses:most_likely",
        *("jnp.argmax(jnp.max(cut, axis=-1), axis=-1)", LAST),
        *("ops.test_losses:test_the_most_likely_class_is_the_first_of_equals", (1024,)),
    ),
    "the baseline forgets to back off": Mutant(
        "ops.ngram:log_probability",
        *('jnp.where(seen, tables["backoff"][node], 1.0)', "1.0"),
        *("ops.test_ngram:test_probabilities_sum_to_one", (5,)),
    ),
    "the learning rate falls a step early": Mutant(
        *("training.optimizers:make_schedule", "steps(u - 1)", "steps(u)"),
        "training.test_optimizers:test_without_warmup_or_delay_step_is_torch_s_step_lr",
    ),
    "a batch has the window that its phase does without": Mutant(
        *("data.sources:Windows._make_plan", ".any(axis=1).all()", ".any()"),
        *("data.test_sources:test_every_batch_has_a_target", (Batching.WINDOWS, 1)),
    ),
    "the batch size decides the number of streams": Mutant(
        *("data.contexts:_streams", "min(config.num_streams,", "min(config.batch_size,"),
        "conformance.test_evaluation:test_the_batch_size_changes_no_figure",
        ("aaren", EvaluationContext.CARRY),
    ),
    "the learning rate falls from the first epoch on": Mutant(
        *("training.optimizers:make_schedule", "config.decay_start,", "0,"),
        "training.test_optimizers:test_each_epoch_after_the_fourth_halves_the_rate",
    ),
    "biases start at zero in spite of uniform_init": Mutant(
        "models.initialize:_uniform",
        *("jax.random.uniform(k, x.shape, x.dtype, -bound, bound)", "x * bound"),
        "models.test_recurrent:test_uniform_init_is_that_of_every_parameter",
    ),
}
