"""data and fsdp over 8 CPU devices: the same losses as on one, moments sharded like parameters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.training import TrainingConfig
from seqmodels.training.mesh import make_mesh
from tests.tolerances import TOLERANCE


@pytest.mark.parametrize("model", ["lstm", "gpt"])
def test_losses_are_the_same_on_every_mesh(model: str) -> None:
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.mesh_program", model],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "rematerialization" not in done.stderr
    found = json.loads(done.stdout)
    for name, result in found.items():
        tolerance = TOLERANCE["mesh"]
        np.testing.assert_allclose(
            result["losses"], found["one"]["losses"], **tolerance, err_msg=name
        )
        assert result["moments_alike"], name
    assert found["fsdp"]["share"] < 0.3 < found["data"]["share"] == 1.0


def test_a_mesh_that_does_not_fit_names_the_numbers() -> None:
    with pytest.raises(UserError, match="1 x 3 x 1 does not fit"):
        make_mesh(TrainingConfig(mesh_fsdp=3), 12)
    with pytest.raises(UserError, match=r"data.batch_size = 5 .*use a multiple of 2"):
        make_mesh(TrainingConfig(accumulation_steps=2), 5)
