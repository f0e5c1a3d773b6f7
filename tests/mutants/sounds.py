"""Wrong versions of sounds, and of transcripts by CTC."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.mutant import Mutant


def folder(path: Path) -> Path:
    return path


MEL, CTC = "ops.test_log_mel", "decoding.test_ctc"
FILES, TASK = "data.test_sounds", "tasks.test_transcription"
ENERGIES = f"{MEL}:test_energies_follow_the_equation"
SOUNDS = {
    "the window is symmetric": Mutant(
        *("ops.log_mel:log_mel", "np.arange(size) / size)", "np.arange(size) / (size - 1))"),
        ENERGIES,
    ),
    "the amplitude counts instead of the power": Mutant(
        *("ops.log_mel:log_mel", "spectrum.real**2 + spectrum.imag**2", "jnp.abs(spectrum)"),
        ENERGIES,
    ),
    "triangles have a height of 1": Mutant(
        *("ops.log_mel:mel_filters", "* 2 / (high - low)", "* 1.0"),
        ENERGIES,
    ),
    "frames are those of the first sound": Mutant(
        *("data.features.sound:EncodedSounds.part", "np.repeat(self.offsets[at], steps)", "0"),
        *(f"{FILES}:test_frames_overlap_and_whole_ones_count", (folder,)),
    ),
    "bytes are around 127": Mutant(
        *("data.sound_file:make_recording", "(found - 128) / 128", "(found - 127) / 128"),
        *(f"{FILES}:test_files_of_every_depth_are_read_and_mixed", (folder,)),
    ),
    "equal neighbours need no blank between them": Mutant(
        *("decoding.ctc:search", "b if symbol == last else mass", "mass"),
        f"{CTC}:test_a_search_that_drops_nothing_is_the_sum_over_all_alignments",
    ),
    "a repeated symbol is another one": Mutant(
        *("decoding.ctc:search", "own[1] = _add(own[1], n + frame[last])", "pass"),
        f"{CTC}:test_a_search_that_drops_nothing_is_the_sum_over_all_alignments",
    ),
    "the loss may be below 0": Mutant(
        *("ops.ctc:ctc_loss", "jnp.maximum(nats, 0.0)", "nats"),
        f"{CTC}:test_a_sure_transcript_costs_0_and_no_less",
    ),
    "padding is read by the loss": Mutant(
        *("ops.ctc:ctc_loss", "1.0 - valid", "jnp.zeros(valid.shape)"),
        f"{CTC}:test_the_loss_is_the_sum_over_all_alignments_whatever_is_in_the_padding",
    ),
    "a frame for each symbol is enough": Mutant(
        "tasks.transcription:Transcription.check_rows",
        *("len(text) + (text[1:] == text[:-1]).sum()", "len(text)"),
        f"{TASK}:test_a_transcript_needs_a_blank_between_equal_neighbours",
    ),
    "replacing costs as much for equal symbols": Mutant(
        *("tasks.error_rates:edit_distance", "row[:-1] + differs", "row[:-1] + 1"),
        f"{TASK}:test_distances_and_rates_are_the_definition_s",
    ),
}
