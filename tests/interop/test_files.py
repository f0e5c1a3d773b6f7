"""Files of weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqmodels.config.errors import UserError
from seqmodels.interop.files import open_tensors


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/hostname", "sub/in.safetensors"])
def test_a_shard_outside_its_folder_is_refused(shard: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    index = {"weight_map": {"wte.weight": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="outside the folder"), open_tensors(folder):
        pass
