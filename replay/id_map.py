"""Map the ids of a recorded session to those of the session that replays it.

Items, responses and calls get their ids from the endpoint, so a replay has others. Both sessions are indexed in
the same way, by what a thing is and its ordinal (the recipe of protocol section 2): the n-th committed audio,
the n-th assistant message, the n-th call of one function. What responses out of band bring is counted apart, for they
run beside the conversation and come in any order; the metadata that the client gave them tells them from each other.
Ids that the client chose are the same in both.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from capture.realtime.asides import Asides
from capture.realtime.events import items_told, object_of, response_of

Json = dict[str, Any]

_USER_AUDIO = ("item", "user audio")
_ANNOUNCES = {
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
}
"""Events that give the id of a turn's item before there is one."""


class IdKey(NamedTuple):
    """What carries an id: its kind (`item`, `response`, `call`), its role, and its ordinal from 0."""

    kind: str
    role: str
    ordinal: int


class IdIndex:
    """The ids of one session by what they belong to; feed it the messages of both senders in order."""

    def __init__(self) -> None:
        self.keys: dict[str, IdKey] = {}
        """Id given by the endpoint -> what carries it, or will."""
        self.ids: dict[IdKey, str] = {}
        """The same, the other way round, of what there is."""
        self.announced: dict[IdKey, str] = {}
        """Of turns that are still spoken, the id that the endpoint gave last."""
        self.chosen: set[str] = set()
        """Ids that the client chose itself."""
        self._counts: dict[tuple[str, str], int] = {}
        self._asides = Asides()
        self._beside: dict[str, str] = {}
        """Response out of band -> its role."""

    def observe(self, sender: str, event: Json) -> None:
        """Take one message in."""
        event_type = event.get("type")
        is_aside = self._asides.observe(event)
        if sender == "client":
            if event_type == "conversation.item.create":
                self._choose(object_of(event, "item"))
            return
        if event_type in _ANNOUNCES:
            self._announce(event.get("item_id"))
        elif event_type == "input_audio_buffer.committed":
            self._add(*_USER_AUDIO, event.get("item_id"))
        elif event_type in ("response.created", "response.done"):
            self._add_response(object_of(event, "response"), is_aside=is_aside)
        for item in items_told(event):
            self._add_item(item, self._beside.get(response_of(event) or ""))

    def exists(self, identifier: str) -> bool:
        """Tell whether there is something that bears an id of the endpoint; a turn that is still spoken is nothing."""
        key = self.keys.get(identifier)
        return key is not None and self.ids.get(key) == identifier

    def _choose(self, item: Json) -> None:
        chosen = [item.get("id")]
        if item.get("type") == "function_call":
            chosen.append(item.get("call_id"))
        self.chosen.update(name for name in chosen if isinstance(name, str))

    def _announce(self, identifier: object) -> None:
        # Not counted: a turn that is cleared, or announced anew under another id, never becomes an item.
        if isinstance(identifier, str) and not self.exists(identifier):
            key = IdKey(*_USER_AUDIO, self._counts.get(_USER_AUDIO, 0))
            self.keys[identifier] = key
            self.announced[key] = identifier

    def _add_response(self, response: Json, *, is_aside: bool) -> None:
        role = "default"
        if is_aside:
            metadata = response.get("metadata")
            role = f"out of band {json.dumps(metadata, sort_keys=True)}" if metadata else "out of band"
            self._beside.setdefault(str(response.get("id")), role)
        self._add("response", role, response.get("id"))

    def _add_item(self, item: Json, beside: str | None) -> None:
        of_response = f" {beside}" if beside else ""
        role = ":".join(str(item[part]) for part in ("type", "role", "name") if item.get(part))
        self._add("item", role + of_response, item.get("id"))
        if item.get("type") == "function_call":
            self._add("call", str(item.get("name")) + of_response, item.get("call_id"))

    def _add(self, kind: str, role: str, identifier: object) -> None:
        if not isinstance(identifier, str) or self.exists(identifier) or identifier in self.chosen:
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

    def find_announced(self, recorded_id: str) -> str | None:
        """Give the new id like `find`; of a turn that is still spoken the one that its item will bear."""
        key = self._recorded.keys.get(recorded_id)
        return self.find(recorded_id) or (None if key is None else self.session.announced.get(key))

    def describe(self, recorded_id: str) -> str:
        """Say in words what a recorded id belongs to: `user audio 2 (item_x)`."""
        key = self._recorded.keys.get(recorded_id)
        return recorded_id if key is None else f"{key.kind} {key.role} #{key.ordinal + 1} ({recorded_id})"
