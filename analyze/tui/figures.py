"""How numbers, times and outcomes are written on the screen."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from analyze.answers import SessionSummary
from analyze.tui.lines import ELLIPSIS, Line, Run, text
from analyze.tui.tones import Tone

MARKS: dict[str, Run] = {
    "ok": Run("●", "ok"),
    "failed": Run("▲", "failed"),
    "incomplete": Run("◐", "incomplete"),
    "live": Run("◌", "live"),
}
"""A sign and a colour for each outcome: the colour is never alone."""
TYPE_CELLS = 33
"""What a shortened event type takes."""


BARS = "▁▂▃▄▅▆▇█"
_FLOOR_DB = -48.0


def mark(outcome: str) -> Run:
    """Give the sign of an outcome."""
    return MARKS.get(outcome, Run("·", "muted"))


def length(value_ms: float) -> str:
    """Write how long something plays: `2.31 s`, `20 ms`."""
    return f"{value_ms / 1000:,.2f} s" if value_ms >= 1000 else f"{value_ms:.0f} ms"


def age(seconds: float) -> str:
    """Write how long something has been going on: `14 s`, `2 min 05 s`, `1 h 02 min`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def clock(at: datetime | None) -> str:
    """Write a UTC time with its day; nothing where it is not known."""
    return "" if at is None else f"{at:%m-%d %H:%M:%S}"


def percent(low: float, high: float) -> str:
    """Write an interval of shares."""
    return f"{low * 100:.0f}–{high * 100:.0f} %"


def change(left_ms: float | None, right_ms: float | None) -> Line:
    """Write a difference as `+122 ms (1.2x)`."""
    if left_ms is None or right_ms is None:
        return ()
    delta = right_ms - left_ms
    ratio = f" ({right_ms / left_ms:.1f}x)" if left_ms else ""
    tone: Tone = "incomplete" if delta > 0 else "ok"
    return (Run(f"{delta:+,.0f} ms{ratio}", "muted" if abs(delta) < 1 else tone),)


@lru_cache(maxsize=1024)
def failure_name(failure_key: str) -> str:
    """Shorten a failure key to what a column has room for: what failed, and the error's code, else its type."""
    event_type, error_type, error_code, _ = (*failure_key.split("|", 3), "", "", "")[:4]
    said = next((part for part in (error_code, error_type) if part and part != "null"), "")
    return said if event_type == "error" and said else f"{failed_part(event_type)} {said}".rstrip()


def failed_part(event_type: str | None) -> str:
    """Name in a word what failed, from the type of the event that says so."""
    words = event_type or "session"
    if words.startswith("absent:"):
        return words
    return next((part for part in ("transcription", "response", "mcp") if part in words), words.rsplit(".", 1)[-1])


def failure_text(failure_key: str) -> Line:
    """Write a failure key in full: the event leads, then error type, code and masked message."""
    event_type, *rest = failure_key.split("|", 3)
    return (*text(event_type, "failed"), *text("".join(f"  {part}" for part in rest if part), "plain"))


def finding_words(names: Sequence[str]) -> str:
    """Name the surest finding of a session, and how many others there are."""
    return f"{names[0]} +{len(names) - 1}" if len(names) > 1 else names[0]


def who(summary: SessionSummary) -> str:
    """Name where a session went: target, model, transcription model."""
    parts = (summary.target, summary.model, summary.transcription_model)
    return " · ".join(part for part in parts if part)


def bar(level: float) -> str:
    """Draw a peak level (0..1) on a decibel scale, as ears hear it."""
    if level <= 0:
        return BARS[0]
    share = 1 - max(20 * math.log10(level), _FLOOR_DB) / _FLOOR_DB
    return BARS[min(round(share * (len(BARS) - 1)), len(BARS) - 1)]


def shorten_type(name: str) -> str:
    """Cut the front of a long event type, between its words."""
    if len(name) <= TYPE_CELLS:
        return name
    tail = name[-TYPE_CELLS + 1 :]
    return ELLIPSIS + (re.sub(r"^[^._]*[._]", "", tail, count=1) if name[-TYPE_CELLS] not in "._" else tail)
