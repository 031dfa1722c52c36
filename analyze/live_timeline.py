"""The timeline of a session that goes on: rows come and grow, and the oldest make room; pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

from analyze.answers import TimelineRow
from analyze.event_columns import is_streaming
from analyze.timeline import STREAM_COLUMNS, TURN_EVENTS, StreamKey, end_streams, row_of
from analyze.wording import SUMMARY_LENGTH, Event, delta_of
from capture.plain_text import shorten

MOST_ROWS = 5000
"""Kept of a session at most: an hour of talk, folded."""
_LONGEST_WORDS = 1000
"""Characters of a type or an error that are kept: whoever sends them may send any number."""
LONGEST_PAYLOAD = 8000
"""Characters of a message that are kept."""
MOST_PAYLOAD = 4_000_000
"""Characters of all messages that are kept: the oldest make room before their rows do."""
_stream_key = attrgetter(*STREAM_COLUMNS)


class LiveRow(NamedTuple):
    """One row of a session in flight."""

    row: TimelineRow
    wire_bytes: int
    """Of its events' frames with their headers, as compressed."""
    payload: str | None
    """Of its first event, its audio cut out; None where that is no text, or made room."""


class LiveEvent(NamedTuple):
    """One event of a session in flight."""

    event: Event
    audio_ms: float | None
    """None where it carries no audio."""


class LiveTimeline:
    """The newest rows of a session in flight."""

    def __init__(self, *, fold: bool, most: int = MOST_ROWS) -> None:
        """Fold runs of one streaming type, or give each event a row; keep `most` rows."""
        self.rows: list[LiveRow] = []
        """In the order of their first event."""
        self.passed = 0
        """Rows that were there before these."""
        self._most = most
        self._payload_characters = 0
        self._first_with_payload = 0
        """Index of a row before which none has a payload."""
        self._streams: dict[StreamKey, _Stream] | None = {} if fold else None

    def add(self, events: Iterable[LiveEvent]) -> None:
        """Take in the next events."""
        changed: dict[int, _Stream] = {}
        for event, audio_ms in events:
            stream = self._stream_of(event)
            stream.add(event, audio_ms)
            changed[stream.first.seq] = stream
        for seq in sorted(changed):
            self._put(seq, changed[seq])
        self._make_room()

    def _make_room(self) -> None:
        over = max(0, len(self.rows) - self._most)
        while self._first_with_payload < over or self._payload_characters > MOST_PAYLOAD:
            at = self._first_with_payload
            self._payload_characters -= len(self.rows[at].payload or "")
            self.rows[at] = self.rows[at]._replace(payload=None)
            self._first_with_payload += 1
        del self.rows[:over]
        self._first_with_payload -= over
        self.passed += over

    def _stream_of(self, event: Event) -> _Stream:
        if self._streams is None:
            return _Stream(event)
        key = _stream_key(event)
        if not is_streaming(event.kind, event.type):
            end_streams(self._streams, key, is_cut=event.type in TURN_EVENTS)
            return _Stream(event)
        return self._streams.setdefault(key, _Stream(event))

    def _put(self, seq: int, stream: _Stream) -> None:
        at = bisect_left(self.rows, seq, key=lambda each: each.row.first_seq)
        if at == len(self.rows):
            row = _live_row(stream)
            self._payload_characters += len(row.payload or "")
            self.rows.append(row)
        elif self.rows[at].row.first_seq == seq:
            self.rows[at] = _live_row(stream)._replace(payload=self.rows[at].payload)
        # Else it grew where nobody can see it any more.


def event_of(row: Mapping[str, Any]) -> LiveEvent:
    """Give a row of the events table as the timeline knows it; a column that is absent is NULL."""
    seq, column = row["seq"], row.get
    # By name and place: this is done for each message of a call of hours.
    event = Event(
        seq,
        seq,
        1,
        row["offset_ns"] / 1e6,
        row["sender"],
        row["kind"],
        column("type"),
        column("item_id"),
        column("response_id"),
        column("error_type"),
        column("error_code"),
        column("error_message"),
        column("payload"),
        column("payload_bytes"),
        column("audio_track"),
        column("audio_start"),
        column("audio_bytes"),
        column("wire_bytes"),
    )
    return LiveEvent(event, column("audio_ms"))


class _Stream:
    """The events of one row, summed up as they come."""

    __slots__ = ("_audio_ms", "_count", "_last_seq", "_letters", "_texts", "first", "wire_bytes")

    def __init__(self, first: Event) -> None:
        self.first = first
        self.wire_bytes = 0
        self._last_seq = first.seq
        self._audio_ms: float | None = None
        self._count = 0
        self._texts: list[str | None] = []
        """What the words of the row are made of: of a stream of hours, no more than these hold."""
        self._letters = 0

    def add(self, event: Event, audio_ms: float | None) -> None:
        """Take in the next event."""
        self._last_seq = event.last_seq
        if audio_ms is not None:
            self._audio_ms = (self._audio_ms or 0.0) + audio_ms
        self._count += event.events
        self.wire_bytes += event.wire_bytes or 0
        if self._letters <= SUMMARY_LENGTH and (not self._texts or event.audio_track is None):
            letters = len(delta_of(event.payload))
            if letters or not self._texts:
                self._texts.append(event.payload)
                self._letters += letters

    def row(self) -> TimelineRow:
        """Give the row as it stands."""
        return row_of(self.first, self._texts, last_seq=self._last_seq, count=self._count, audio_ms=self._audio_ms)


def _live_row(stream: _Stream) -> LiveRow:
    row, payload = stream.row(), stream.first.payload
    if len(row.type or "") > _LONGEST_WORDS or len(row.error or "") > _LONGEST_WORDS:
        type_, error = (words and shorten(words, _LONGEST_WORDS) for words in (row.type, row.error))
        row = replace(row, type=type_, error=error)
    return LiveRow(row, stream.wire_bytes, payload and shorten(payload, LONGEST_PAYLOAD))
