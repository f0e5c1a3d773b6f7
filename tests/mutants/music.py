"""Wrong versions of what reads tunes, deals them out, plays them and compares them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

VOICE, ABC = "music.abc_voice:Voice", "music.test_abc"
SHORT = ("C8|C7|C8|", "line 6, tune 1 'Test': bar 2 has 7/8 of 1")

MUSIC = {
    "a bar may be short anywhere": Mutant(
        "music.abc_notation:check_bars",
        *("bar.length > bar.metre or not at_edge", "bar.length > bar.metre"),
        *(f"{ABC}:test_problems", SHORT),
    ),
    "an accidental outlives its bar": Mutant(
        f"{VOICE}.close",
        *("self._opens, self._altered, self._sign = False, {}, sign", "self._sign = sign"),
        f"{ABC}:test_an_accidental_lasts_a_bar_in_every_octave",
    ),
    "a tune may last for ever": Mutant(
        *(f"{VOICE}.add", "minutes > MOST_MINUTES", "False"),
        *(f"{ABC}:test_problems", ("Z99|" * 19, "'Z99': the tune would last longer")),
    ),
    "a tempo may be slower than MIDI has": Mutant(
        *("music.abc_keys:parse_tempo", "_SLOWEST <= tempo", "0 < tempo"),
        *(f"{ABC}:test_problems", ("Q:1/4=3\nC8|", "Q: not a tempo: '1/4=3': must be 4 to")),
    ),
    "a tie forgets the accidental": Mutant(
        *(f"{VOICE}._pitch", "self._tied.get(place, by_bar)", "by_bar"),
        f"{ABC}:test_a_tie_carries_an_accidental_over_the_bar_line",
    ),
    "tuplets are as long in every metre": Mutant(
        "music.abc_tokens:parse_tuplet",
        *("3 if compound else 2", "2"),
        f"{ABC}:test_tuplets",
    ),
    "tunes of the same notes are in two splits": Mutant(
        "data.datasets.tunes:deal_tunes",
        *("[body_of(tune) for tune in tunes]", "list(tunes)"),
        "data.test_tunes:test_no_body_is_in_two_splits",
    ),
    "a tune that does not parse is trained on": Mutant(
        *("data.datasets.tunes:tunes_of", "broken and not keep_broken", "False"),
        "data.test_tunes:test_what_is_not_abc_is_refused",
    ),
    "a repeat is played once": Mutant(
        *("music.abc_repeats:_in_rounds", "at, turn = start, turn + 1", "turn = turn + 1"),
        *("music.test_judge:test_a_wav_is_as_long_as_the_tune", ("|:C8|D8:|", lambda p: p)),
    ),
    "repeats may last for ever": Mutant(
        *("music.abc_repeats:unfold", "minutes > MOST_MINUTES", "False"),
        *(f"{ABC}:test_problems", ("|:" + "Z99|" * 10 + "C8:|", "line 1, tune 1 'Test': with its")),
    ),
    "bars may be without number": Mutant(
        *("music.abc_repeats:unfold", "len(played) == MOST_BARS", "False"),
        *(f"{ABC}:test_problems", ("L:1/256\n" + "|:C|1-999 C:|" * 6, "more than 10,000 bars")),
    ),
    "a copy may run over the end of a tune": Mutant(
        *("music.copying:copied", '"\\0".join', '"".join'),
        "music.test_judge:test_copies",
    ),
    "an unfinished tune counts as whole": Mutant(
        *("music.judge:first_tune", "if not ends:", "if False:"),
        "music.test_judge:test_judging",
    ),
    "a double bar is a bar line": Mutant(
        *("music.abc_notation:BarLine.read", "double=len(lines) > 1", "double=len(lines) > 2"),
        *("music.test_standard:test_a_bar_mark_means_the_same_at_every_place", ("||",)),
    ),
    "a bar line that is written again replaces the first": Mutant(
        *(f"{VOICE}.close", "self._sign |= sign", "self._sign = sign"),
        *("music.test_standard:test_a_bar_mark_means_the_same_at_every_place", (":|",)),
    ),
    "all repeats are played twice": Mutant(
        "music.abc_repeats:_rounds",
        *("1 + max(bars[start].left.starts, bars[end - 1].right.ends)", "2"),
        *("music.test_standard:test_endings_and_repeats", ("|::C|D::|E", "CDCDCDE")),
    ),
    "text after a tune is music": Mutant(
        *("music.abc_text:cut_end", "return text[: gap.end()]", "return text"),
        "music.test_standard:test_a_tune_ends_at_an_empty_line",
    ),
    "an accidental holds for one octave": Mutant(
        *(f"{VOICE}._pitch", 'letter if reach == "pitch" else place', "place"),
        f"{ABC}:test_an_accidental_lasts_a_bar_in_every_octave",
    ),
    "a tie holds the whole chord": Mutant(
        *("music.performance:_spans", "if pitch in note.tied:", "if note.tied:"),
        "music.test_standard:test_a_tie_in_a_chord_holds_its_note_alone",
    ),
    "an overlay follows the bar": Mutant(
        *("music.performance:_spans", "start = at + note.start", "start = at"),
        "music.test_standard:test_an_overlay_sounds_from_the_beginning_of_the_bar",
    ),
    "a tempo counts from the next bar": Mutant(
        *(
            f"{VOICE}.set_tempo",
            "tempos.append((self._at, tempo))",
            "tempos.append((Fraction(0), tempo))",
        ),
        "music.test_standard:test_a_tempo_counts_from_where_it_is",
    ),
    "a tune forgets the header of its file": Mutant(
        *("music.abc_reader:read_tunes", "header = read_file_header(text)", "header = []"),
        "data.test_tunes:test_defaults_of_the_file_are_in_every_tune",
    ),
}
