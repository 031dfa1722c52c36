"""The server's side of a recording: what the server sent, and what each message of it followed.

`replay/server_planning.py` makes it of a recording. A tie is hard or soft. Over a hard one that never comes about the
message stays unsent; a soft one is for order only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from capture.realtime.audio_formats import audio_field, decoded_bytes
from capture.realtime.configuration import ConfigurationTracker
from replay.plan import APPEND
from replay.unanswered import Awaited, Moment

OPENED = 0
"""Number of the moment when the connection stood."""

_NO_CLOSE_CODE = 1005


@dataclass(frozen=True, slots=True)
class Heard(Moment):
    """The client's audio up to a place."""

    after: int
    audio_ms: float

    @property
    def name(self) -> str:
        """In words."""
        return f"audio up to {self.audio_ms / 1000:.2f} s"


@dataclass(frozen=True, slots=True)
class Outgoing(Moment):
    """A message of the server, or how it ended the connection."""

    kind: Literal["message", "close", "drop"]
    type: str
    content: str | bytes
    """What a close frame holds, for `close`."""
    hard: set[int] = field(default_factory=set)
    """What must have come about before; numbers of moments."""
    soft: set[int] = field(default_factory=set)
    """What goes before if it comes at all."""

    @property
    def close_code(self) -> int:
        """Code of a close frame."""
        if isinstance(self.content, str) or len(self.content) < 2:
            return _NO_CLOSE_CODE
        return int.from_bytes(self.content[:2], "big")


@dataclass(frozen=True)
class ServerPlan:
    """The server's side of a recording; any number of clients may be served from one."""

    moments: tuple[Moment, ...]
    dependents: Mapping[int, tuple[Outgoing, ...]]
    """Moment -> what depends on it."""
    expected: Mapping[int, tuple[Awaited | Heard, ...]]
    """Moment -> what the client did next."""
    audio_ms: float
    """All audio that the client sent."""
    items: Mapping[int, str]
    """A message of the client that made an item -> the item's id."""
    responses: Mapping[str, int]
    """Response -> the response.create that asked for it."""
    errors: Mapping[str, int]
    """An error's own event_id -> the message that it is about, where neither that message nor the error names one."""
    not_sent: tuple[str, ...]
    """What the recording has of the server and cannot be sent."""

    @property
    def outgoing(self) -> list[Outgoing]:
        """Everything the server did."""
        return [moment for moment in self.moments if isinstance(moment, Outgoing)]

    @property
    def awaited(self) -> list[Awaited]:
        """The client's messages, without audio."""
        return [moment for moment in self.moments if isinstance(moment, Awaited)]

    @property
    def heard(self) -> list[Heard]:
        """Places in the client's audio that something depends on, in order."""
        return sorted((m for m in self.moments if isinstance(m, Heard)), key=lambda m: m.audio_ms)


def audio_length_ms(append: str | bytes, configuration: ConfigurationTracker) -> float:
    """Measure the audio of an append."""
    text = append if isinstance(append, str) else append.decode("utf-8", "replace")
    found = audio_field("client", APPEND, text)
    encoded = found.value if found else ""
    return configuration.input_format.milliseconds(decoded_bytes(encoded))


def kind_of(message: str | bytes) -> str:
    """Name a message that has no type."""
    return "binary" if isinstance(message, bytes) else "text"
