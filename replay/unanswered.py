"""The client's messages of a recording that nothing has answered yet, and which of them an event of the server answers.

Nothing but error.event_id and the ids of items says so: the rest goes by type and by order (protocol section 1.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from capture.realtime.configuration import get_path
from capture.realtime.events import asks_out_of_band
from replay.plan import UPDATES

Json = dict[str, Any]

CREATE, COMMIT, CANCEL = "response.create", "input_audio_buffer.commit", "response.cancel"
_ITEM_CREATE = "conversation.item.create"
ANSWERS = {
    "session.updated": UPDATES,
    "input_audio_buffer.cleared": {"input_audio_buffer.clear"},
    "conversation.item.truncated": {"conversation.item.truncate"},
    "conversation.item.deleted": {"conversation.item.delete"},
    "conversation.item.retrieved": {"conversation.item.retrieve"},
}
"""Events that answer one message of the client; first come, first answered."""
_CULPRITS = {
    "conversation_already_has_active_response": CREATE,
    "response_cancel_not_active": CANCEL,
    "input_audio_buffer_commit_empty": COMMIT,
    "invalid_tool_call_id": _ITEM_CREATE,
}
"""Error code -> what the client had sent, where the error names no event_id."""
_ANSWERED = {*UPDATES, CREATE, COMMIT, CANCEL, _ITEM_CREATE}.union(*ANSWERS.values())


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

    def answer(self, types: set[str], *, item_id: object = None) -> Awaited | None:
        """Give the first of some types, about that item where one is named."""
        return self._take(
            a for a in self._left if a.type in types and (item_id is None or a.event.get("item_id") == item_id)
        )

    def response(self, *, in_conversation: bool, before: int | None) -> Awaited | None:
        """Give the response.create that a response was made for; None where what came `before` it is due first."""
        asked = (a for a in self._left if a.type == CREATE and asks_out_of_band(a.event) != in_conversation)
        first = next(asked, None)
        return None if first is None or (before is not None and before < first.number) else self._take(iter([first]))

    def creation(self, item: Json) -> Awaited | None:
        """Give the message that made an item."""
        waiting = [a for a in self._left if a.type == _ITEM_CREATE]
        same_id = [a for a in waiting if get_path(a.event, "item.id") == item.get("id")]
        same_kind = (
            a
            for a in waiting
            if get_path(a.event, "item.id") is None
            and all(get_path(a.event, f"item.{name}") == item.get(name) for name in ("type", "role", "call_id"))
        )
        return self._take(iter(same_id) if same_id else same_kind)

    def culprit(self, error: Json) -> Awaited | None:
        """Give the message that an error is about; None where it is about none."""
        named = error.get("event_id")
        found = self._take(a for a in self._left if isinstance(named, str) and a.event.get("event_id") == named)
        code, param = error.get("code"), error.get("param")
        if found is not None:
            return found
        if isinstance(code, str) and code in _CULPRITS:
            return self.answer({_CULPRITS[code]})
        if isinstance(param, str) and param.startswith("session"):
            return self.answer(UPDATES)
        if error.get("type") != "invalid_request_error":
            return None
        # Of what is still to be answered the last: an endpoint refuses at once, and answers in its own time.
        return self._take(a for a in reversed(self._left) if a.type in _ANSWERED)

    def last_since(self, number: int) -> Awaited | None:
        """Give the last that came with nothing of the server since a moment; it stays unanswered."""
        return next((a for a in reversed(self._left) if a.after == number), None)

    def _take(self, candidates: Iterator[Awaited]) -> Awaited | None:
        found = next(candidates, None)
        if found is not None:
            self._left.remove(found)
        return found
