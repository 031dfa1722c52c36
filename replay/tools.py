"""Answer the function calls of a new session from the recording; nothing is ever executed. Pure.

Calls are matched by name and order: the second `get_weather` of the new session gets the output of the recorded second
one. What is called now and was not then is for `OnNewTool` to decide.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from capture.narration import counted
from capture.realtime.asides import Asides
from capture.realtime.events import items_told
from replay.runs import OnNewTool

Json = dict[str, Any]

_SHOWN = 200


@dataclass(slots=True)
class Call:
    """One function call of the model."""

    name: str
    ordinal: int
    """From 1, among the calls of that name."""
    call_id: str
    arguments: str = ""
    output: str | None = None
    """What the client answered; None where it did not."""

    def __str__(self) -> str:
        """Write it as a call: `get_weather #2 {"city": "Rome"}`."""
        arguments = self.arguments if len(self.arguments) <= _SHOWN else f"{self.arguments[:_SHOWN]}…"
        return f"{self.name} #{self.ordinal} {arguments}".rstrip()


class ToolCalls:
    """The function calls of one session in their order; feed it the messages of both senders."""

    def __init__(self) -> None:
        self._by_id: dict[str, Call] = {}
        self._by_name: dict[str, list[Call]] = {}
        self._chosen: set[str] = set()
        self._asides = Asides()

    def observe(self, sender: str, event: Json) -> None:
        """Take one message in."""
        event_type = event.get("type")
        self._asides.observe(event)
        if sender == "client":
            if event_type == "conversation.item.create":
                self._take_from_client(event.get("item"))
            return
        # Whatever a response out of band calls, in any order with the conversation's: it calls for nobody.
        if not self._asides.holds(event):
            for item in items_told(event):
                self._take_call(item)
        if event_type == "response.function_call_arguments.done":
            known = self._by_id.get(str(event.get("call_id")))
            if known is not None and isinstance(event.get("arguments"), str):
                known.arguments = event["arguments"]

    def find(self, name: str, ordinal: int) -> Call | None:
        """Give a call by its name and ordinal."""
        calls = self._by_name.get(name, [])
        return calls[ordinal - 1] if 1 <= ordinal <= len(calls) else None

    def named(self, name: str) -> list[Call]:
        """List the calls of a name."""
        return self._by_name.get(name, [])

    def called_in(self, event: Json) -> list[Call]:
        """List the calls of a response that is done; a response out of band calls for nobody."""
        response = event.get("response")
        if event.get("type") != "response.done" or not isinstance(response, dict) or self._asides.holds(event):
            return []
        if response.get("status") not in (None, "completed"):
            return []
        found = (self._by_id.get(str(item.get("call_id"))) for item in items_told(event))
        return [call for call in found if call is not None]

    def _take_call(self, item: Json) -> None:
        if item.get("type") != "function_call":
            return
        name, call_id = item.get("name"), item.get("call_id")
        if not isinstance(name, str) or not isinstance(call_id, str) or call_id in self._chosen:
            return
        if call_id not in self._by_id:
            same = self._by_name.setdefault(name, [])
            self._by_id[call_id] = Call(name, len(same) + 1, call_id)
            same.append(self._by_id[call_id])
        if isinstance(item.get("arguments"), str) and item["arguments"]:
            self._by_id[call_id].arguments = item["arguments"]

    def _take_from_client(self, item: object) -> None:
        if not isinstance(item, dict) or not isinstance(item.get("call_id"), str):
            return
        if item.get("type") == "function_call":
            # Of a history that the client seeds: nobody answers it.
            self._chosen.add(item["call_id"])
        elif item.get("type") == "function_call_output" and item["call_id"] in self._by_id:
            output = item.get("output")
            self._by_id[item["call_id"]].output = output if isinstance(output, str) else json.dumps(output)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is done about one call of the new session."""

    call: Call
    kind: str
    """`new_tool`, `tool_arguments` or `late_call`, as a divergence is called."""
    expected: str
    action: str
    output: str | None = None
    """What to answer here; None: nothing, a step of the plan does, or the trial ends."""
    ends: bool = False


def reply(call: Call, recorded: ToolCalls, policy: OnNewTool, skipped: Collection[str] = ()) -> Reply | None:
    """Tell what to do about a call; None where it is the recorded one, or was not answered then either.

    With the policy `recorded` a call that is one more of its name gets the last output that the recording has.
    `skipped` are the recorded calls (their call_id) whose output was to be sent before anything called for it.
    """
    same = recorded.find(call.name, call.ordinal)
    if same is not None:
        if same.call_id in skipped:
            return Reply(call, "late_call", str(same), "answered with the recorded output", same.output)
        if same.output is None or _same_arguments(same.arguments, call.arguments):
            return None
        return Reply(call, "tool_arguments", str(same), "answered with the recorded output")
    known = recorded.named(call.name)
    expected = f"{call.name} called {counted(len(known), 'time')}" if known else f"{call.name} never called"
    if policy == "stop":
        return Reply(call, "new_tool", expected, "ended", ends=True)
    used = [each for each in known if each.output is not None]
    if policy == "recorded" and used:
        return Reply(call, "new_tool", expected, f"answered with the output of {used[-1]}", used[-1].output)
    return Reply(call, "new_tool", expected, "answered with an empty output", "")


def _same_arguments(recorded: str, now: str) -> bool:
    try:
        return bool(json.loads(recorded) == json.loads(now))
    except ValueError:
        return recorded == now


def output_event(call: Call, output: str) -> Json:
    """Write the message that answers a call."""
    item = {"type": "function_call_output", "call_id": call.call_id, "output": output}
    return {"type": "conversation.item.create", "item": item}
