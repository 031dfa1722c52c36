"""Find what a client's message was in the recording, and call things as this client does.

Messages are matched by what they are and their order: the n-th session.update, the n-th output of one call. Ids that
the endpoint gave are the same in both sessions. Those that the client chose (of items, of its own calls, event_ids,
the metadata of responses) are its own, and are put in their place in what it is sent.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from typing import Any

from capture.realtime.answering import UPDATES
from capture.realtime.configuration import get_path, list_paths
from capture.realtime.events import asks_out_of_band, parse_event, write_json
from capture.redaction import redact_message
from replay.rewrite import is_id_field
from replay.server_plan import ServerPlan
from replay.unanswered import Awaited

Json = dict[str, Any]

_ABOUT_AN_ITEM = {"conversation.item.truncate", "conversation.item.delete", "conversation.item.retrieve"}
_MISSING = object()
_SHOWN = 200
"""Characters of a setting that are told: instructions may be pages long."""


class Counterparts:
    """The recorded messages of the client that one new client has not sent yet, and its ids."""

    def __init__(self, plan: ServerPlan) -> None:
        self._items = plan.items
        self._responses: dict[int, str] = {asked: response for response, asked in plan.responses.items()}
        self._errors: dict[int, list[str]] = defaultdict(list)
        for error, about in plan.errors.items():
            self._errors[about].append(error)
        self._left: dict[tuple[str, ...], deque[Awaited]] = defaultdict(deque)
        for awaited in plan.awaited:
            self._left[_lane(awaited.type, awaited.event)].append(awaited)
        self._counts: Counter[str] = Counter()
        self._ids: dict[str, str] = {}
        """Recorded id -> this client's, where they differ."""
        self._event_ids: dict[str, object] = {}
        self._named: dict[str, object] = {}
        """Error -> the event_id of this client's message that it is about, where the recorded one had none."""
        self._metadata: dict[str, object] = {}
        """Response -> what this client asked for it to bear."""

    def match(self, event_type: str, event: Json) -> Awaited | None:
        """Take in a message; give its counterpart, or None where the recording has none left."""
        self._counts[event_type] += 1
        recorded_ids = {mine: recorded for recorded, mine in self._ids.items()}
        left = self._left.get(_lane(event_type, _renamed(event, recorded_ids)))
        if not left:
            return None
        found = left.popleft()
        self._note(found, event)
        return found

    def describe(self, event_type: str, event: Json) -> str:
        """Say in words which message the last matched one was: `response.create #3`."""
        named = (get_path(event, "item.type"), get_path(event, "item.call_id"), event.get("item_id"))
        about = " ".join(name for name in named if isinstance(name, str))
        return f"{event_type} #{self._counts[event_type]}" + (f" ({about})" if about else "")

    def translate(self, event_type: str, content: str | bytes) -> str | bytes:
        """Put this client's ids into a message of the server; what holds none of them keeps its very bytes."""
        if not (self._ids or self._event_ids or self._named or self._metadata) or event_type.endswith(".delta"):
            return content
        event = parse_event(content)
        if event is None:
            return content
        mine: Json = _renamed(event, self._ids)
        named = get_path(event, "error.event_id")
        if isinstance(named, str) and named in self._event_ids:
            mine["error"]["event_id"] = self._event_ids[named]
        error_id = event.get("event_id")
        if event_type == "error" and isinstance(error_id, str) and error_id in self._named:
            mine["error"]["event_id"] = self._named[error_id]
        response_id = get_path(event, "response.id")
        if isinstance(response_id, str) and response_id in self._metadata:
            mine["response"]["metadata"] = self._metadata[response_id]
        return content if mine == event else write_json(mine)

    def _note(self, recorded: Awaited, event: Json) -> None:
        event_id = recorded.event.get("event_id")
        if isinstance(event_id, str) and event.get("event_id") != event_id:
            self._event_ids[event_id] = event.get("event_id")
        if event.get("event_id") is not None:
            self._named |= dict.fromkeys(self._errors.get(recorded.number, ()), event["event_id"])
        self._rename(get_path(recorded.event, "item.id") or self._items.get(recorded.number), event, "item.id")
        if get_path(event, "item.type") == "function_call":
            self._rename(get_path(recorded.event, "item.call_id"), event, "item.call_id")
        metadata = get_path(event, "response.metadata")
        response_id = self._responses.get(recorded.number)
        if response_id is not None and metadata != get_path(recorded.event, "response.metadata"):
            self._metadata[response_id] = metadata

    def _rename(self, recorded_id: object, event: Json, path: str) -> None:
        mine = get_path(event, path)
        if isinstance(recorded_id, str) and isinstance(mine, str) and mine != recorded_id:
            self._ids[recorded_id] = mine


def differing_settings(recorded: Awaited, event: Json) -> Iterator[str]:
    """List what a session.update asks otherwise than its counterpart: the recorded answers are to that one."""
    if recorded.type not in UPDATES:
        return
    trees = [{"session": get_path(each, "session")} for each in (recorded.event, _without_secrets(event))]
    for path in dict.fromkeys(path for tree in trees for path in list_paths(tree)):
        before, now = (get_path(tree, path, _MISSING) for tree in trees)
        if not (isinstance(before, dict) and isinstance(now, dict)) and before != now:
            parent = path.rpartition(".")[0]
            # Of a tree that one of them lacks the top says it all.
            if all(isinstance(get_path(tree, parent), dict) for tree in trees):
                yield f"{path} is {_words(now)}, recorded {_words(before)}"


def _lane(event_type: str, event: Json) -> tuple[str, ...]:
    if event_type == "conversation.item.create":
        item = event.get("item")
        kind = item if isinstance(item, dict) else {}
        # An output answers one call; a call that the client writes itself bears an id of its own choice.
        call_id = kind.get("call_id") if kind.get("type") == "function_call_output" else ""
        return event_type, str(kind.get("type")), str(kind.get("role")), str(call_id)
    if event_type in _ABOUT_AN_ITEM:
        return event_type, str(event.get("item_id"))
    if event_type == "response.create":
        return event_type, "beside" if asks_out_of_band(event) else ""
    return (event_type,)


def _renamed(node: Any, ids: dict[str, str], path: str = "") -> Any:
    if isinstance(node, str):
        return ids.get(node, node) if is_id_field(path) else node
    if isinstance(node, dict):
        return {name: _renamed(child, ids, f"{path}.{name}" if path else name) for name, child in node.items()}
    if isinstance(node, list):
        return [_renamed(child, ids, f"{path}[{position}]") for position, child in enumerate(node)]
    return node


def _without_secrets(event: Json) -> Json:
    # They are not in the recording either, and what differs is told.
    redacted = redact_message(json.dumps(event))
    return event if redacted is None else parse_event(redacted) or {}


def _words(value: object) -> str:
    words = "not set" if value is _MISSING else json.dumps(value, ensure_ascii=False)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
