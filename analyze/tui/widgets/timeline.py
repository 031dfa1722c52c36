"""The events of a session in order, runs of one streaming type folded into one row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType

from analyze.answers import TimelineRow
from analyze.tui.figures import length
from analyze.tui.lines import ELLIPSIS, Line, Run, join, text
from analyze.tui.widgets.virtual_table import Column, VirtualTable

_TYPE_CELLS = 33


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as it stands on the screen."""

    row: TimelineRow
    inside: bool = False
    """One event of a run that is unfolded above it."""
    unfolded: bool = False

    @property
    def key(self) -> tuple[int, int, bool]:
        """Tell entries apart."""
        return self.row.first_seq, self.row.last_seq, self.inside


def event_name(row: TimelineRow) -> Line:
    """Write an event's type; the end says most, so the front gives way."""
    return text(shorten_type(row.type or f"({row.kind})"), "failed" if row.error else "plain")


def shorten_type(name: str) -> str:
    """Cut the front of a long event type, between its words."""
    if len(name) <= _TYPE_CELLS:
        return name
    tail = name[-_TYPE_CELLS + 1 :]
    return ELLIPSIS + (re.sub(r"^[^._]*[._]", "", tail, count=1) if name[-_TYPE_CELLS] not in "._" else tail)


def sender_sign(row: TimelineRow) -> Line:
    """Point the way a message went; the colour says the same."""
    return (Run("▸" if row.sender == "client" else "◂", row.sender),)


def event_words(row: TimelineRow) -> Line:
    """Say what there is besides the type: how many, how much audio, what failed."""
    count = text(f"× {row.count:,}", "strong") if row.count > 1 else ()
    audio = text(length(row.audio_ms), "muted") if row.audio_ms else ()
    said = text(row.error, "failed") if row.error else text(row.summary, "muted")
    return join([count, audio, said])


def belongs_to(row: TimelineRow, run: TimelineRow) -> bool:
    """Tell whether an event is one of a folded run."""
    same = (row.sender, row.kind, row.type) == (run.sender, run.kind, run.type)
    return same and run.first_seq <= row.first_seq <= run.last_seq


def _sign(entry: Entry) -> Line:
    if entry.row.error:
        return (Run("▲", "failed"),)
    if entry.row.count > 1:
        return (Run("▾" if entry.unfolded else "▹", "muted"),)
    return ()


def _name(entry: Entry) -> Line:
    return (Run("  "), *event_name(entry.row)) if entry.inside else event_name(entry.row)


def _offset(row: TimelineRow) -> str:
    return "" if row.offset_ms is None else f"{row.offset_ms:,.1f}"


COLUMNS: tuple[Column[Entry], ...] = (
    Column("", _sign, 1, 1),
    Column("+ms", lambda entry: text(_offset(entry.row), "muted"), 9, 12, align="right"),
    Column("", lambda entry: sender_sign(entry.row), 1, 1),
    Column("event", _name, 16, _TYPE_CELLS + 2, keep="end"),
    Column("", lambda entry: event_words(entry.row), 10, 200, elastic=True),
)


class Timeline(VirtualTable[Entry]):
    """The folded events; runs unfold in place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Rows are cut to the width, so that these keys are free for the time axis.
        Binding("left", "screen.along(-1)", "Earlier", show=False),
        Binding("right", "screen.along(1)", "Later", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(COLUMNS, key=lambda entry: entry.key, empty_text="reading …")
        self._folded: Sequence[TimelineRow] = ()
        self._unfolded: dict[int, Sequence[TimelineRow]] = {}

    def show_rows(self, rows: Sequence[TimelineRow]) -> None:
        """Show a session's folded rows."""
        self._folded = rows
        self._unfolded = {}
        self.show(list(self._entries()), keep_cursor=False)

    def unfold(self, run: TimelineRow, events: Sequence[TimelineRow]) -> None:
        """Show the events of a run beneath it."""
        self._unfolded[run.first_seq] = events
        self.show(list(self._entries()))

    def fold(self, run: TimelineRow) -> None:
        """Show a run as one row again."""
        self._unfolded.pop(run.first_seq, None)
        self.show(list(self._entries()))

    def go_to_seq(self, seq: int) -> None:
        """Put the cursor on the row of an event: on the event itself where its run is unfolded."""
        holding = [
            at
            for at, entry in enumerate(self.rows)
            if entry.row.first_seq <= seq <= entry.row.last_seq and not entry.unfolded
        ]
        exact = [at for at in holding if self.rows[at].row.first_seq == seq]
        if holding:
            self.cursor = (exact or holding)[0]

    def go_to_time(self, at_ms: float, step: int) -> None:
        """Move to the first row from a moment on (1), or the last up to it (-1), and by one row at least."""
        ahead = range(self.cursor + step, len(self.rows) if step > 0 else -1, step)
        for at in ahead:
            offset_ms = self.rows[at].row.offset_ms
            if offset_ms is not None and (offset_ms - at_ms) * step >= 0:
                self.cursor = at
                return
        if ahead:
            self.cursor = ahead[-1]

    def holds(self, seq: int) -> bool:
        """Tell whether an event has a row of its own."""
        return any(entry.row.first_seq == seq and not entry.unfolded and entry.row.count == 1 for entry in self.rows)

    def go_to_error(self, step: int) -> bool:
        """Move to the next (1) or the last (-1) row that failed; False where there is none that way."""
        ahead = range(self.cursor + step, len(self.rows) if step > 0 else -1, step)
        for at in ahead:
            if self.rows[at].row.error:
                self.cursor = at
                return True
        return False

    def _entries(self) -> Iterator[Entry]:
        for row in self._folded:
            events = self._unfolded.get(row.first_seq)
            yield Entry(row, unfolded=events is not None)
            for event in events or ():
                yield Entry(event, inside=True)
