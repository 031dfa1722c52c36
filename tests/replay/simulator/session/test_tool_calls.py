import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from replay.simulator.clips import read_text
from replay.simulator.scenario import ToolCall
from replay.simulator.session.conversation import Item
from replay.simulator.session.tool_calls import choose_call

if TYPE_CHECKING:
    from tests.replay.simulator.conftest import Talk

Event = dict[str, Any]
CALL = ToolCall("get_weather", {"city": "Paris"})
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
TIME = {"type": "function", "name": "get_time"}


@pytest.fixture
def talk(start_talk: "Callable[..., Talk]") -> "Talk":
    return start_talk(tool_call=CALL)


def by_type(events: list[Event], event_type: str) -> list[Event]:
    return [event for event in events if event["type"] == event_type]


def answer(talk: "Talk", **response: Any) -> list[Event]:
    """A response from created to done."""
    return talk.ask("response.create", **({"response": response} if response else {})) + talk.wait(5000)


def test_calls_the_function_and_speaks_once_it_has_the_output(talk: "Talk") -> None:
    talk.configure(tools=[WEATHER])
    events = answer(talk)

    call = by_type(events, "response.done")[0]["response"]["output"][0]
    assert (call["type"], call["status"], call["name"]) == ("function_call", "completed", "get_weather")
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    deltas = by_type(events, "response.function_call_arguments.delta")
    assert "".join(event["delta"] for event in deltas) == call["arguments"]
    assert {event["call_id"] for event in deltas} == {call["call_id"]}

    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
    added = talk.ask("conversation.item.create", item=output)
    assert [event["type"] for event in added] == ["conversation.item.added", "conversation.item.done"]
    assert talk.wait(5000) == []
    spoken = answer(talk)
    assert by_type(spoken, "response.output_audio_transcript.done")[0]["transcript"] == read_text("answer_paris")


def test_follows_the_order_of_the_real_endpoint(talk: "Talk", shared: Path) -> None:
    path = shared / "fixtures" / "azure_ws-tool_call_round.jsonl"
    real = [line["data"] for line in map(json.loads, path.read_text().splitlines()) if line["direction"] == "received"]
    start = next(index for index, event in enumerate(real) if event["type"] == "response.created")
    end = next(index for index, event in enumerate(real) if event["type"] == "response.done")

    talk.configure(tools=[WEATHER])
    ours = answer(talk)[:-1]

    def order(events: list[Event]) -> list[str]:
        names = [event["type"] for event in events]
        return [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]

    assert order(ours) == order(real[start : end + 1])
    fields = {event["type"]: set(event) - {"obfuscation"} for event in real[start : end + 1]}
    assert {event["type"]: set(event) for event in ours} == fields


@pytest.mark.parametrize(
    ("session", "response", "calls"),
    [
        ({"tools": [WEATHER]}, {}, True),
        ({"tools": [TIME]}, {}, False),
        ({}, {}, False),
        ({}, {"tools": [WEATHER]}, True),
        ({"tools": [WEATHER]}, {"tools": []}, False),
        ({"tools": [WEATHER], "tool_choice": "none"}, {}, False),
        ({"tools": [WEATHER]}, {"tool_choice": "none"}, False),
        ({"tools": [WEATHER, TIME]}, {"tool_choice": {"type": "function", "name": "get_time"}}, False),
        ({"tools": [WEATHER, TIME]}, {"tool_choice": {"type": "function", "name": "get_weather"}}, True),
    ],
)
def test_calls_only_what_the_tools_have(talk: "Talk", session: Event, response: Event, calls: bool) -> None:
    talk.configure(**session)

    assert bool(by_type(answer(talk, **response), "response.function_call_arguments.done")) is calls


def test_without_a_call_in_the_scenario_it_speaks() -> None:
    session = {"tools": [WEATHER], "tool_choice": "auto"}

    assert choose_call(None, {}, session, []) is None
    assert choose_call(CALL, {}, session, [Item({"id": "i", "type": "function_call_output"})]) is None
    assert choose_call(CALL, {}, session, [Item({"id": "i", "type": "message"})]) is CALL


def test_cancelled_in_the_middle_the_call_is_incomplete(talk: "Talk") -> None:
    talk.configure(tools=[WEATHER])
    talk.ask("response.create")
    talk.wait(300)
    events = talk.ask("response.cancel")

    assert [event["type"] for event in events] == [
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[2]["item"]["status"] == "incomplete"


def test_out_of_band_a_call_leaves_the_conversation_alone(talk: "Talk") -> None:
    talk.configure(tools=[WEATHER])
    events = answer(talk, conversation="none", input=[])

    assert by_type(events, "response.function_call_arguments.done")
    assert not any(event["type"].startswith("conversation.") for event in events)


def test_arguments_may_be_no_json() -> None:
    assert ToolCall("f", '{"city": ').arguments_json == '{"city": '
    assert ToolCall("f", {"city": "Zürich"}).arguments_json == '{"city": "Zürich"}'
