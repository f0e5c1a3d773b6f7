"""Warning about an accelerator that jax does not use."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import program

TPU_NAMES = ("TPU_NAME", "TPU_WORKER_ID", "TPU_ACCELERATOR_TYPE")


@pytest.fixture(autouse=True)
def no_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TPU_NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("device", ["nvidia0", "kfd", "accel0"])
def test_device_files_are_found(tmp_path: Path, device: str) -> None:
    assert program.find_accelerator(tmp_path) is None
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia-caps").touch()
    assert program.find_accelerator(tmp_path) is None
    (tmp_path / "dev" / device).touch()
    assert program.find_accelerator(tmp_path) == f"/dev/{device}"


@pytest.mark.parametrize("name", TPU_NAMES)
def test_tpu_metadata_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0")
    assert program.find_accelerator(tmp_path) == f"${name}"


@pytest.mark.parametrize(("platforms", "warns"), [("", True), ("cpu", False), ("cuda,cpu", False)])
def test_the_warning(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    platforms: str,
    warns: bool,
) -> None:
    monkeypatch.setattr(program, "find_accelerator", lambda: "/dev/nvidia0")
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    program.show_devices()
    told = capsys.readouterr().err
    assert "devices: " in told
    assert ("warning: this machine has an accelerator (/dev/nvidia0)" in told) == warns
