"""The client's messages of a recording that nothing has answered yet, and which of them an event of the server answers.

How an answer finds its message is in `capture/realtime/answering.py`.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from capture.realtime.answering import find_asker, find_creation, find_culprit, find_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something of the recording that others follow."""

    number: int
    offset_ns: int
    """When it was, since the session's start."""


@dataclass(frozen=True, slots=True)
class Awaited(Moment):
    """A message of the client, other than audio."""

    after: int
    """What the server had sent last by then: number of a moment."""
    type: str
    """Event type; `text` or `binary` where it was no event."""
    event: Json
    name: str
    """In words."""


class Unanswered:
    """Feed it the client's messages in order, and ask it about each event of the server."""

    def __init__(self) -> None:
        self._left: list[Awaited] = []

    def add(self, awaited: Awaited) -> None:
        """Take in what the client sent."""
        self._left.append(awaited)

    def answer(self, types: Set[str], *, item_id: object = None) -> Awaited | None:
        """Give the first of some types, about that item where one is named."""
        return self._take(find_of(self._events, types, item_id=item_id))

    def response(self, response: Json, *, before: int | None) -> Awaited | None:
        """Give the response.create that a response was made for; None where what came `before` it is due first."""
        asked = find_asker(response, self._events)
        if asked is None or (before is not None and before < self._left[asked].number):
            return None
        return self._take(asked)

    def creation(self, item: Json) -> Awaited | None:
        """Give the message that made an item."""
        return self._take(find_creation(item, self._events))

    def culprit(self, error: Json) -> Awaited | None:
        """Give the message that an error is about; None where it is about none."""
        return self._take(find_culprit(error, self._events))

    def last_since(self, number: int) -> Awaited | None:
        """Give the last that came with nothing of the server since a moment; it stays unanswered."""
        return next((a for a in reversed(self._left) if a.after == number), None)

    @property
    def _events(self) -> list[Json]:
        return [awaited.event for awaited in self._left]

    def _take(self, place: int | None) -> Awaited | None:
        return None if place is None else self._left.pop(place)
