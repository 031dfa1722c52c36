"""Pair the events of two sessions and read what differs in each pair; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from analyze.alignment import ABSENT, align_by_turn, differences, masked, masked_configuration, masked_texts
from analyze.answers import DiffRow, Marker, PathChange, SessionDetail, TimelineRow, Turn
from analyze.event_columns import Coded, Flags, Integers
from analyze.on_demand import OnDemand
from analyze.timeline import TimelineRows
from analyze.wording import parse_payload

_SLACK_MS = 200.0
"""Streams are cut where the other side speaks: so much more or less audio is timing, not content."""
_TOKEN_COLUMNS = ("sender", "kind", "type")
Changes = tuple[PathChange, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sessions."""

    detail: SessionDetail
    rows: TimelineRows
    """Folded."""


@dataclass(frozen=True, slots=True)
class PairColumns:
    """What is asked of all pairs at once."""

    turns: Integers
    """0 before the first turn."""
    is_left: Flags
    """Whether the left session has the event."""
    differs: Flags
    """Whether the pair is not equal."""
    changes: Mapping[int, Changes]
    """By the number of the pair, where its events differ."""


class DiffRows(OnDemand[DiffRow]):
    """The pairs of two sessions' rows: `lefts` and `rights` are numbers of rows, -1 where a side has none."""

    def __init__(self, left: Side, right: Side, lefts: Integers, rights: Integers, turns: Integers) -> None:
        super().__init__()
        self._left, self._right = left, right
        self._lefts, self._rights = lefts, rights
        changes = dict(_changes(left.rows, right.rows, lefts, rights))
        differs = (lefts < 0) | (rights < 0)
        differs[list(changes)] = True
        self.columns = PairColumns(turns, lefts >= 0, differs, changes)

    def __len__(self) -> int:
        return len(self._lefts)

    def _build(self, places: Sequence[int]) -> list[DiffRow]:
        lefts = _some(self._left.rows, self._lefts[list(places)])
        rights = _some(self._right.rows, self._rights[list(places)])
        return [self._pair(*each) for each in zip(places, lefts, rights, strict=True)]

    def _pair(self, place: int, left: TimelineRow | None, right: TimelineRow | None) -> DiffRow:
        turn = int(self.columns.turns[place])
        changes = self.columns.changes.get(place, ())
        marker: Marker = "+" if left is None else "-" if right is None else "≠" if changes else "="
        return DiffRow(
            marker=marker,
            turn=turn or None,
            left=left,
            right=right,
            changes=changes,
            latency_left_ms=_since_speech(self._left, turn, left),
            latency_right_ms=_since_speech(self._right, turn, right),
        )


def columns_of(rows: Sequence[DiffRow]) -> PairColumns:
    """Give the columns of any pairs."""
    if isinstance(rows, DiffRows):
        return rows.columns
    return PairColumns(
        turns=np.array([row.turn or 0 for row in rows], dtype=np.int64),
        is_left=np.array([row.left is not None for row in rows], dtype=np.bool_),
        differs=np.array([row.marker != "=" for row in rows], dtype=np.bool_),
        changes={place: row.changes for place, row in enumerate(rows) if row.changes},
    )


def pair_rows(left: Side, right: Side) -> DiffRows:
    """Pair the rows of two sessions, turn by turn, with the fewest that stay alone."""
    left_turns, right_turns = (_turn_of_rows(side) for side in (left, right))
    left_tokens, right_tokens = _tokens(left.rows, right.rows)
    pairs = align_by_turn(
        _by_turn(left_tokens, left_turns, len(left.detail.turns)),
        _by_turn(right_tokens, right_turns, len(right.detail.turns)),
    )
    lefts, rights = (
        np.array([-1 if pair[side] is None else pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1)
    )
    turns = np.zeros(len(pairs), dtype=np.int64)
    turns[rights >= 0] = right_turns[rights[rights >= 0]]
    turns[lefts >= 0] = left_turns[lefts[lefts >= 0]]
    return DiffRows(left, right, lefts, rights, turns)


def _turn_of_rows(side: Side) -> Integers:
    """Give the number of each row's turn; 0 before the first. A turn begins once, whatever times come after."""
    starts = np.maximum.accumulate(np.array([_start_of(turn) for turn in side.detail.turns], dtype=np.float64))
    offsets = np.nan_to_num(side.rows.columns.offsets_ms, nan=-np.inf)
    numbers: Integers = np.searchsorted(starts, np.maximum.accumulate(offsets), side="right")
    return numbers


def _start_of(turn: Turn) -> float:
    known = (turn.speech_started_ms, turn.end_of_speech_ms, turn.committed_ms)
    return next((at_ms for at_ms in known if at_ms is not None), float("inf"))


def _tokens(left: TimelineRows, right: TimelineRows) -> tuple[Integers, Integers]:
    """Give each row the number of its kind of message, the same on both sides."""
    tokens = np.zeros(len(left) + len(right), dtype=np.int64)
    for name in _TOKEN_COLUMNS:
        both = [side.events.coded(name).at(side.firsts) for side in (left, right)]
        known = Coded.of([*both[0].values, *both[1].values])
        numbers = np.split(known.codes, [len(both[0].values)])
        # A value that is missing has the last number, one more than any other.
        codes = [np.append(of, len(known.values))[each.codes] for of, each in zip(numbers, both, strict=True)]
        tokens = tokens * (len(known.values) + 1) + np.concatenate(codes)
    return tokens[: len(left)], tokens[len(left) :]


def _by_turn(tokens: Integers, turns: Integers, count: int) -> list[list[int]]:
    edges = np.searchsorted(turns, np.arange(count + 2)).tolist()
    numbers: list[int] = tokens.tolist()
    return [numbers[edges[turn] : edges[turn + 1]] for turn in range(count + 1)]


def _changes(
    left: TimelineRows, right: TimelineRows, lefts: Integers, rights: Integers
) -> Iterator[tuple[int, Changes]]:
    """Give the pairs that differ, and where."""
    paired = np.flatnonzero((lefts >= 0) & (rights >= 0))
    is_text = left.has_text[lefts[paired]] & right.has_text[rights[paired]]
    yield from _text_changes(left, right, lefts, rights, paired[is_text])
    rest = paired[~is_text]
    ours, theirs = left.at(lefts[rest].tolist()), right.at(rights[rest].tolist())
    for place, a, b in zip(rest.tolist(), ours, theirs, strict=True):
        if found := tuple(_stream_changes(a, b)):
            yield place, found


def _text_changes(
    left: TimelineRows, right: TimelineRows, lefts: Integers, rights: Integers, places: Integers
) -> Iterator[tuple[int, Changes]]:
    # Most messages are the same but for ids and times, which is told without parsing them.
    texts = (left.texts(lefts[places]), right.texts(rights[places]))
    with ThreadPoolExecutor(len(texts)) as threads:
        ours, theirs = threads.map(masked_texts, texts)
    places = places[pc.not_equal(ours, theirs).to_numpy()]
    ours, theirs = left.texts(lefts[places]), right.texts(rights[places])
    for place, a, b in zip(places.tolist(), ours.to_pylist(), theirs.to_pylist(), strict=True):
        if found := changes(parse_payload(a), parse_payload(b)):
            yield place, found


def changes(left: Any, right: Any) -> Changes:
    """List the places where two JSON values differ, ids and times masked."""
    return _path_changes(masked(left), masked(right))


def configuration_changes(left: dict[str, Any], right: dict[str, Any]) -> Changes:
    """List the places where two session objects differ, but for what the endpoint gave them."""
    return _path_changes(masked_configuration(left), masked_configuration(right))


def _path_changes(left: Any, right: Any) -> Changes:
    return tuple(PathChange(path, _json_text(a), _json_text(b)) for path, a, b in differences(left, right))


def _json_text(value: Any) -> str | None:
    return None if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _stream_changes(left: TimelineRow, right: TimelineRow) -> Iterator[PathChange]:
    left_ms, right_ms = left.audio_ms or 0.0, right.audio_ms or 0.0
    if abs(left_ms - right_ms) > _SLACK_MS:
        yield PathChange("audio_ms", f"{left_ms:.0f}", f"{right_ms:.0f}")
    if left.summary != right.summary:
        yield PathChange("text", _json_text(left.summary), _json_text(right.summary))


def _some(rows: TimelineRows, numbers: Integers) -> list[TimelineRow | None]:
    """Give some rows; None for -1."""
    found = iter(rows.at(numbers[numbers >= 0].tolist()))
    return [next(found) if number >= 0 else None for number in numbers.tolist()]


def _since_speech(side: Side, turn: int, row: TimelineRow | None) -> float | None:
    if row is None or not 0 < turn <= len(side.detail.turns):
        return None
    end_ms = side.detail.turns[turn - 1].end_of_speech_ms
    return None if end_ms is None or row.offset_ms is None else row.offset_ms - end_ms
