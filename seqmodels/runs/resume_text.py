"""The state of a text of a run, to and from a file; see `state_file`."""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.decoding.prefill import choose_capacity, position_limit
from seqmodels.decoding.text_state import TextState
from seqmodels.runs.generate import writing_tokenizer
from seqmodels.runs.paths import flat, replaced
from seqmodels.runs.run import Run
from seqmodels.runs.state_file import (
    Owner,
    StateFile,
    check_owner,
    digest_arrays,
    digest_tokenizer,
    model_of,
    write_state,
)


def owner_of(run: Run) -> Owner:
    """The checkpoint that states of a run belong to."""
    params = {path: np.asarray(leaf) for path, leaf in flat(run.params).items()}
    return Owner(
        model_of(run.config),
        run.config.training.dtype.value,
        digest_tokenizer(writing_tokenizer(run)),
        run.step,
        digest_arrays(params),
    )


def save_text_state(path: Path, run: Run, state: TextState) -> None:
    """Writes the state of a text of a run; raises UserError if it cannot be written."""
    numbers = {"num_read": state.num_read, "num_drawn": state.num_drawn, "seed": state.seed}
    carry = {name: np.asarray(leaf) for name, leaf in flat(state.carry).items()}
    write_state(path, StateFile(owner_of(run), carry, state.tokens, numbers))


def restore_text_state(path: Path, run: Run, file: StateFile) -> TextState:
    """The state that a file holds.

    Args:
      path: of the file, for messages.

    Raises:
      UserError: it belongs to another checkpoint, or does not have the arrays of its model.
    """
    check_owner(path, file.owner, **vars(owner_of(run)))
    limit = position_limit(run.model)
    capacity = choose_capacity(1 if limit is None else limit, limit)
    start = functools.partial(run.model.apply, method="initial_carry")
    empty = jax.eval_shape(lambda params: start({"params": params}, 1, capacity), run.params)
    expected = {name: (leaf.shape, leaf.dtype) for name, leaf in flat(empty).items()}
    found = {name: (leaf.shape, leaf.dtype) for name, leaf in file.carry.items()}
    differing = sorted(n for n in {**expected, **found} if expected.get(n) != found.get(n))
    if differing or not len(file.tokens):
        raise UserError(
            f"--state_in={path}: damaged: {', '.join(differing) or 'tokens'}: not the arrays of "
            "this model's carry"
        )
    return TextState(replaced(empty, file.carry), file.tokens, **file.numbers)
