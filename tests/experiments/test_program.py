"""Common parts of the commands that need a separate process to test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments import program
from seqmodels.config.files import load_config
from seqmodels.config.training import MatmulPrecision

ROOT = Path(__file__).parents[2]

CTRL_C_IN_A_CALLBACK = """
import gc, os, signal, time
from experiments import program
from experiments.arguments import Command

# The suite may ignore Ctrl-C, as it does in the background of a shell.
signal.signal(signal.SIGINT, signal.default_int_handler)

def callback(phase, info):
    if phase == "stop":
        gc.callbacks.clear()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.001)

def run(arguments):
    gc.callbacks.append(callback)
    gc.collect()
    print("continues", flush=True)
    time.sleep(600)

program.end(program.main(Command("x", "doc", run, lambda values: None), []))
"""


def test_a_ctrl_c_during_a_callback_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C_IN_A_CALLBACK],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "continues\n"
    assert (done.returncode, done.stderr) == (130, "")


HALF_WRITTEN_ENTRIES = """
import pathlib, sys
import jax
from experiments.program import set_up_jax
from seqmodels.config.files import load_config

set_up_jax(load_config("demo_lstm"))
for _ in range(2):
    jax.clear_caches()
    assert jax.jit(lambda x: x + 1)(1) == 2
    entries = list(pathlib.Path(sys.argv[1]).glob("*-cache"))
    assert entries
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:20])
"""


def test_half_written_entries_of_the_compile_cache_are_compiled_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HALF_WRITTEN_ENTRIES, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_config_sets_the_precision_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default leaves it to jax, or to jax's variable."""
    config, name = load_config("demo_lstm"), "JAX_DEFAULT_MATMUL_PRECISION"
    before = jax.config.jax_default_matmul_precision

    def precision_of(setting: MatmulPrecision) -> str:
        config.training.matmul_precision = setting
        program.set_up_jax(config)
        x = jax.ShapeDtypeStruct((2, 2), jnp.float32)
        text = jax.jit(lambda x: x @ x).lower(x).as_text()
        return text.partition("precision = [")[2].partition(",")[0]

    try:
        monkeypatch.delenv(name, raising=False)
        wanted = {"default": "DEFAULT", "tensorfloat32": "HIGH", "float32": "HIGHEST"}
        assert {x.value: precision_of(x) for x in MatmulPrecision} == wanted
        monkeypatch.setenv(name, "float32")
        assert precision_of(MatmulPrecision.DEFAULT) == "HIGHEST"
    finally:
        jax.config.update("jax_default_matmul_precision", before)
