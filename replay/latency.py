"""Measure how long a caller waited in each turn, from the end of speech to the first audio of the answer; pure.

Sealing measures it (`capture/turn_latencies.py`); recordings of earlier versions are measured here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from capture.realtime.events import EventHeader, object_of, parse_event
from capture.turn_latencies import TurnLatencies

_READ_WHOLE = ("response.create", "response.created", "error", "conversation.item.create")


class Timed(Protocol):
    """What is read of a recorded message (`capture.recording.reader.RecordedMessage`)."""

    @property
    def offset_ns(self) -> int:
        """Time since the session's start."""

    @property
    def type(self) -> str | None:
        """Event type."""

    @property
    def response_id(self) -> str | None:
        """The response it belongs to."""

    @property
    def call_id(self) -> str | None:
        """The call it answers."""

    @property
    def content(self) -> str | bytes:
        """Its text."""


def first_audio_ms(messages: Iterable[Timed]) -> list[float]:
    """Give the wait of each turn that was answered with audio, in milliseconds and in order."""
    turns = TurnLatencies()
    for message in messages:
        header = EventHeader(type=message.type, response_id=message.response_id, call_id=message.call_id)
        event = parse_event(message.content) if message.type in _READ_WHOLE else None
        if message.type == "error":
            error = object_of(event or {}, "error")
            header.error_code, header.error_message = error.get("code"), error.get("message")
        turns.observe(header, message.offset_ns, event)
    return heard_ms(turns.rows())


def heard_ms(latencies: Iterable[Mapping[str, float | None]]) -> list[float]:
    """Take from the turns of a session (`sessions.turn_latencies`) those that were answered with audio."""
    return [waited_ms for turn in latencies if (waited_ms := turn["first_audio_ms"]) is not None]
