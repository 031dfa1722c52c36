"""Failures over time, as lines: a bar a span, and below it the stretch that stands out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from analyze.answers import FailingWindow, RateOverTime, RateSpan
from analyze.over_time import spark, window_words
from analyze.tui.lines import Line, Run, pad, text
from analyze.tui.tones import Tone

_LEAST_NAME_CELLS = 12
_COUNT_CELLS = 10


def rate_lines(rates: Sequence[RateOverTime], width: int, by: str) -> list[Line]:
    """Write the rates of all sessions and of each value of a dimension, on one axis of time."""
    if not rates:
        return [text("no sessions whose time is known", "muted")]
    spans = rates[0].spans
    longest = max(len(rate.name) for rate in rates)
    name_cells = min(max(longest, len(by), _LEAST_NAME_CELLS), max(width - len(spans) - _COUNT_CELLS - 6, 8))
    margin = (Run(" " * (name_cells + 2)),)
    lines: list[Line] = [(*pad(text(by.replace("_", " "), "muted"), name_cells), Run("  "), *axis_line(spans))]
    for rate in rates:
        name = pad(text(rate.name, "strong"), name_cells)
        counts = pad(text(f"{rate.failed:,}/{rate.trials:,}", "failed" if rate.failed else "ok"), _COUNT_CELLS, "right")
        lines.append((*name, Run("  "), *bar_line(rate.spans), *counts))
        if rate.window is not None:
            lines.append((*margin, *window_line(rate.window, spans)))
            lines.append((*margin, *text(window_words(rate), "muted")))
    return lines


def bar_line(spans: Sequence[RateSpan]) -> Line:
    """Draw a bar a span: red where sessions failed, a pale dot where none failed or passed."""
    return tuple(Run(bar, _tone(span)) for bar, span in zip(spark(spans), spans, strict=True))


def _tone(span: RateSpan) -> Tone:
    return "pale" if not span.trials else "failed" if span.failed else "ok"


def axis_line(spans: Sequence[RateSpan]) -> Line:
    """Write when the first span begins and the last one ends, and how long one is."""
    begin, end, length = spans[0].begin_at, spans[-1].end_at, spans[0].end_at - spans[0].begin_at
    words = f"{begin:%m-%d %H:%M:%S} to {end:%m-%d %H:%M:%S} UTC, {length_words(length)} a bar"
    return text(words, "muted")


def length_words(length: timedelta) -> str:
    """Write a length of time in the largest unit that divides it."""
    seconds = int(length.total_seconds())
    units = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next((size, unit) for size, unit in units if seconds % size == 0)
    return f"{seconds // size} {unit}"


def window_line(window: FailingWindow, spans: Sequence[RateSpan]) -> Line:
    """Mark from onset to clearing under the bars; an open end where it goes on as far as anybody knows."""
    first, last = _place(window.onset_at, spans), _place(window.last_failed_at, spans)
    marked = "╵" if first == last else f"├{'─' * (last - first - 1)}{'┤' if window.clear_at else '→'}"
    label = " onset" if window.clear_at is None else " onset to clearing"
    return (Run(" " * first), Run(marked, "failed"), Run(label, "failed"))


def _place(at: datetime, spans: Sequence[RateSpan]) -> int:
    return next(number for number, span in enumerate(spans) if at < span.end_at)
