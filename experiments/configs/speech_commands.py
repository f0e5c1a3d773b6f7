"""Ten spoken commands, silence and other words, heard by a GRU or a Transformer encoder.

    python launch.py train --config=speech_commands --workdir=runs/commands     # or :encoder

The data are `tfds:speech_commands` (Warden, 2018, arXiv:1804.03209), 2.4 GB to download. TFDS needs
TensorFlow and pydub to prepare them, and the machine that trains needs neither. All sounds are kept
in memory, 5.5 GB; `--config.data.train_split=train[:20%]` takes a part.

Not run on the published data, which were not available where this was written: the path was tested
on a stand-in of a few sounds in their form.
"""

from __future__ import annotations

import dataclasses

from experiments.configs import tones
from experiments.configs._examples import classified_sounds
from seqmodels.config.experiment import ExperimentConfig

VARIANTS = ("gru", "encoder")


def get_config(variant: str) -> ExperimentConfig:
    data = classified_sounds(
        "tfds:speech_commands",
        16_000,
        tones.LENGTH,
        column="audio",
        batch_size=64,
        validation_split="validation",
        test_split="test",
    )
    return dataclasses.replace(tones.get_config(variant), data=data)
