"""Programs of input pipelines, and of the training loop around the bare step."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import tempfile
from pathlib import Path
from typing import Any

import jax

from seqmodels.benchmark.program import Program
from seqmodels.benchmark.training import work_of
from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.data.pipeline import load_data
from seqmodels.distributed.mesh import mesh_context
from seqmodels.distributed.signals import StopRequest
from seqmodels.tasks.build import build_task
from seqmodels.training.feed import Feed
from seqmodels.training.loop import Trainer, prepare

_WORDS = 40_000
_EXAMPLES = "numbers"
"""A shipped config whose examples are generated."""
_NEVER = 10**9


def data(params: dict[str, Any], seed: int) -> Program:
    """Batches made on the host, or steps with and without the training loop.

    Args:
      params: {"what": "text" or "examples", "batch", "length"}: a batch per run. {"what": "loop" or
        "bare step", "steps", ..}, the rest of `training.work_of`: steps of a run over text that
        neither evaluates nor saves, by the loop of `train`, which makes the batches, reads each
        step's finite flag and logs; or the jitted step alone, whose batches are on the device.
    """
    folder = contextlib.ExitStack()
    place = Path(folder.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
    if params["what"] in ("text", "examples"):
        program = _batches(_data_config(params, place, seed), params["batch"])
    else:
        config = dataclasses.replace(
            work_of(params, seed).config, data=_text_config(params, place, seed)
        )
        program = _steps(config, params, place)
    inner = program.close
    program.close = lambda: (inner(), folder.close())[0]
    return program


def _text_config(params: dict[str, Any], place: Path, seed: int) -> TextDataConfig:
    """Words of random letters in a file."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("aeioulmnrst", k=rng.randint(2, 7))) for _ in range(500)]
    path = place / "text.txt"
    path.write_text(" ".join(rng.choices(words, k=_WORDS)), encoding="utf-8")
    return TextDataConfig(
        name="text_file",
        path=str(path),
        cache_dir=str(place / "cache"),
        batch_size=params["batch"],
        sequence_length=params["length"],
    )


def _data_config(params: dict[str, Any], place: Path, seed: int) -> ExperimentConfig:
    if params["what"] == "text":
        config = work_of({**params, "model": "lstm_lm", "layers": 1, "dim": 8}, seed).config
        return dataclasses.replace(config, data=_text_config(params, place, seed))
    config = load_config(_EXAMPLES)
    found = dataclasses.replace(
        config.data, cache_dir=str(place / "cache"), batch_size=params["batch"]
    )
    return dataclasses.replace(config, data=found)


def _batches(config: ExperimentConfig, rows: int) -> Program:
    source = load_data(config, build_task(config)).batches(config)
    first = jax.tree.leaves(source.batch(1))
    return Program(lambda n: source.batch(1 + n), lambda _: first, {"items": rows})


def _steps(config: ExperimentConfig, params: dict[str, Any], place: Path) -> Program:
    training = dataclasses.replace(
        config.training,
        num_steps=_NEVER,
        log_every=params["steps"],
        evaluate_every=_NEVER,
        checkpoint_every=_NEVER,
    )
    evaluation = dataclasses.replace(config.evaluation, sequence_length=params["length"])
    config = dataclasses.replace(config, training=training, evaluation=evaluation)
    steps = params["steps"]
    task = build_task(config)
    loaded = load_data(config, task)
    setup, _ = prepare(config, place, task, loaded)
    facts = {"items": steps * params["batch"] * params["length"]}
    if params["what"] == "bare step":
        feed = Feed(loaded.batches(config), setup.mesh, 1)
        batches = [feed(1 + n) for n in range(steps)]
        held = [setup.create_state(config.training.seed)]

        def bare(_: int) -> Any:
            with mesh_context(setup.mesh):
                for batch in batches:
                    held[0], _outputs = setup.call(held[0], batch)
            return jax.block_until_ready(held[0])

        return Program(bare, lambda _: [], facts, feed.close)
    open_now, stop = contextlib.ExitStack(), StopRequest()
    unread = io.StringIO()
    open_now.enter_context(contextlib.redirect_stderr(unread))  # the progress of the run
    open_now.enter_context(mesh_context(setup.mesh))
    trainer = open_now.enter_context(Trainer(config, place / "run", loaded, setup, None))

    def loop(_: int) -> Any:
        for _step in range(steps):
            trainer.advance(stop)
        return jax.block_until_ready(trainer.state)

    return Program(loop, lambda _: [], facts, open_now.close)
