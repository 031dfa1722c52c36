"""Tell responses out of band (a moderation, a summary) from those of the conversation; pure.

An endpoint says so by a conversation_id of null. Some say null of all responses, and old ones say nothing: there a
response is out of band that the client asked for as such.
"""

from __future__ import annotations

from typing import Any

from capture.realtime.events import asks_out_of_band, object_of, response_of

Json = dict[str, Any]

_TELLS_CONVERSATION = frozenset({"response.created", "response.done"})


class Asides:
    """The responses of one session that are out of band; feed it the events of both senders in order."""

    def __init__(self) -> None:
        self._asked = 0
        """Responses out of band that the client asked for and that have not begun."""
        self._are_conversations_named = False
        """Whether a response named its conversation: from there on null says something."""
        self._known: dict[str | None, bool] = {}

    def observe(self, event: Json) -> bool:
        """Take one event in; tell whether it is a response.created or response.done of a response out of band."""
        event_type = event.get("type")
        if event_type == "response.create":
            self._asked += asks_out_of_band(event)
            return False
        if event_type not in _TELLS_CONVERSATION:
            return False
        response_id = response_of(event)
        if event_type == "response.created" or response_id not in self._known:
            self._known[response_id] = self._is_aside(object_of(event, "response"))
        return self._known[response_id]

    def holds(self, event: Json) -> bool:
        """Tell whether an event of the endpoint is about a response that is known to be out of band."""
        return self._known.get(response_of(event), False)

    def _is_aside(self, response: Json) -> bool:
        if response.get("conversation_id") is not None:
            self._are_conversations_named = True
            return False
        if self._asked:
            self._asked -= 1
            return True
        return self._are_conversations_named and "conversation_id" in response
