"""Set any number of sessions beside a baseline: aligned events, what differs where, what each came to; pure.

Every session is compared with the baseline alone (`analyze.diff`); here these pairs become rows that all share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from analyze.alignment import align
from analyze.answers import DiffRow, Marker, PathChange, SessionDetail, SessionDiff, TimelineRow
from analyze.diff import LATENCIES, compare
from analyze.event_columns import Flags, Integers
from analyze.event_diff import Side
from analyze.event_diff import columns_of as columns_of_pairs
from analyze.on_demand import OnDemand, rows_at

_Token = tuple[Any, ...]
MOST_SESSIONS = 8
"""More columns than this nobody can read beside each other."""


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """One event of all sessions that have it; the baseline's values come first."""

    turn: int | None
    rows: tuple[TimelineRow | None, ...]
    """None where a session has no such event."""
    markers: tuple[Marker, ...]
    """How each session stands to the baseline; `=` for the baseline itself, and where neither has the event."""
    changes: tuple[tuple[PathChange, ...], ...]
    """Where each session differs from the baseline; empty for the baseline itself."""
    latencies_ms: tuple[float | None, ...]
    """Milliseconds since the turn's end of speech; None before the first turn."""

    @property
    def differs(self) -> bool:
        """Whether any session differs from the baseline here."""
        return any(marker != "=" for marker in self.markers)

    @property
    def places(self) -> list[Values]:
        """Where the event differs, and in which of the sessions that have it."""
        lacking = frozenset(number for number, row in enumerate(self.rows) if row is None)
        return [replace(place, left_out=lacking) for place in changed_places(self.changes[1:])]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Sessions beside each other, the baseline first."""

    details: tuple[SessionDetail, ...]
    diffs: tuple[SessionDiff, ...]
    """The baseline with each of the others, in their order."""
    rows: Sequence[AlignedRow]


@dataclass(frozen=True, slots=True)
class Values:
    """One thing that every session has a value of, the baseline's first."""

    name: str
    values: tuple[str | None, ...]
    """None where a session has none."""
    left_out: frozenset[int] = frozenset()
    """Numbers of the sessions that the question does not arise for: they lack the whole event."""

    @property
    def differs(self) -> bool:
        """Whether the values are not all the same."""
        return len(set(self.values)) > 1

    def by_value(self) -> list[tuple[list[int], str | None]]:
        """Group the sessions (0 is the baseline) by what they have, in order of appearance."""
        groups: dict[str | None, list[int]] = {}
        for number, value in enumerate(self.values):
            if number in self.left_out:
                continue
            groups.setdefault(value, []).append(number)
        return [(numbers, value) for value, numbers in groups.items()]


@dataclass(frozen=True, slots=True)
class TurnLatencies:
    """One latency of one turn in every session, the baseline's first; None where a session has none."""

    turn: int
    name: str
    values_ms: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class AlignedColumns:
    """What is asked of all aligned rows at once."""

    turns: Integers
    """0 before the first turn."""
    differs: Flags
    """Whether any session differs from the baseline."""
    places: Integers
    """How many places differ."""


class SharedRows(OnDemand[AlignedRow]):
    """The rows of comparisons that share their left side."""

    def __init__(self, pairs: Sequence[Sequence[DiffRow]], numbers: Integers) -> None:
        """Take the pairs of each comparison, and for each row their numbers, -1 where a comparison has none."""
        super().__init__()
        self._pairs, self._numbers = pairs, numbers
        count = len(numbers)
        turns, differs = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
        paths: dict[int, set[str]] = {}
        for rows, of in zip(pairs, numbers.T, strict=True):
            columns, shared = columns_of_pairs(rows), np.flatnonzero(of >= 0)
            turns[shared] = columns.turns[of[shared]]
            differs[shared] |= columns.differs[of[shared]]
            row_of = dict(zip(of[shared].tolist(), shared.tolist(), strict=True))
            for number, found in columns.changes.items():
                paths.setdefault(row_of[number], set()).update(change.path for change in found)
        places = np.zeros(count, dtype=np.int64)
        places[list(paths)] = [len(found) for found in paths.values()]
        self.columns = AlignedColumns(turns, differs, places)

    def __len__(self) -> int:
        return len(self._numbers)

    def _build(self, places: Sequence[int]) -> list[AlignedRow]:
        columns = []
        for rows, of in zip(self._pairs, self._numbers[list(places)].T, strict=True):
            found = iter(rows_at(rows, of[of >= 0].tolist()))
            columns.append([next(found) if number >= 0 else None for number in of.tolist()])
        return [_row_of(pairs) for pairs in zip(*columns, strict=True)]


def columns_of(rows: Sequence[AlignedRow]) -> AlignedColumns:
    """Give the columns of any aligned rows."""
    if isinstance(rows, SharedRows):
        return rows.columns
    return AlignedColumns(
        turns=np.array([row.turn or 0 for row in rows], dtype=np.int64),
        differs=np.array([row.differs for row in rows], dtype=np.bool_),
        places=np.array([len(row.places) for row in rows], dtype=np.int64),
    )


def compare_sides(sides: Sequence[Side]) -> SideBySide:
    """Compare sessions with the first of them."""
    baseline, *others = sides
    return set_beside([side.detail for side in sides], [compare(baseline, side) for side in others])


def set_beside(details: Sequence[SessionDetail], diffs: Sequence[SessionDiff]) -> SideBySide:
    """Join comparisons that share their left side; `details` are the sessions, the baseline first."""
    return SideBySide(tuple(details), tuple(diffs), _aligned([diff.rows for diff in diffs]))


def _aligned(pairs: Sequence[Sequence[DiffRow]]) -> SharedRows:
    if len(pairs) == 1:
        return SharedRows(pairs, np.arange(len(pairs[0]))[:, np.newaxis])
    numbers = list(_shared(pairs))
    return SharedRows(pairs, np.array(numbers, dtype=np.int64).reshape(-1, len(pairs)))


def _shared(pairs: Sequence[Sequence[DiffRow]]) -> Iterator[list[int]]:
    """Give for each row the number of its pair in every comparison; -1 where there is none."""
    # Cut at the rows of the baseline, which all comparisons have in the same order: between two of them stands what
    # only others have.
    cuts = [np.flatnonzero(columns_of_pairs(rows).is_left).tolist() for rows in pairs]
    edges = [[-1, *cut, len(rows)] for cut, rows in zip(cuts, pairs, strict=True)]
    for stretches in zip(*(pairwise(edge) for edge in edges), strict=True):
        yield from _only_others(pairs, [range(start + 1, end) for start, end in stretches])
        ends = [end for _, end in stretches]
        if ends[0] < len(pairs[0]):
            yield ends


def _row_of(pairs: Sequence[DiffRow | None]) -> AlignedRow:
    known = next(pair for pair in pairs if pair is not None)
    is_left = known.left is not None
    return AlignedRow(
        turn=known.turn,
        rows=(known.left, *(pair.right if pair else None for pair in pairs)),
        markers=("=", *(pair.marker if pair else "=" for pair in pairs)),
        changes=((), *(pair.changes if pair else () for pair in pairs)),
        latencies_ms=(
            known.latency_left_ms if is_left else None,
            *(pair.latency_right_ms if pair else None for pair in pairs),
        ),
    )


def _only_others(pairs: Sequence[Sequence[DiffRow]], stretches: Sequence[range]) -> Iterator[list[int]]:
    """Give the events that the baseline lacks; those of several sessions stand in one row where they are the same."""
    merged: list[tuple[list[int], _Token]] = []
    for number, stretch in enumerate(stretches):
        if not stretch:
            continue
        here = list(map(_token, rows_at(pairs[number], stretch)))
        grown: list[tuple[list[int], _Token]] = []
        for i, j in align([token for _, token in merged], here):
            together, token = ([-1] * len(pairs), here[j or 0]) if i is None else merged[i]
            if j is not None:
                together[number] = stretch[j]
            grown.append((together, token))
        merged = grown
    yield from (together for together, _ in merged)


def _token(row: DiffRow) -> _Token:
    event = row.right
    return (row.turn, event and (event.sender, event.kind, event.type))


def changed_places(by_session: Sequence[Sequence[PathChange]]) -> list[Values]:
    """Join what differs from the baseline, one list a session, to one row a path; who has no change has its value."""
    baseline: dict[str, str | None] = {}
    for changes in by_session:
        baseline |= {change.path: change.left for change in changes}
    others = [{change.path: change.right for change in changes} for changes in by_session]
    return [Values(path, (value, *(other.get(path, value) for other in others))) for path, value in baseline.items()]


def configuration_places(shown: SideBySide) -> tuple[list[Values], list[Values]]:
    """Give the paths where configurations differ: as asked for, as echoed."""
    return (
        changed_places([diff.configuration_asked for diff in shown.diffs]),
        changed_places([diff.configuration_echoed for diff in shown.diffs]),
    )


def turn_latencies(shown: SideBySide) -> list[TurnLatencies]:
    """Give every latency of every turn that any session has."""
    turns = max((len(detail.turns) for detail in shown.details), default=0)
    found = [
        TurnLatencies(
            number + 1,
            name,
            tuple(
                getattr(detail.turns[number], attribute) if number < len(detail.turns) else None
                for detail in shown.details
            ),
        )
        for number in range(turns)
        for name, attribute in LATENCIES
    ]
    return [latency for latency in found if any(value is not None for value in latency.values_ms)]


def _track_ms(track: str) -> Callable[[SessionDetail], object]:
    def measure(detail: SessionDetail) -> object:
        lengths = [facts.duration_ms for facts in detail.audio if facts.track == track]
        return f"{sum(lengths) / 1000:,.2f} s" if lengths else None

    return measure


def _column(name: str) -> Callable[[SessionDetail], object]:
    return lambda detail: detail.row.get(name)


def _code(name: str) -> Callable[[SessionDetail], object]:
    # It counts nothing: its digits are not set apart by thousands.
    return lambda detail: str(code) if (code := detail.row.get(name)) is not None else None


_OUTCOMES: tuple[tuple[str, Callable[[SessionDetail], object]], ...] = (
    ("outcome", lambda detail: detail.summary.outcome),
    ("failure keys", lambda detail: " · ".join(detail.summary.failure_keys)),
    ("handshake status", _code("handshake_status")),
    ("close code", _code("close_code")),
    ("closed by", _column("closed_by")),
    ("end reason", _column("end_reason")),
    ("turns", lambda detail: detail.summary.turns),
    ("length", lambda detail: f"{(detail.summary.duration_ms or 0.0) / 1000:,.1f} s"),
    ("audio sent", _track_ms("client")),
    ("audio received", _track_ms("server")),
    ("events sent", _column("events_sent")),
    ("events received", _column("events_received")),
    ("input tokens", _column("input_tokens")),
    ("output tokens", _column("output_tokens")),
    ("target", lambda detail: detail.summary.target),
    ("region", lambda detail: detail.summary.region),
    ("model", lambda detail: detail.summary.model),
    ("transcription model", lambda detail: detail.summary.transcription_model),
    ("dialect", lambda detail: detail.summary.dialect),
)
"""What a session came to, then where it went."""


def outcomes(shown: SideBySide) -> list[Values]:
    """Give what each session came to and where it went; what none of them has is left out."""
    found = [Values(name, tuple(_words(measure(detail)) for detail in shown.details)) for name, measure in _OUTCOMES]
    return [each for each in found if any(value is not None for value in each.values)]


def _words(value: object) -> str | None:
    return None if value in (None, "") else f"{value:,}" if isinstance(value, int) else str(value)
