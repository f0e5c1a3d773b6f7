"""The rules of the suite: annotations are checked, warnings are errors, ranks are not promoted."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook


def _quick_to_compile() -> str:
    """Flags for programs that run once each: optimizing them takes longer than running them."""
    flags = [
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_parallel_codegen_split_count=1",  # whose parts are put together again
    ]
    if version("jaxlib").startswith("0.10."):  # later ones do not know it, and refuse to start
        flags.append("--xla_cpu_use_fusion_emitters=false")
    return " ".join(flags)


os.environ.setdefault("XLA_FLAGS", _quick_to_compile())
# The same code with a compiler or without; the tests of native/ turn the kernels on.
os.environ.setdefault("SEQMODELS_NATIVE", "0")
# Before anything imports them: every annotated call of these rooms is checked at run time.
_CHECKED = [f"seqmodels.{room}" for room in ("ops", "layers", "models", "tasks")]
_hook = install_import_hook(_CHECKED, "beartype.beartype")

import jax  # noqa: E402

from experiments.compile_cache import trim  # noqa: E402

_ROOT = Path(__file__).parents[1]
_MAPPINGS, _MOST_MAPPINGS = Path("/proc/self/maps"), 15_000
# Rooms whose tests run apart from the others, and under which marker.
_MARKED = {
    "browser": "browser",
    "faults": "hard",
    "mutants": "hard",
    "peers": "peers",
    "slurm": "slurm",
}
# Files that take longest: they start first, so that no worker waits for another at the end.
_SLOWEST = ("training/test_finetuning.py",)
# How many cases of a law `make test` runs, where they differ in a variant, a shape or a seed alone;
# `make test-all` runs them all. Conformance runs every law for every model.
_FIRST_CASES = {
    "decoding/test_beam.py": {
        "test_a_beam_of_one_is_greedy_decoding": 1,
        "test_neighbours_and_padding_change_nothing": 1,
    },
    "decoding/test_text_state.py": {
        "test_an_interruption_changes_no_token": 3,
        "test_a_prompt_may_follow_a_state": 2,
    },
    "decoding/test_unstacked.py": {"test_stacks_are_whole_again": 1},
    "decoding/test_unroll.py": {
        "test_cached_logits_equal_uncached": 1,
        "test_the_smallest_bounds": 1,
    },
    "decoding/test_text_ends.py": {"test_generation_ends_there_and_not_too_early": 1},
    "evaluation/test_evaluate.py": {
        "test_windows_equal_a_plain_loop": 1,
        "test_carry_equals_one_pass_over_the_text": 2,
    },
    "evaluation/test_examples.py": {"test_the_size_of_the_batches_changes_nothing": 1},
    "experiments/test_first_losses.py": {"test_the_first_losses_are_those_that_they_were": 2},
    "experiments/test_images_and_pairs.py": {
        "test_files_of_ones_own_are_evaluated_without_the_run_s_data": 1,
        "test_inspect_knows_the_next_batch": 1,
        "test_other_data_are_refused": 1,
        "test_rows_hold_the_throughput": 1,
        "test_dry_run_and_prepare_write_no_run": 1,
    },
    "interop/test_mistakes.py": {"test_a_kill_leaves_no_work_directory": 1},
    "golden/test_encoders.py": {"test_transformer_equals_pytorch": 1},
    "golden/test_interop.py": {"test_decoders": 2, "test_recurrent_layers_alone": 2},
    "golden/test_ngram_golden.py": {"test_equals_reference": 4},
    "layers/test_alignment.py": {
        "test_contexts_and_weights_are_the_equations_in_float64": 4,
        "test_gradients_are_finite_and_none_reaches_padding": 2,
        "test_nan_reaches_the_queries_that_see_it_alone": 2,
    },
    "layers/test_attention.py": {
        "test_a_decoder_block_is_its_three_parts_in_turn": 1,
        "test_self_attention_is_its_equations": 4,
    },
    "layers/test_cells.py": {
        "test_every_document_starts_from_the_learned_state": 1,
        "test_gates_start_orthogonal_and_as_small_as_glorot_says": 2,
    },
    "layers/test_embedding.py": {"test_models_fit_any_data": 3},
    "layers/test_linear_recurrent.py": {
        "test_cells_may_be_cut_and_documents_stand_alone": 3,
        "test_bfloat16_keeps_a_float32_state": 1,
        "test_a_learned_initial_state_has_a_gradient_from_every_document": 2,
    },
    "layers/test_recurrent.py": {"test_each_document_is_read_from_both_ends_by_itself": 1},
    "layers/test_recurrent_block.py": {
        "test_a_block_is_its_equations_in_float64": 1,
        "test_a_stack_may_be_cut_inside_documents_and_padding": 1,
    },
    "models/test_encoders.py": {
        "test_the_order_of_the_source_matters_where_there_are_positions": 1
    },
    "models/test_gpt.py": {"test_the_order_of_tokens_matters": 2},
    "models/test_ngram.py": {"test_cutting_changes_nothing": 2, "test_tiny_shakespeare": 1},
    "models/test_presets.py": {
        "test_a_preset_has_its_published_size": 4,
        "test_bert_with_its_pooler_has_its_published_size": 1,
        "test_minimal_networks_have_the_size_of_their_equations": 1,
        "test_transformers_have_the_size_of_their_equations": 1,
        "test_vision_transformers_have_their_published_sizes": 1,
    },
    "models/test_reads.py": {"test_a_model_runs_on_what_it_says": 4},
    "models/test_recurrent_encoder.py": {
        "test_last_is_the_state_of_each_direction_where_it_has_read_all": 1
    },
    "ops/test_attention.py": {
        "test_blocks_and_checkpoints_change_nothing": 3,
        "test_nan_reaches_the_queries_that_see_it_alone": 3,
    },
    "ops/test_convolution.py": {"test_a_causal_convolution_may_be_cut_anywhere": 2},
    "ops/test_positions.py": {"test_advance_counts_tokens_of_each_document_over_any_cut": 3},
    "ops/test_rnn.py": {"test_gradients_are_autodiff_s_the_restart_state_s_too": 4},
    "ops/test_scan.py": {
        "test_a_zero_stops_nan_wherever_it_stands": 12,
        "test_every_form_is_the_equation_and_its_gradient": 6,
        "test_running_softmax_is_the_masked_softmax": 4,
        "test_gradients_of_running_softmax_are_those_of_softmax": 2,
        "test_nan_reaches_no_other_document_of_running_softmax": 1,
    },
    "tasks/test_answers.py": {"test_neighbours_and_padding_change_no_class": 1},
    "tasks/test_tagging.py": {"test_neighbours_and_padding_change_no_label": 1},
    "training/test_longer.py": {"test_trained_longer_ends_with_the_bits_of_trained_at_once": 1},
    "training/test_step.py": {"test_micro_batches_are_weighted_by_their_tokens": 1},
}
# Threads that live as long as the process: pools of the libraries, kept on purpose.
_LASTING = ("pydevd", "execnet", "jax_", "Dummy", "asyncio", "ThreadPoolExecutor", "orbax")


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("SEQMODELS_CACHE_DIR", str(_ROOT / ".cache" / "data"))
    cache = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_ROOT / ".cache" / "xla"))
    if not hasattr(config, "workerinput"):  # once, before the workers start
        trim(Path(cache))
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Does not import what would be deselected: peers are large, and every worker collects."""
    if collection_path.parent == _ROOT / "tests":
        marker = _MARKED.get(collection_path.name)
        if marker and f"not {marker}" in config.option.markexpr:
            return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the rooms, and puts together what runs in one process, the slowest first."""
    order: dict[str, tuple[int, int]] = {}
    cases: Counter[tuple[Path, str]] = Counter()
    for item in items:
        path = item.path.relative_to(_ROOT / "tests")
        if path.parts[0] in _MARKED:
            item.add_marker(_MARKED[path.parts[0]])
        group = _group(item)
        item.add_marker(pytest.mark.xdist_group(group))
        name = getattr(item, "originalname", item.name)
        if first := _FIRST_CASES.get(path.as_posix(), {}).get(name):
            cases[path, name] += 1
            if cases[path, name] > first:
                item.add_marker(pytest.mark.grid)
        rank = _SLOWEST.index(group) if group in _SLOWEST else len(_SLOWEST)
        order.setdefault(group, (rank, len(order)))
    items.sort(key=lambda item: order[_group(item)])


def _group(item: pytest.Item) -> str:
    """What runs in one process: the tests of a file, for its fixtures; those of one conformance
    case, for what it compiles; the mutants of one test, for that test."""
    path = item.path.relative_to(_ROOT / "tests")
    if path.parts[0] in ("conformance", "mutants") and isinstance(item, pytest.Function):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if name := parameters.get("group", parameters.get("name")):
            return f"{path.parts[0]} {name}"
    return path.as_posix()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Drops compiled programs after a group, and before they are too many for the process.

    Each of them is mapped into memory a few times, and Linux allows 65,530 mappings: the next
    program to be compiled would end the process.
    """
    result = yield
    ends = nextitem is None or _group(nextitem) != _group(item)
    if ends or _num_mappings() > 2 * _MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()
    return result


def pytest_collection_finish() -> None:
    """What is there by now stays, so that collecting the garbage of tracing passes it over."""
    gc.set_threshold(100_000, 20, 100)
    gc.collect()
    gc.freeze()


def _num_mappings() -> int:
    return _MAPPINGS.read_bytes().count(b"\n") if _MAPPINGS.exists() else 0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A test ends the threads that it starts."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.daemon]
    left = [t for t in left if t.is_alive() and not t.name.startswith(_LASTING)]
    assert not left, left


_COMPILED = "/jax/core/compile/backend_compile_duration"
_compilations: list[str] = []
_listens: list[bool] = []


def _listen(event: str, _: float, **kwargs: Any) -> None:
    if event == _COMPILED:
        _compilations.append(str(kwargs))


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Every compilation since the fixture was asked for, those found in the cache on disk too."""
    if not _listens:
        jax.monitoring.register_event_duration_secs_listener(_listen)
        _listens.append(True)
    _compilations.clear()
    yield _compilations
