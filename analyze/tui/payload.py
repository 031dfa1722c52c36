"""A message's text as lines: JSON laid out with its tokens as they came, anything else as it is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from analyze.answers import EventDetail, TimelineRow
from analyze.tui.figures import bar, length
from analyze.tui.lines import Line, Run, lit, text
from analyze.tui.tones import Tone
from capture.plain_text import visible

SHOWN_CHARACTERS = 100_000
"""More of one message is not shown: nobody reads it here, and it would hold up the screen."""
_DEEPEST = 100
"""Levels of a message that are laid out; a tool's JSON schema is the deepest thing that is sane."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[{}\[\]]")
_TOKEN = re.compile(
    r'(?P<live>"(?:[^"\\]|\\.)*"(?=\s*:))|(?P<ok>"(?:[^"\\]|\\.)*"?)|(?P<incomplete>-?\d[\d.eE+-]*|true|false|null)'
)
_TONES: dict[str, Tone] = {"live": "live", "ok": "ok", "incomplete": "incomplete"}


def event_lines(
    event: EventDetail, row: TimelineRow | None = None, needle: str = "", levels: Sequence[float] = ()
) -> list[Line]:
    """Lay out one event: what it is, its facts, what failed, its audio, its payload; `needle` is lit where it occurs.

    `levels` are the peaks (0..1) of the audio that the row carries.
    """
    after = "" if event.offset_ms is None else f" · +{event.offset_ms:,.1f} ms"
    at = "" if event.at is None else f" · {event.at:%H:%M:%S.%f}"[:-3]
    facts = f"seq {event.seq}{after}{at}"
    size = "" if event.wire_bytes is None else f" · {event.wire_bytes:,} bytes on the wire"
    lines = [
        text(event.type or f"({event.kind})", "strong"),
        (Run(facts, "muted"), Run(" · ", "muted"), Run(event.sender, event.sender)),
        text(f"{event.kind}{size}", "muted"),
    ]
    if event.redacted:
        lines.append(text("secrets in this message were taken out before it was stored", "incomplete"))
    if row is not None and row.count > 1:
        lines.append(text(f"the first of {row.count} in a row, seq {row.first_seq} to {row.last_seq}", "muted"))
    if row is not None and row.error:
        lines.append((Run("▲ ", "failed"), *text(row.error, "failed")))
    if levels and row is not None:
        lines.append(waveform(levels, row.audio_ms or 0.0, row.sender))
    return [*lines, (), *(lit(line, needle) for line in payload_lines(event.payload))]


def first_found(lines: Sequence[Line]) -> int | None:
    """Give the first line in which something is lit."""
    return next((at for at, line in enumerate(lines) if any(run.tone == "found" for run in line)), None)


def waveform(levels: Sequence[float], audio_ms: float, tone: Tone) -> Line:
    """Draw the audio of an event, and say how long it plays and how loud it gets."""
    peak = max(levels, default=0.0)
    loudness = f"peak {20 * math.log10(peak):.0f} dBFS" if peak > 0 else "digital silence"
    return (Run("".join(map(bar, levels)), tone), Run(f" {length(audio_ms)} · {loudness}", "muted"))


def payload_lines(payload: str) -> list[Line]:
    """Lay out a payload; JSON is indented, its numbers and strings stay as they were written."""
    shown, rest = payload[:SHOWN_CHARACTERS], len(payload) - SHOWN_CHARACTERS
    laid_out = _indented(payload) if rest <= 0 else None
    lines = [text(line) for line in shown.split("\n")] if laid_out is None else _coloured(laid_out)
    if rest > 0:
        lines.append(text(f"… {rest:,} more characters", "muted"))
    return lines


def _indented(payload: str) -> str | None:
    # Indented, what is nested thousands of levels deep would be as wide as it is deep: it is shown as it came.
    if payload.count("{") + payload.count("[") > _DEEPEST and _depth(payload) > _DEEPEST:
        return None
    try:
        return msgspec.json.format(payload, indent=2)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _depth(payload: str) -> int:
    levels = accumulate(1 if sign in "{[" else -1 for sign in _BRACKET.findall(_STRING.sub("", payload)))
    return max(levels, default=0)


def _coloured(json_text: str) -> list[Line]:
    return [_coloured_line(line) for line in json_text.split("\n")]


def _coloured_line(line: str) -> Line:
    runs: list[Run] = []
    at = 0
    for match in _TOKEN.finditer(line):
        tone = _TONES[match.lastgroup or "live"]
        runs += [Run(visible(line[at : match.start()]), "muted"), Run(visible(match[0]), tone)]
        at = match.end()
    runs.append(Run(visible(line[at:]), "muted"))
    return tuple(run for run in runs if run.text)
