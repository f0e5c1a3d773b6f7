"""Fixtures: a small run, and its undisturbed result, once per process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.runs import Setting, make_setting


@pytest.fixture(scope="session")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return make_setting(tmp_path_factory.mktemp("setting"))


@pytest.fixture(scope="session")
def undisturbed(setting: Setting) -> Path:
    workdir = setting.folder / "undisturbed"
    setting.finish(workdir)
    return workdir
