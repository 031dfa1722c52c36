"""What a file of another tool holds of one WebSocket session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from capture.importers.times import Moment
from capture.recording.facts import Sender
from capture.wire import WireKind

Headers = Sequence[tuple[str, str]]


class SourceMessage(NamedTuple):
    """One message or control frame."""

    sender: Sender
    kind: WireKind
    content: bytes
    at: Moment | None = None
    """None where the file does not tell."""


class Unreadable(NamedTuple):
    """A part of a file that could not be read."""

    place: str
    """As people find it: `line 17`, `entry 3, message 12`."""
    reason: str
    """Never quotes the file: it may hold a secret."""
    is_lost: bool = True
    """Whether it may have been a message; else it is something that is no message, and nothing is missing."""
    is_partly_read: bool = False
    """What of it can be read is imported."""


Item = SourceMessage | Unreadable


@dataclass(frozen=True, slots=True)
class SourceEnd:
    """What a file tells of a session's end; None in a field: not that."""

    reason: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    at: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class SourceSession:
    """One session of a file."""

    key: str
    """Tells it from the file's other sessions, always the same."""
    items: Callable[[], Iterator[Item]]
    """Reads its messages, and what of it cannot be read, in the file's order; may be called more than once."""
    count: int
    """How many of them there are."""
    first_at: Moment | None = None
    """Time of its first message that has one; None: it has no times."""
    started_ns: int | None = None
    """When the file says that it began, since 1970."""
    url: str | None = None
    method: str = "GET"
    remote_ip: str | None = None
    request_headers: Headers | None = None
    response_headers: Headers | None = None
    status: int | None = None
    body: bytes = b""
    """Of the answer, where the upgrade was refused."""
    end: SourceEnd | None = None
    """None where the file tells none."""
    tags: Mapping[str, str] = field(default_factory=dict)
