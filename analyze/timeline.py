"""Fold a session's events into rows that a person can read; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from analyze.answers import EventDetail, TimelineRow
from analyze.wording import SUMMARY_LENGTH, Event, delta_of, error_of, summary_of

_TURN_EVENTS = (
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
)

_StreamKey = tuple[str, str, str | None, str | None, str | None]
"""Sender, kind, type, item, response."""


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


def is_streaming(kind: str, event_type: str | None) -> bool:
    """Tell whether an event is one of a stream: audio or text in pieces, or a heartbeat."""
    if kind in ("ping", "pong"):
        return True
    return event_type is not None and event_type.endswith((".delta", ".append"))


class Stream:
    """The events of one row, summed up as they come."""

    __slots__ = ("_audio_ms", "_count", "_last_seq", "_letters", "_telling", "first", "wire_bytes")

    def __init__(self, first: Event, clock: AudioClock) -> None:
        self.first = first
        self.wire_bytes = 0
        self._last_seq = first.last_seq
        self._count = 0
        self._audio_ms = 0.0
        self._telling: list[Event] = []
        """What the words of the row are made of: of a stream of hours, no more than these hold."""
        self._letters = 0
        self.add(first, clock)

    def add(self, event: Event, clock: AudioClock) -> None:
        """Take in the next event of the stream."""
        self._last_seq = event.last_seq
        self._count += event.events
        self.wire_bytes += event.wire_bytes or 0
        if event.audio_track:
            self._audio_ms += clock.duration_ms(event.audio_track, event.audio_start, event.audio_bytes) or 0.0
        if not self._telling:
            self._telling.append(event)
        elif self._letters <= SUMMARY_LENGTH and event.audio_track is None and (letters := len(delta_of(event))):
            self._telling.append(event)
            self._letters += letters

    def row(self) -> TimelineRow:
        """Give the row as it stands."""
        first = self.first
        return TimelineRow(
            first_seq=first.seq,
            last_seq=self._last_seq,
            offset_ms=first.offset_ms,
            sender=first.sender,
            kind=first.kind,
            type=first.type,
            count=self._count,
            audio_ms=self._audio_ms if first.audio_track else None,
            error=error_of(first),
            item_id=first.item_id,
            response_id=first.response_id,
            summary=summary_of(self._telling),
        )


class Folding:
    """Joins the events of one stream as they come; a stream ends where its sender says something else about it."""

    def __init__(self, clock: AudioClock) -> None:
        self._clock = clock
        self._streams: dict[_StreamKey, Stream] = {}

    def add(self, event: Event) -> Stream:
        """Take in the next event; give the stream that it begins, or that it is the next of."""
        if not is_streaming(event.kind, event.type):
            for key in [key for key in self._streams if _ends(event, key)]:
                del self._streams[key]
            return Stream(event, self._clock)
        key = (event.sender, event.kind, event.type, event.item_id, event.response_id)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(event, self._clock)
        else:
            stream.add(event, self._clock)
        return stream


def fold_events(events: Iterable[Event], clock: AudioClock) -> list[TimelineRow]:
    """Join the events of one stream into rows.

    Rows stand in the order of their first event; rows of streams that run side by side overlap in seq.
    """
    folding, streams = Folding(clock), []
    for event in events:
        stream = folding.add(event)
        if stream.first is event:
            streams.append(stream)
    return [stream.row() for stream in streams]


def unfolded(events: Iterable[Event], clock: AudioClock) -> list[TimelineRow]:
    """Give one row an event."""
    return [Stream(event, clock).row() for event in events]


def _ends(event: Event, stream: _StreamKey) -> bool:
    # The client's audio runs on through everything the endpoint says; turns are where a reader wants it cut.
    if event.type in _TURN_EVENTS:
        return True
    sender, _, _, *subjects = stream
    if event.sender != sender:
        return False
    # A transcription that ends while the answer is being spoken says nothing of the answer.
    known = {subject for subject in subjects if subject}
    told = {subject for subject in (event.item_id, event.response_id) if subject}
    return not known or not told or not known.isdisjoint(told)


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
