"""Fold a session's events into rows that a person can read; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analyze.answers import EventDetail, TimelineRow
from analyze.event_columns import Coded, EventColumns, Flags, Integers
from analyze.on_demand import OnDemand
from analyze.wording import Event, error_of, summary_of

TURN_EVENTS = (
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
)

STREAM_COLUMNS = ("sender", "kind", "type", "item_id", "response_id")
"""What the events of one stream have in common."""
StreamKey = tuple[int | str | None, ...]
"""The values of these columns, or a number for each; falsy for none."""


@dataclass(frozen=True, slots=True)
class AudioSpan:
    """A stretch of a track in one format."""

    start_byte: int
    bytes_per_ms: float


class AudioClock:
    """Tells how long audio plays, from where it lies in its track."""

    def __init__(self, spans: Iterable[tuple[str, AudioSpan]]) -> None:
        self._tracks: dict[str, list[AudioSpan]] = {}
        for track, span in spans:
            known = self._tracks.setdefault(track, [])
            if not known or known[-1].bytes_per_ms != span.bytes_per_ms:
                known.append(span)

    def duration_ms(self, track: str | None, start_byte: int | None, byte_count: int | None) -> float | None:
        """Give the playing time of a message's audio; None where it carries none."""
        spans = self._tracks.get(track or "")
        if not spans or start_byte is None or byte_count is None:
            return None
        at = bisect_right(spans, start_byte, key=lambda span: span.start_byte)
        return byte_count / spans[max(0, at - 1)].bytes_per_ms


@dataclass(frozen=True, slots=True)
class RowColumns:
    """What is asked of all rows of a timeline at once."""

    first_seqs: Integers
    last_seqs: Integers
    counts: Integers
    offsets_ms: NDArray[np.float64]
    """NaN where they are not known."""
    types: Coded
    failed: Flags

    def holding(self, seq: int) -> Flags:
        """Tell which rows hold an event."""
        return (self.first_seqs <= seq) & (seq <= self.last_seqs)


class TimelineRows(OnDemand[TimelineRow]):
    """Rows of a timeline over the events of a session.

    `firsts` are the places of the rows' first events, `joined` the places of all events of the rows with several.
    """

    def __init__(
        self, events: EventColumns, clock: AudioClock, firsts: Integers, joined: Mapping[int, Sequence[int]]
    ) -> None:
        super().__init__()
        self.events = events
        self.firsts = firsts
        self._clock = clock
        self._joined = joined
        last_seqs, counts = events.integers("last_seq"), events.integers("events")
        self.columns = RowColumns(
            first_seqs=events.integers("seq")[firsts],
            last_seqs=last_seqs[firsts],
            counts=counts[firsts],
            offsets_ms=events.offset_ms[firsts],
            types=events.types.at(firsts),
            failed=events.failed[firsts],
        )
        for row, places in joined.items():
            self.columns.last_seqs[row] = last_seqs[places[-1]]
            self.columns.counts[row] = counts[places].sum()

    @cached_property
    def has_text(self) -> Flags:
        """Which rows are one message with a text of its own, no piece of a stream."""
        return (self.events.has_payload & ~self.events.streaming)[self.firsts]

    def texts(self, rows: Integers) -> pa.ChunkedArray:
        """Give the texts of the first messages of some rows."""
        return self.events.payloads(self.firsts[rows])

    def __len__(self) -> int:
        return len(self.firsts)

    def _build(self, places: Sequence[int]) -> list[TimelineRow]:
        events = self.events.gather(self.firsts[list(places)])
        return [self._row(row, first) for row, first in zip(places, events, strict=True)]

    def _row(self, row: int, first: Event) -> TimelineRow:
        places = self._joined.get(row)
        texts = (first.payload,) if places is None else map(self.events.payload, places)
        return row_of(
            first,
            texts,
            last_seq=int(self.columns.last_seqs[row]),
            count=int(self.columns.counts[row]),
            audio_ms=self._audio_ms(first, places) if first.audio_track else None,
        )

    def _audio_ms(self, first: Event, places: Sequence[int] | None) -> float:
        # All events of a row are of one stream, and so of one track.
        events = [first] if places is None else self.events.gather(places)
        return sum(self._clock.duration_ms(e.audio_track, e.audio_start, e.audio_bytes) or 0.0 for e in events)


def row_of(
    first: Event, texts: Iterable[str | None], *, last_seq: int, count: int, audio_ms: float | None
) -> TimelineRow:
    """Give the row of events of one stream: the first of them, their texts, and what they come to."""
    return TimelineRow(
        first_seq=first.seq,
        last_seq=last_seq,
        offset_ms=first.offset_ms,
        sender=first.sender,
        kind=first.kind,
        type=first.type,
        count=count,
        audio_ms=audio_ms,
        error=error_of(first),
        item_id=first.item_id,
        response_id=first.response_id,
        summary=summary_of(first, texts),
    )


def columns_of(rows: Sequence[TimelineRow]) -> RowColumns:
    """Give the columns of any rows of a timeline."""
    if isinstance(rows, TimelineRows):
        return rows.columns
    return RowColumns(
        first_seqs=np.array([row.first_seq for row in rows], dtype=np.int64),
        last_seqs=np.array([row.last_seq for row in rows], dtype=np.int64),
        counts=np.array([row.count for row in rows], dtype=np.int64),
        offsets_ms=np.array([np.nan if row.offset_ms is None else row.offset_ms for row in rows], dtype=np.float64),
        types=Coded.of(row.type for row in rows),
        failed=np.array([row.error is not None for row in rows], dtype=np.bool_),
    )


def fold_events(events: EventColumns, clock: AudioClock) -> TimelineRows:
    """Join the events of one stream into rows; a stream ends where its sender says something else about it.

    Rows stand in the order of their first event; rows of streams that run side by side overlap in seq.
    """
    keys = list(zip(*(_numbers(events.coded(name)) for name in STREAM_COLUMNS), strict=True))
    cuts = events.types.is_any(TURN_EVENTS).tolist()
    streams: dict[StreamKey, list[int]] = {}
    firsts: list[int] = []
    joined: dict[int, list[int]] = {}
    for place, is_streaming in enumerate(events.streaming.tolist()):
        key = keys[place]
        if not is_streaming:
            if streams:
                end_streams(streams, key, is_cut=cuts[place])
            firsts.append(place)
            continue
        stream = streams.get(key)
        if stream is None:
            stream = streams[key] = joined[len(firsts)] = []
            firsts.append(place)
        stream.append(place)
    several = {row: places for row, places in joined.items() if len(places) > 1}
    return TimelineRows(events, clock, np.array(firsts, dtype=np.int64), several)


def unfolded(events: EventColumns, clock: AudioClock) -> TimelineRows:
    """Give one row an event."""
    return TimelineRows(events, clock, np.arange(len(events)), {})


def end_streams(streams: dict[StreamKey, Any], event: StreamKey, *, is_cut: bool) -> None:
    """Take out the streams that an event ends which is no piece of one; `is_cut` where it is one of `TURN_EVENTS`.

    The client's audio runs on through all that the endpoint says; turns are where a reader wants it cut.
    """
    for ended in [each for each in streams if is_cut or _ends(event, each)]:
        del streams[ended]


def _numbers(column: Coded) -> list[int]:
    """Give a number an event, 0 where it has no value or an empty one."""
    numbers: list[int] = np.where(column.is_any([""]), 0, column.codes + 1).tolist()
    return numbers


def _ends(event: StreamKey, stream: StreamKey) -> bool:
    if event[0] != stream[0]:
        return False
    # A transcription that ends while the answer is being spoken says nothing of the answer.
    (item, response), (told_item, told_response) = stream[3:], event[3:]
    if not (item or response) or not (told_item or told_response):
        return True
    return bool((item and item == told_item) or (response and response == told_response))


def event_detail(event: Mapping[str, Any], clock: AudioClock) -> EventDetail:
    """Give one event (a whole row of the events view) as it was stored."""
    return EventDetail(
        seq=event["seq"],
        offset_ms=event["offset_ms"],
        at=event["at"] and event["at"].replace(tzinfo=UTC),
        sender=event["sender"],
        kind=event["kind"],
        type=event["type"],
        payload=_stored_text(event, clock),
        wire_bytes=event["wire_bytes"],
        redacted=bool(event["redacted"]),
    )


def _stored_text(event: Mapping[str, Any], clock: AudioClock) -> str:
    payload = event["payload"]
    if payload is None:
        return bytes(event["payload_bytes"] or b"").hex(" ")
    audio_ms = clock.duration_ms(event["audio_track"], event["audio_start"], event["audio_bytes"])
    if audio_ms is None or event["audio_at"] is None:
        return str(payload)
    return f"{payload[: event['audio_at']]}«{audio_ms / 1000:.2f} s of audio»{payload[event['audio_at'] :]}"
