"""What sessions beside each other came to, as lines: outcomes, configuration, latencies, transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from analyze.amounts import milliseconds
from analyze.answers import TranscriptDiff
from analyze.side_by_side import SideBySide, TurnLatencies, Values
from analyze.tui.aligned_lines import place_line
from analyze.tui.figures import change
from analyze.tui.lines import Line, Run, pad, text
from analyze.tui.tones import Tone
from capture.plain_text import shorten

_NAME_CELLS = 20
_SHOWN_CHARACTERS = 10_000
"""Of a stretch of words: nobody reads more, and it would hold up the screen."""


def configuration_lines(asked: Sequence[Values], echoed: Sequence[Values]) -> list[Line]:
    """Write what differs in the configuration, asked and echoed."""
    lines: list[Line] = []
    for title, places in (("asked for", asked), ("echoed by the endpoint", echoed)):
        lines += [text(f"Configuration {title}", "strong"), ()]
        lines += [(Run("≠", "changed"), Run(" "), *place_line(place)) for place in places]
        if not places:
            lines.append((Run("= ", "muted"), Run("no difference", "muted")))
        lines.append(())
    return lines


def outcome_lines(outcomes: Sequence[Values]) -> list[Line]:
    """Write what every session came to; what all have in common stands once."""
    lines: list[Line] = []
    for each in outcomes:
        sign = Run("≠", "changed") if each.differs else Run("=", "muted")
        name = pad(text(each.name, "muted"), _NAME_CELLS)
        nameless = Values("", each.values)
        values = place_line(nameless) if each.differs else (Run("  "), *text(each.values[0] or "–"))
        lines.append((sign, Run(" "), *name, *values))
    return lines


def latency_lines(latencies: Sequence[TurnLatencies]) -> list[Line]:
    """Write every latency of every turn, and how the others differ from the baseline."""
    if not latencies:
        return [text("no turns in any session", "muted")]
    if len(latencies[0].values_ms) > 2:
        return [line for each in latencies for line in _one_below_the_other(each)]
    head = _latency_row("turn", "latency", "left ms", "right ms", text("right − left", "muted"), "muted")
    return [head, *(_side_by_side(latency) for latency in latencies)]


def _side_by_side(latency: TurnLatencies) -> Line:
    left, right = latency.values_ms
    here, there = milliseconds(left) or "–", milliseconds(right) or "–"
    return _latency_row(str(latency.turn), latency.name, here, there, change(left, right), "plain")


def _one_below_the_other(latency: TurnLatencies) -> list[Line]:
    first, *others = latency.values_ms
    head = (*text(f"turn {latency.turn}  ", "muted"), *text(latency.name, "strong"))
    lines = [head, _numbered(1, first, text("baseline", "muted"))]
    lines += [_numbered(number, value, change(first, value)) for number, value in enumerate(others, 2)]
    return [*lines, ()]


def _numbered(number: int, value: float | None, difference: Line) -> Line:
    written = pad(text(milliseconds(value) or "–"), 10, "right")
    return (*text(f"    {number}", "muted"), *written, *text(" ms  ", "muted"), *difference)


def _latency_row(turn: str, name: str, left: str, right: str, delta: Line, tone: Tone) -> Line:
    return (
        *pad(text(turn, "muted"), 5, "right"),
        Run("  "),
        *pad(text(name.replace("_", " "), tone), 24),
        *pad(text(left, tone), 10, "right"),
        *pad(text(right, tone), 12, "right"),
        Run("  "),
        *delta,
    )


def transcript_lines(shown: SideBySide) -> list[Line]:
    """Write what was said, word by word against the baseline; `[-left-]` and `{+right+}` where they differ."""
    said = [
        (each.turn, each.who == "assistant", number, each)
        for number, diff in enumerate(shown.diffs, 2)
        for each in diff.transcripts
    ]
    lines: list[Line] = []
    for (turn, _), group in groupby(sorted(said, key=lambda entry: entry[:3]), key=lambda entry: entry[:2]):
        compared = [(number, each) for _, _, number, each in group]
        lines += [_said_title(turn, [each for _, each in compared], many=len(shown.diffs) > 1)]
        if len(shown.diffs) > 1:
            lines += [_numbered_words(number, each) for number, each in compared]
        else:
            lines.append((Run("    "), *_words(compared[0][1])))
        lines.append(())
    return lines or [text("no transcripts in any session", "muted")]


def _said_title(turn: int, compared: Sequence[TranscriptDiff], *, many: bool) -> Line:
    equal = all(_is_equal(each) for each in compared)
    who: Tone = "client" if compared[0].who == "user" else "server"
    rate = () if many else _rate(compared[0])
    sign = Run("=", "muted") if equal else Run("≠", "changed")
    return (sign, Run(" "), Run(f"turn {turn} {compared[0].who}", who), *rate)


def _is_equal(said: TranscriptDiff) -> bool:
    return said.left is not None and said.right is not None and all(sign == "=" for sign, _ in said.words)


def _numbered_words(number: int, said: TranscriptDiff) -> Line:
    return (*text(f"    {number}  ", "muted"), *_words(said, many=True), *_rate(said))


def _rate(said: TranscriptDiff) -> Line:
    if said.word_error_rate is None or said.right is None:
        return ()
    return text(f"  WER {said.word_error_rate * 100:.0f} %", "incomplete" if said.word_error_rate else "muted")


def _words(said: TranscriptDiff, *, many: bool = False) -> Line:
    sides = ("in the baseline", "here") if many else ("on the left", "on the right")
    absent = [side for side, words in zip(sides, (said.left, said.right), strict=True) if words is None]
    runs: list[Run] = [Run(f"(none {' or '.join(absent)}) ", "incomplete")] if absent else []
    for sign, whole in said.words:
        words = shorten(whole, _SHOWN_CHARACTERS)
        if sign == "=":
            runs += text(f"{words} ")
        elif sign == "-":
            runs += [*text(f"[-{words}-]", "removed"), Run(" ")]
        else:
            runs += [*text(f"{{+{words}+}}", "added"), Run(" ")]
    return tuple(runs)
