"""Map the ids of a recorded session to those of the session that replays it.

Items, responses and calls get their ids from the endpoint, so a replay has others. Both sessions are indexed in
the same way, by what a thing is and its ordinal (the recipe of protocol section 2): the n-th committed audio,
the n-th assistant message, the n-th call of one function. Ids that the client chose are the same in both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from capture.realtime.events import is_in_conversation, object_of

Json = dict[str, Any]

_ADDED = {"conversation.item.added", "conversation.item.created", "response.output_item.added"}


class IdKey(NamedTuple):
    """What carries an id: its kind (`item`, `response`, `call`), its role, and its ordinal from 0."""

    kind: str
    role: str
    ordinal: int


class IdIndex:
    """The ids of one session by what they belong to; feed it the messages of both senders in order."""

    def __init__(self) -> None:
        self.keys: dict[str, IdKey] = {}
        """Id given by the endpoint -> what carries it."""
        self.ids: dict[IdKey, str] = {}
        """The same, the other way round."""
        self.chosen: set[str] = set()
        """Ids that the client chose itself."""
        self._counts: dict[tuple[str, str], int] = {}

    def observe(self, sender: str, event: Json) -> None:
        """Take one message in."""
        event_type = event.get("type")
        if sender == "client":
            if event_type == "conversation.item.create":
                self._choose(object_of(event, "item"))
        elif event_type == "input_audio_buffer.committed":
            self._add("item", "user audio", event.get("item_id"))
        elif event_type in _ADDED:
            self._add_item(object_of(event, "item"))
        elif event_type == "response.created":
            response = object_of(event, "response")
            self._add("response", "default" if is_in_conversation(response) else "out of band", response.get("id"))

    def _choose(self, item: Json) -> None:
        chosen = [item.get("id")]
        if item.get("type") == "function_call":
            chosen.append(item.get("call_id"))
        self.chosen.update(name for name in chosen if isinstance(name, str))

    def _add_item(self, item: Json) -> None:
        role = ":".join(str(item[part]) for part in ("type", "role", "name") if item.get(part))
        self._add("item", role, item.get("id"))
        if item.get("type") == "function_call":
            self._add("call", str(item.get("name")), item.get("call_id"))

    def _add(self, kind: str, role: str, identifier: object) -> None:
        if not isinstance(identifier, str) or identifier in self.keys or identifier in self.chosen:
            return
        ordinal = self._counts.get((kind, role), 0)
        self._counts[kind, role] = ordinal + 1
        key = IdKey(kind, role, ordinal)
        self.keys[identifier] = key
        self.ids[key] = identifier


class IdMap:
    """Answers with the new session's id for a recorded one."""

    def __init__(self, recorded: IdIndex) -> None:
        self.session = IdIndex()
        """The new session; feed it every message sent and received."""
        self._recorded = recorded

    def find(self, recorded_id: str) -> str | None:
        """Give the new id; None while the new session has no counterpart.

        An id that the client chose, or that means nothing in the recording either, stays as it is.
        """
        key = self._recorded.keys.get(recorded_id)
        return recorded_id if key is None else self.session.ids.get(key)

    def describe(self, recorded_id: str) -> str:
        """Say in words what a recorded id belongs to: `user audio 2 (item_x)`."""
        key = self._recorded.keys.get(recorded_id)
        return recorded_id if key is None else f"{key.kind} {key.role} #{key.ordinal + 1} ({recorded_id})"
