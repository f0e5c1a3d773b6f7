"""Reader of tunes in ABC notation; see `abc_notation` for the supported part."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from seqmodels.music import abc_keys
from seqmodels.music.abc_notation import TUNE_END, BarLine, Tune, check_bars, check_repeats
from seqmodels.music.abc_repeats import parse_order, unfold
from seqmodels.music.abc_text import (
    Field,
    complete,
    cut_end,
    cut_tunes,
    read_file_header,
    split_fields,
)
from seqmodels.music.abc_tokens import (
    SYMBOLS,
    TOKEN,
    members,
    parse_endings,
    parse_length,
    parse_tuplet,
    unplayed_mark,
)
from seqmodels.music.abc_voice import Settings, Voice

_NEEDED = {"X": "number", "T": "title", "K": "key"}
_USER = re.compile(r"([H-Wh-w~])\s*=\s*(.+)")
_REACH = re.compile(r"propagate-accidentals\s*(.*)")


def read_tunes(text: str) -> list[Tune]:
    """Reads every tune of a file; problems are listed in `Tune.problems`."""
    header = read_file_header(text)
    return [read_tune(part, line, header) for line, part in cut_tunes(text)]


def read_tune(text: str, line: int = 1, header: Sequence[Field] = ()) -> Tune:
    """Reads one tune.

    Args:
      text: text of the tune; unless it begins with 'X:' its number is missing.
      line: line of the file at which it begins.
      header: fields of the file header.
    """
    text = cut_end(text)
    whole = complete(text, list(header)) if header else text
    return _Reader(Tune(whole, line)).read([*header, *split_fields(text, line)])


class _Reader:
    """Reader of one tune."""

    def __init__(self, tune: Tune) -> None:
        self._tune, self._line = tune, tune.line
        self._header = Settings()
        self._shifts: dict[str, int] = {}  # voice -> semitones by which its clef transposes
        self._symbols, self._part = set(SYMBOLS), ""
        self._order: tuple[str, int] = ("", 0)  # of the parts, and its line
        self._voices: dict[str, Voice] = {}
        self._name = ""  # of the voice that is being read

    def read(self, fields: list[Field]) -> Tune:
        """Reads all lines, then checks the tune."""
        seen: set[str] = set()
        for self._line, field, content in fields:
            if field:
                self._read_field(field, content, in_body="K" in seen)
                if "K" not in seen:
                    seen.add(field)
            elif "K" in seen:
                self._read_music(content)
            elif seen & {"X", "T"}:
                self._complain("header", f"music before K: ({content[:20]!r})")
                seen.add("K")
        self._finish(seen)
        return self._tune

    def _finish(self, seen: set[str]) -> None:
        tune = self._tune
        for name, voice in self._voices.items():
            voice.close(TUNE_END)
            if voice.bars:
                tune.voices[name] = voice.bars
        missing = [name for name in _NEEDED if name not in seen]
        if missing:
            what = " and ".join(f"{name}: ({_NEEDED[name]})" for name in missing)
            tune.complain("header", tune.line, f"has no {what}")
        bars = [bar for voice in tune.voices.values() for bar in voice]
        if not any(note.pitches for bar in bars for note in bar.notes) and not tune.problems:
            tune.complain("empty", tune.line, "has no notes")
        self._set_order({bar.part for bar in bars})
        for name, voice in tune.voices.items():
            where = f"voice {name[:20]!r}: " if len(tune.voices) > 1 else ""
            for kind, check in (("repeat", check_repeats), ("bar", check_bars)):
                for line, what in check(voice):
                    tune.complain(kind, line, where + what)
            try:
                unfold(voice, tune.order)
            except ValueError as error:
                tune.complain("repeat", tune.line, where + str(error))
        tune.problems.sort(key=lambda problem: problem.line)

    def _set_order(self, parts: set[str]) -> None:
        """Keeps the order of parts if the tune says which music each of them is."""
        order, line = self._order
        if set(order) <= parts:
            self._tune.order = order
        else:
            without = ", ".join(sorted(set(order) - parts))
            self._tune.unplayed[f"P:{order[:20]} (without music for {without})"] = line

    def _complain(self, kind: str, text: str) -> None:
        self._tune.complain(kind, self._line, text)

    @property
    def _voice(self) -> Voice:
        """The voice that is being read, with the settings of the header where it begins."""
        voice = self._voices.get(self._name)
        if voice is None:
            shift = self._shifts.get(self._name, self._header.shift)
            settings = dataclasses.replace(self._header, shift=shift)
            voice = Voice(settings, lambda text: self._complain("syntax", text))
            self._voices[self._name] = voice
            voice.part = self._part
        voice.line = self._line
        return voice

    def _read_field(self, field: str, content: str, *, in_body: bool) -> None:
        try:
            match field:
                case "X" | "T" | "+":
                    self._read_name(field, content)
                case "M" | "L" | "Q" | "K" | "I":
                    self._read_setting(field, content, in_body=in_body)
                case "U":
                    self._define(content)
                case "P":
                    self._read_part(content, in_body=in_body)
                case "V":
                    self._read_voice(content, in_body=in_body)
        except ValueError as error:
            self._complain("header", f"{field}: {error}")

    def _read_name(self, field: str, content: str) -> None:
        tune = self._tune
        if field == "+":
            raise ValueError("continues no field")
        if field == "T":
            tune.title = tune.title or content
        else:
            tune.number = content
            if not content.isdecimal():
                raise ValueError(f"not a number: {content[:20]!r}")

    def _read_setting(self, field: str, content: str, *, in_body: bool) -> None:
        """Reads a field that holds from here on; before any music it holds for every voice."""
        has_voice = in_body and bool(self._voices or self._name)
        settings = self._voice.settings if has_voice else self._header
        match field:
            case "M":
                settings.metre, settings.compound = abc_keys.parse_metre(content)
            case "L":
                settings.unit = abc_keys.parse_unit(content)
            case "Q":
                tempo = abc_keys.parse_tempo(content, settings.length_of_one) or settings.tempo
                settings.tempo = tempo
                if has_voice:
                    self._voice.set_tempo(tempo)
            case "K":
                key, shift = abc_keys.parse_key(content), abc_keys.parse_shift(content)
                settings.key = settings.key if key is None else key
                settings.shift = settings.shift if shift is None else shift
            case "I":
                match = _REACH.fullmatch(content)
                if match is not None:
                    if match.group(1) not in ("not", "octave", "pitch"):
                        raise ValueError(f"{content[:40]!r}: must be not, octave or pitch")
                    settings.reach = match.group(1)

    def _define(self, content: str) -> None:
        """Reads U:, such as 'T = !trill!'; nil and none take the meaning away (section 4.16)."""
        match = _USER.fullmatch(content)
        if match is None:
            raise ValueError(f"not a symbol of H to W, h to w or ~: {content[:40]!r}")
        symbol, meaning = match.groups()
        if meaning.strip("!+ ") in ("nil", "none"):
            self._symbols.discard(symbol)
        else:
            self._symbols.add(symbol)
            self._note_mark(meaning)

    def _read_part(self, content: str, *, in_body: bool) -> None:
        if in_body:
            self._part = content[:1]
            for voice in self._voices.values():
                voice.set_part(self._part)
            return
        try:
            self._order = parse_order(content), self._line
        except ValueError:
            self._tune.unplayed[f"P:{content[:20]}"] = self._line

    def _read_voice(self, content: str, *, in_body: bool) -> None:
        name, _, properties = content.partition(" ")
        if not name:
            raise ValueError("has no name")
        shift = abc_keys.parse_shift(properties)
        if shift is not None:
            self._shifts[name] = shift
        if in_body:
            self._name = name
            if shift is not None:
                self._voice.settings.shift = shift

    def _note_mark(self, text: str) -> None:
        mark = unplayed_mark(text)
        if mark is not None:
            self._tune.unplayed.setdefault(mark, self._line)

    def _read_music(self, text: str) -> None:
        at = 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None or (match.group("symbol") and match.group() not in self._symbols):
                end = at + 1
                while end < len(text) and self._is_odd(text, end):
                    end += 1
                self._complain("syntax", f"{text[at:end][:40]!r} is not ABC")
                at = end
                continue
            at = match.end()
            try:
                self._read_token(match)
            except ValueError as error:
                self._complain("syntax", f"{match.group()[:40]!r}: {error}")

    def _is_odd(self, text: str, at: int) -> bool:
        match = TOKEN.match(text, at)
        return match is None or (bool(match.group("symbol")) and match.group() not in self._symbols)

    def _read_token(self, match: re.Match[str]) -> None:
        groups = match.groupdict()
        # The first group is the outermost.
        match next(name for name, text in groups.items() if text is not None):
            case "text":
                self._note_mark(groups["text"])
            case "field":
                name, _, content = groups["field"][1:-1].partition(":")
                self._read_field(name, content.strip(), in_body=True)
            case "bar":
                self._voice.close(BarLine.read(groups["bar"]))
            case "ending":
                self._voice.open_ending(parse_endings(groups["ending"]))
            case "tuplet":
                compound = self._voice.settings.compound
                self._voice.open_tuplet(*parse_tuplet(groups["tuplet"], compound=compound))
            case "broken":
                self._voice.break_rhythm(groups["broken"])
            case "overlay":
                if groups["overlay"] != "&":
                    raise ValueError("an overlay of several bars is not supported")
                self._voice.overlay()
            case "note":
                names = (groups["pitch"],)
                self._voice.add(
                    parse_length(groups["length"]), names, names if groups["tie"] else ()
                )
            case "rest":
                self._read_rest(groups["wait"], groups["waited"])
            case "chord":
                self._read_chord(groups["chord"], groups["spread"], held=bool(groups["held"]))
            case "end":
                if groups["end"] == "-":
                    self._voice.tie()

    def _read_rest(self, letter: str, length: str) -> None:
        if letter in "ZX":
            self._voice.wait(length)
        else:
            self._voice.add(parse_length(length))

    def _read_chord(self, chord: str, spread: str, *, held: bool) -> None:
        notes = members(chord)
        length = parse_length(notes[0][1]) * parse_length(spread)
        names = [name for name, _, _ in notes]
        self._voice.add(length, names, names if held else [name for name, _, tie in notes if tie])
