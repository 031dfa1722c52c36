"""Ids that a script's session has seen, put in place of `{item}`, `{response}` and `{call}`."""

from __future__ import annotations

import re
from typing import Any

_PLACE = re.compile(r"\{(item|response|call)\}")
_NULL = "{null}"
_ITEM_EVENTS = frozenset({"conversation.item.added", "conversation.item.created", "response.output_item.added"})


class UnseenId(Exception):
    """A step names the id of something that has not come yet."""


class SeenIds:
    """The last ids of items, responses and calls that the endpoint told."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def note(self, event: dict[str, Any]) -> None:
        """Take in an event of the endpoint."""
        kind, item, response = event.get("type"), event.get("item"), event.get("response")
        if kind in _ITEM_EVENTS and isinstance(item, dict):
            self._set("item", item.get("id"))
            self._set("call", item.get("call_id"))
        if kind == "response.created" and isinstance(response, dict):
            self._set("response", response.get("id"))
        self._set("call", event.get("call_id"))

    def fill(self, value: Any) -> Any:
        """Give a value of JSON with the ids in their places, and null for `{null}`, which TOML does not have.

        Raises `UnseenId` where one has not come yet.
        """
        if isinstance(value, dict):
            return {name: self.fill(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.fill(member) for member in value]
        if value == _NULL:
            return None
        return _PLACE.sub(self._look_up, value) if isinstance(value, str) else value

    def _set(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            self._ids[name] = value

    def _look_up(self, place: re.Match[str]) -> str:
        name = place[1]
        if name not in self._ids:
            raise UnseenId(f"no {name} has been seen yet")
        return self._ids[name]
