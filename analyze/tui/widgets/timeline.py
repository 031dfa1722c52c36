"""The events of a session in order, runs of one streaming type folded into one row."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, NamedTuple

import numpy as np
from textual.binding import Binding, BindingType

from analyze.answers import TimelineRow
from analyze.event_columns import Flags
from analyze.on_demand import OnDemand, rows_at
from analyze.timeline import RowColumns, columns_of
from analyze.tui.figures import TYPE_CELLS, length, shorten_type
from analyze.tui.lines import Line, Run, join, text
from analyze.tui.widgets.row_list import READING
from analyze.tui.widgets.virtual_table import Column, VirtualTable


class EntryKey(NamedTuple):
    """What an entry is known by when others come and go."""

    first_seq: int
    last_seq: int
    inside: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as it stands on the screen."""

    row: TimelineRow
    inside: bool = False
    """One event of a run that is unfolded above it."""
    unfolded: bool = False

    @property
    def key(self) -> EntryKey:
        """Tell entries apart."""
        return EntryKey(self.row.first_seq, self.row.last_seq, self.inside)


def event_name(row: TimelineRow) -> Line:
    """Write an event's type; the end says most, so the front gives way."""
    return text(shorten_type(row.type or f"({row.kind})"), "failed" if row.error else "plain")


def sender_sign(row: TimelineRow) -> Line:
    """Point the way a message went; the colour says the same."""
    return (Run("▸" if row.sender == "client" else "◂", row.sender),)


def event_words(row: TimelineRow) -> Line:
    """Say what there is besides the type: how many, how much audio, what failed."""
    count = text(f"× {row.count:,}", "strong") if row.count > 1 else ()
    audio = text(length(row.audio_ms), "muted") if row.audio_ms else ()
    said = text(row.error, "failed") if row.error else text(row.summary, "muted")
    return join([count, audio, said])


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
    Column("event", _name, 16, TYPE_CELLS + 2, keep="end"),
    Column("", lambda entry: event_words(entry.row), 10, 200, elastic=True),
)


class Entries(OnDemand[Entry]):
    """A session's rows, and beneath each that is unfolded its events."""

    def __init__(self, folded: Sequence[TimelineRow], unfolded: Mapping[int, Sequence[TimelineRow]]) -> None:
        """Take rows, and by the places of those that are unfolded their events."""
        super().__init__()
        self._folded = folded
        self._unfolded = dict(sorted(unfolded.items()))
        self._opened = list(self._unfolded)
        self._inside = [0, *accumulate(map(len, self._unfolded.values()))]
        """How many events stand above each unfolded row, and in all."""
        self._heads = [row + above for row, above in zip(self._opened, self._inside, strict=False)]
        """Where the unfolded rows stand."""

    def __len__(self) -> int:
        return len(self._folded) + self._inside[-1]

    def _build(self, places: Sequence[int]) -> list[Entry]:
        located = [self._locate(place) for place in places]
        rows = iter(rows_at(self._folded, [row for row, event in located if event is None]))
        return [
            Entry(next(rows), unfolded=row in self._unfolded)
            if event is None
            else Entry(self._unfolded[row][event], inside=True)
            for row, event in located
        ]

    def _locate(self, place: int) -> tuple[int, int | None]:
        """Give the row that stands at a place, or the row above and which of its events stands there."""
        number = bisect_left(self._heads, place)
        if number and place <= self._heads[number - 1] + len(self._unfolded[self._opened[number - 1]]):
            return self._opened[number - 1], place - self._heads[number - 1] - 1
        return place - self._inside[number], None

    def places_of(self, wanted: Callable[[RowColumns], Flags]) -> list[int]:
        """Give the places of all rows and events that are wanted, in order."""
        rows = np.flatnonzero(wanted(columns_of(self._folded)))
        above = np.array(self._inside)[np.searchsorted(np.array(self._opened, dtype=np.int64), rows)]
        places = [rows + above]
        for head, events in zip(self._heads, self._unfolded.values(), strict=True):
            places += [np.flatnonzero(wanted(columns_of(events))) + head + 1]
        found: list[int] = np.sort(np.concatenate(places)).tolist()
        return found


class Timeline(VirtualTable[Entry]):
    """The folded events; runs unfold in place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Rows are cut to the width, so that these keys are free for the time axis.
        Binding("left", "screen.along(-1)", "Earlier", show=False),
        Binding("right", "screen.along(1)", "Later", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(COLUMNS, key=lambda entry: entry.key, empty_text=READING)
        self._folded: Sequence[TimelineRow] = ()
        self._unfolded: dict[int, Sequence[TimelineRow]] = {}
        self._entries = Entries((), {})

    def show_rows(self, rows: Sequence[TimelineRow]) -> None:
        """Show a session's folded rows."""
        self._folded = rows
        self._unfolded = {}
        self._lay_out(keep_cursor=False)

    def unfold(self, run: TimelineRow, events: Sequence[TimelineRow]) -> None:
        """Show the events of a run beneath it."""
        self._unfolded[self._row_of(run)] = events
        self._lay_out()

    def fold(self, run: TimelineRow) -> None:
        """Show a run as one row again."""
        self._unfolded.pop(self._row_of(run), None)
        self._lay_out()

    def go_to_seq(self, seq: int) -> None:
        """Put the cursor on the row of an event: on the event itself where its run is unfolded."""
        holding = [at for at in self._entries.places_of(lambda of: of.holding(seq)) if not self._entries[at].unfolded]
        exact = [at for at in holding if self._entries[at].row.first_seq == seq]
        if holding:
            self.cursor = (exact or holding)[0]

    def go_to_time(self, at_ms: float, step: int) -> None:
        """Move to the first row from a moment on (1), or the last up to it (-1), and by one row at least."""
        if not self.step_to(self._entries.places_of(lambda of: (of.offsets_ms - at_ms) * step >= 0), step):
            self.action_edge(step)

    @property
    def has_errors(self) -> bool:
        """Tell whether any row failed."""
        return bool(self._entries.places_of(lambda of: of.failed))

    def go_to_error(self, step: int) -> bool:
        """Move to the next (1) or the last (-1) row that failed; False where there is none that way."""
        return self.step_to(self._entries.places_of(lambda of: of.failed), step)

    def holds(self, seq: int) -> bool:
        """Tell whether an event has a row of its own."""
        return bool(self._entries.places_of(lambda of: (of.first_seqs == seq) & (of.counts == 1)))

    def runs_around(self, seq: int) -> list[TimelineRow]:
        """Give the runs that an event may be one of; streams that run side by side overlap."""
        of = columns_of(self._folded)
        return rows_at(self._folded, np.flatnonzero(of.holding(seq) & (of.counts > 1)).tolist())

    def _row_of(self, run: TimelineRow) -> int:
        return int(np.searchsorted(columns_of(self._folded).first_seqs, run.first_seq))

    def _lay_out(self, *, keep_cursor: bool = True) -> None:
        self._entries = Entries(self._folded, self._unfolded)
        self.show(self._entries, keep_cursor=keep_cursor)

    def _place_of(self, key: Hashable) -> int | None:
        """Find an entry without building all those before it."""
        if not isinstance(key, EntryKey):
            return None
        places = self._entries.places_of(lambda of: of.first_seqs == key.first_seq)
        return next((at for at in places if self._entries[at].key == key), None)
