"""The timeline of a session that goes on: rows come and grow, and the oldest make room; pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from analyze.answers import TimelineRow
from analyze.plain_text import shorten
from analyze.timeline import AudioClock, Folding, Stream
from analyze.wording import Event

MOST_ROWS = 5000
"""Kept of a session at most: an hour of talk, folded."""
_LONGEST_WORDS = 1000
"""Characters of a type or an error that are kept: whoever sends them may send any number."""
LONGEST_PAYLOAD = 8000
"""Characters of a message that are kept."""
MOST_PAYLOAD = 4_000_000
"""Characters of all messages that are kept: the oldest make room before their rows do."""
# How long audio plays stands with its blocks, and these come when they are full.
_NO_CLOCK = AudioClock(())


class LiveRow(NamedTuple):
    """One row of a session in flight."""

    row: TimelineRow
    """Without the length of its audio."""
    wire_bytes: int
    """Of its events' frames with their headers, as compressed."""
    payload: str | None
    """Of its first event, its audio cut out; None where that is no text, or made room."""


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
        self._folding = Folding(_NO_CLOCK) if fold else None

    def add(self, events: Iterable[Event]) -> None:
        """Take in the next events."""
        changed: dict[int, Stream] = {}
        for event in events:
            stream = Stream(event, _NO_CLOCK) if self._folding is None else self._folding.add(event)
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

    def _put(self, seq: int, stream: Stream) -> None:
        at = bisect_left(self.rows, seq, key=lambda each: each.row.first_seq)
        if at == len(self.rows):
            row = _live_row(stream)
            self._payload_characters += len(row.payload or "")
            self.rows.append(row)
        elif self.rows[at].row.first_seq == seq:
            self.rows[at] = _live_row(stream)._replace(payload=self.rows[at].payload)
        # Else it grew where nobody can see it any more.


def event_of(row: Mapping[str, Any]) -> Event:
    """Give a row of the events table as the timeline knows it; a column that is absent is NULL."""
    seq, column = row["seq"], row.get
    # By name and place: this is done for each message of a call of hours.
    return Event(
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


def _live_row(stream: Stream) -> LiveRow:
    row, payload = stream.row(), stream.first.payload
    if len(row.type or "") > _LONGEST_WORDS or len(row.error or "") > _LONGEST_WORDS:
        type_, error = (words and shorten(words, _LONGEST_WORDS) for words in (row.type, row.error))
        row = replace(row, type=type_, error=error)
    return LiveRow(row, stream.wire_bytes, payload and shorten(payload, LONGEST_PAYLOAD))
