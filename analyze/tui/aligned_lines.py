"""The events of sessions beside each other, as lines: two sessions in halves, more of them in a column each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyze.amounts import milliseconds
from analyze.answers import Marker, TimelineRow
from analyze.on_demand import OnDemand, rows_at
from analyze.side_by_side import AlignedRow, Values, columns_of
from analyze.tui.figures import length
from analyze.tui.lines import Line, Run, columns, fit_end, join, pad, text, width_of
from analyze.tui.tones import Tone
from analyze.tui.widgets.timeline import event_name, sender_sign
from capture.narration import counted
from capture.plain_text import shorten

SHOWN_CHANGES = 6
"""Changed places shown beneath one event."""
KEPT_EQUAL = 3
"""A stretch of more equal rows than this folds into one line."""
MARKER_TONES: dict[Marker, Tone] = {"=": "muted", "≠": "changed", "+": "added", "-": "removed"}
_MS_CELLS = 9
_LEAST_NAME_CELLS = 12
_COLUMN_CELLS = 11
"""Sign and milliseconds of one session where there are more than two."""
_MOST_NAME_CELLS = 48
_VALUE_LENGTH = 2_000
"""Characters of a value that are shown: `enter` opens the whole messages."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line: an event of all sides, or a changed place beneath it, or a folded stretch."""

    marker: Marker
    row: AlignedRow | None = None
    place: Values | None = None
    more: int = 0
    """Changed places that are not shown."""
    stretch: int | None = None
    """Number of the folded or unfolded stretch of equal rows that this line heads; None for other lines."""
    count: int = 0
    """Equal rows in that stretch."""


def marker_of(row: AlignedRow) -> Marker:
    """Say in one sign how the others stand to the baseline: their common marker, else that they differ."""
    found = {marker for marker in row.markers if marker != "="}
    return "=" if not found else found.pop() if len(found) == 1 else "≠"


class EventLines(OnDemand[EventLine]):
    """Aligned rows laid out: stretches of equal rows fold, except those unfolded; `every`: none folds."""

    def __init__(
        self, rows: Sequence[AlignedRow], unfolded: frozenset[int] = frozenset(), *, every: bool = False
    ) -> None:
        super().__init__()
        self._rows = rows
        columns = columns_of(rows)
        self._differs = columns.differs
        # Equal rows of two turns never fold together: the turn is where a reader looks for his place.
        keys = columns.turns * 2 + columns.differs
        self._firsts = np.flatnonzero(np.diff(keys, prepend=-1)) if len(keys) else np.zeros(0, dtype=np.int64)
        """The first row of each stretch of rows that differ, or do not."""
        counts = np.diff(self._firsts, append=len(keys))
        self._folds = ~columns.differs[self._firsts] & (counts > KEPT_EQUAL) & (not every)
        is_shown = ~self._folds | np.isin(np.arange(len(counts)), list(unfolded))
        places = columns.places
        heights = 1 + np.minimum(places, SHOWN_CHANGES) + (places > SHOWN_CHANGES)
        heights = np.where(columns.differs, heights, np.repeat(is_shown, counts))
        # A stretch that folds has a line of its own above its rows.
        heads = np.zeros(len(keys), dtype=np.int64)
        heads[self._firsts] = self._folds
        self._starts = np.append(0, np.cumsum(heights + heads))
        """The line that each row begins at, or the head of its stretch; and the end."""
        self._heads, self._heights = heads, heights

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _build(self, places: Sequence[int]) -> list[EventLine]:
        at = np.asarray(places, dtype=np.int64)
        numbers = np.searchsorted(self._starts, at, side="right") - 1
        rows = rows_at(self._rows, numbers.tolist())
        return [self._line(*each) for each in zip(numbers.tolist(), places, rows, strict=True)]

    def _line(self, number: int, place: int, row: AlignedRow) -> EventLine:
        part = place - int(self._starts[number])
        if self._heads[number] and part == 0:
            stretch = int(np.searchsorted(self._firsts, number))
            end = self._firsts[stretch + 1] if stretch + 1 < len(self._firsts) else len(self._rows)
            return EventLine("=", stretch=stretch, count=int(end) - number, row=row)
        if not self._differs[number]:
            return EventLine("=", row=row)
        marker = marker_of(row)
        if part == 0:
            return EventLine(marker, row=row)
        places = row.places
        if part <= SHOWN_CHANGES:
            return EventLine(marker, place=places[part - 1])
        return EventLine(marker, more=len(places) - SHOWN_CHANGES)

    @property
    def differing(self) -> list[int]:
        """The lines of the events that differ."""
        found: list[int] = self._starts[:-1][self._differs].tolist()
        return found

    def row_at(self, line: int) -> int:
        """Give the number of the row that a line belongs to."""
        return int(np.searchsorted(self._starts, line, side="right")) - 1

    def line_of(self, row: int) -> int:
        """Give the line of a row; of one that is folded away, the head of its stretch."""
        if not self._heights[row]:
            row = int(self._firsts[np.searchsorted(self._firsts, row, side="right") - 1])
        return int(self._starts[row] + (self._heads[row] if self._heights[row] else 0))


def halves(width: int, taken: int) -> tuple[int, int]:
    """Share what is left of a width between two columns."""
    room = max(width - taken, 8)
    return room - room // 2, room // 2


def shown_columns(count: int, current: int, width: int) -> list[int]:
    """Choose the sessions that a width has room for: the baseline, and those around the current one."""
    room = max((width - 2 - _LEAST_NAME_CELLS * 2) // (_COLUMN_CELLS + 1), 2)
    others = list(range(1, count))
    first = max(0, min(current - 1 - (room - 2), len(others) - (room - 1)))
    return [0, *others[first : first + room - 1]]


def event_line(line: EventLine, width: int, current: int = 1) -> Line:
    """Draw one line; `current` is the session whose column must be in sight."""
    sign: Line = (Run(line.marker, MARKER_TONES[line.marker]), Run(" "))
    if line.stretch is not None:
        turn = f" in turn {line.row.turn}" if line.row is not None and line.row.turn else ""
        return (*sign, *text(f"{counted(line.count, 'equal event')}{turn}", "muted"))
    if line.place is not None:
        return pad((Run("    "), *place_line(line.place, width - 4)), width)
    if line.row is None:
        return text(f"    {line.more} more places", "muted")
    if len(line.row.rows) > 2:
        return (*sign, *_in_columns(line.row, width - 2, current))
    cells = halves(width, 5)
    sides = [
        _event(event, at_ms, line.marker, size)
        for event, at_ms, size in zip(line.row.rows, line.row.latencies_ms, cells, strict=True)
    ]
    return (*sign, *columns(list(zip(sides, cells, strict=True)), " │ "))


def event_heading(width: int, count: int = 2, current: int = 1) -> Line:
    """Name the columns."""
    if count > 2:
        numbers = shown_columns(count, current, width)
        name_cells = _name_cells(width - 2, len(numbers))
        heads = [
            pad(
                text(f"› {number + 1}" if number == current else str(number + 1), _head_tone(number, current)),
                10,
                "right",
            )
            for number in numbers
        ]
        note = text("event   (ms since the end of speech)", "muted")
        return (Run("  "), *columns([(note, name_cells), *((head, _COLUMN_CELLS) for head in heads)], " "))
    title = (*pad(text("+ms", "muted"), _MS_CELLS, "right"), *text("   event", "muted"))
    left_cells, right_cells = halves(width, 5)
    note = (*title, *text("  (ms since the end of speech)", "pale"))
    left = note if width_of(note) <= left_cells else title
    return (Run("  "), *columns([(left, left_cells), (title, right_cells)], " │ "))


def _head_tone(number: int, current: int) -> Tone:
    return "strong" if number == current else "muted"


def _name_cells(width: int, shown: int) -> int:
    return max(min(width - shown * (_COLUMN_CELLS + 1), _MOST_NAME_CELLS), _LEAST_NAME_CELLS)


def _in_columns(row: AlignedRow, width: int, current: int) -> Line:
    numbers = shown_columns(len(row.rows), current, width + 2)
    name_cells = _name_cells(width, len(numbers))
    told = next(event for event in row.rows if event is not None)
    amount = _amount(told)
    room = name_cells - 2 - (width_of(amount) + 2 if amount else 0)
    words = (*sender_sign(told), Run(" "), *join([fit_end(event_name(told), max(room, _LEAST_NAME_CELLS)), amount]))
    cells = [(_moment(row, number), _COLUMN_CELLS) for number in numbers]
    return columns([(words, name_cells), *cells], " ")


def _moment(row: AlignedRow, number: int) -> Line:
    event, marker = row.rows[number], row.markers[number]
    if event is None:
        return pad(text("-", "removed") if marker == "-" else text("·", "pale"), _COLUMN_CELLS - 1, "right")
    at_ms = row.latencies_ms[number]
    when = milliseconds(at_ms if at_ms is not None else event.offset_ms)
    sign: Line = () if marker == "=" else (Run(marker, MARKER_TONES[marker]), Run(" "))
    return pad((*sign, *text(when, "muted")), _COLUMN_CELLS - 1, "right")


def _amount(event: TimelineRow) -> Line:
    count = text(f"× {event.count:,}", "muted") if event.count > 1 else ()
    audio = text(length(event.audio_ms), "muted") if event.audio_ms else ()
    return join([count, audio])


def _event(event: TimelineRow | None, latency_ms: float | None, marker: Marker, cells: int) -> Line:
    if event is None:
        return ()
    words = _amount(event)
    room = cells - _MS_CELLS - 3 - (width_of(words) + 2 if words else 0)
    name = fit_end(event_name(event), max(room, _LEAST_NAME_CELLS))
    if marker in "+-":
        name = tuple(Run(run.text, MARKER_TONES[marker]) for run in name)
    at = milliseconds(latency_ms if latency_ms is not None else event.offset_ms)
    when = pad(text(at, "muted"), _MS_CELLS, "right")
    return pad((*when, Run(" "), *sender_sign(event), Run(" "), *join([name, words])), cells)


def place_line(place: Values, width: int | None = None) -> Line:
    """Write a place and what each side has there, lit; the front of its path gives way to a width.

    Of two sides the values stand as `this → that`, of more each behind the numbers of those that have it.
    """
    values = _pair(place) if len(place.values) == 2 else _by_number(place)
    path = text(place.name, "muted")
    room = None if width is None else max(width - width_of(values) - 2, width // 4)
    return (*(path if room is None else fit_end(path, room)), Run("  "), *values)


def _pair(place: Values) -> Line:
    left, right = place.values
    if not place.differs:
        return _value(left, "plain")
    return (*_value(left, "removed"), Run(" → ", "muted"), *_value(right, "added"))


def _by_number(place: Values) -> Line:
    groups: list[Line] = []
    for numbers, value in place.by_value():
        tone: Tone = "plain" if 0 in numbers else "changed"
        groups.append((*text(f"{' '.join(str(number + 1) for number in numbers)} ", "muted"), *_value(value, tone)))
    return join(groups, "   ")


def _value(value: str | None, tone: Tone) -> Line:
    return text(shorten(value, _VALUE_LENGTH), tone) if value is not None else text("absent", "pale")
