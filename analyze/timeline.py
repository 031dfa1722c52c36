"""Fold a session's events into rows that a person can read; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from analyze.answers import EventDetail, TimelineRow
from analyze.wording import Event, error_of, summary_of

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


def fold_events(events: Iterable[Event], clock: AudioClock) -> list[TimelineRow]:
    """Join the events of one stream into rows; a stream ends where its sender says something else about it.

    Rows stand in the order of their first event; rows of streams that run side by side overlap in seq.
    """
    streams: dict[_StreamKey, _Stream] = {}
    rows: list[_Stream] = []
    for event in events:
        if not is_streaming(event.kind, event.type):
            for key in [key for key in streams if _ends(event, key)]:
                del streams[key]
            rows.append(_Stream([event]))
            continue
        key = (event.sender, event.kind, event.type, event.item_id, event.response_id)
        stream = streams.get(key)
        if stream is None:
            stream = streams[key] = _Stream()
            rows.append(stream)
        stream.events.append(event)
    return [stream.row(clock) for stream in rows]


def unfolded(events: Iterable[Event], clock: AudioClock) -> list[TimelineRow]:
    """Give one row an event."""
    return [_Stream([event]).row(clock) for event in events]


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


@dataclass(slots=True)
class _Stream:
    """The events of one row to be."""

    events: list[Event] = field(default_factory=list)

    def row(self, clock: AudioClock) -> TimelineRow:
        first = self.events[0]
        return TimelineRow(
            first_seq=first.seq,
            last_seq=self.events[-1].last_seq,
            offset_ms=first.offset_ms,
            sender=first.sender,
            kind=first.kind,
            type=first.type,
            count=sum(event.events for event in self.events),
            audio_ms=self._audio_ms(clock) if first.audio_track else None,
            error=error_of(first),
            item_id=first.item_id,
            response_id=first.response_id,
            summary=summary_of(self.events),
        )

    def _audio_ms(self, clock: AudioClock) -> float:
        return sum(clock.duration_ms(e.audio_track, e.audio_start, e.audio_bytes) or 0.0 for e in self.events)


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
