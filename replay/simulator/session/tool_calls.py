"""Call a function: a response whose one item is a `function_call` with its arguments streamed."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from replay.simulator.scenario import ToolCall
from replay.simulator.session.conversation import Item, Json
from replay.simulator.session.responses import Answer, ResponseRun
from replay.simulator.session.runs import Event
from replay.simulator.session.spoiling import Moment

_TOKEN_MS = 20
_TOKEN = re.compile(r"\w+|\W")


class ToolCallRun(ResponseRun):
    """One response that calls the scenario's function instead of speaking."""

    def __init__(self, *fields: Any, call: ToolCall, call_id: str, **named: Any) -> None:
        self._call = call
        self._call_id = call_id
        super().__init__(*fields, **named)

    def _empty_item(self, item_id: str) -> Json:
        return {
            "id": item_id,
            "type": "function_call",
            "status": "in_progress",
            "name": self._call.name,
            "call_id": self._call_id,
            "arguments": "",
        }

    def _moments_of(self, answer: Answer) -> list[Moment]:
        says = [partial(self._say, token) for token in _TOKEN.findall(self._call.arguments_json)]
        first_ms = answer.first_delta_ms
        return [
            Moment(0, "created", self._create),
            Moment(first_ms, "opened", self._open_item),
            *(Moment(first_ms + index * _TOKEN_MS, "words", say) for index, say in enumerate(says)),
            *self._moments_of_end(first_ms + len(says) * _TOKEN_MS),
        ]

    def _open_part(self) -> list[Event]:
        return []

    def _say(self, token: str) -> list[Event]:
        self._said.append(token)
        return [self._call_event("delta", delta=token)]

    def _close_parts(self, status: str) -> list[Event]:
        arguments = "".join(self._said)
        self._item.content = {**self._item.content, "status": status, "arguments": arguments}
        return [self._call_event("done", name=self._call.name, arguments=arguments)]

    def _call_event(self, outcome: str, **fields: str) -> Event:
        return {
            "type": f"response.function_call_arguments.{outcome}",
            "response_id": self.response_id,
            "item_id": self._item.item_id,
            "output_index": 0,
            "call_id": self._call_id,
            **fields,
        }


def choose_call(call: ToolCall | None, settings: Json, session: Json, context: list[Item]) -> ToolCall | None:
    """Tell which function a response calls: the scenario's, where its tools have it and no output is to be told."""
    if call is None or (context and context[-1].content["type"] == "function_call_output"):
        return None
    tools = settings.get("tools", session["tools"])
    choice = settings.get("tool_choice", session["tool_choice"])
    forced = choice.get("name", call.name) if isinstance(choice, dict) else call.name
    known = any(tool.get("name") == call.name for tool in tools or ())
    return call if known and choice != "none" and forced == call.name else None
