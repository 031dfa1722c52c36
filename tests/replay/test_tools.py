"""Function calls of a new session: the recorded ones, other arguments, new ones, and those that do not come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.planning import make_plan
from replay.player import Player
from replay.tools import ToolCalls, reply
from tests.replay.conftest import Script
from tests.replay.test_player import CREATED, Stage

Json = dict[str, Any]
Called = tuple[str, str]
"""Name and arguments."""

CREATE = {"type": "response.create"}


def call_item(number: int, called: Called) -> Json:
    return {
        "type": "function_call",
        "id": f"item_{number}",
        "call_id": f"call_{number}",
        "name": called[0],
        "arguments": called[1],
    }


def output(number: int, text: str) -> Json:
    item = {"type": "function_call_output", "call_id": f"call_{number}", "output": text}
    return {"type": "conversation.item.create", "item": item}


def response(number: int, *items: Json) -> list[tuple[float, Json]]:
    told = {"id": f"resp_{number}", "status": "completed"}
    return [
        (10, {"type": "response.created", "response": told}),
        *((20.0, {"type": "response.output_item.added", "item": {**item, "arguments": ""}}) for item in items),
        *((30.0, {"type": "response.output_item.done", "item": item}) for item in items),
        (40, {"type": "response.done", "response": {**told, "output": list(items)}}),
    ]


PARIS, ROME = ("get_weather", '{"city": "Paris"}'), ("get_weather", '{"city":"Rome"}')


@pytest.fixture
def asked_the_weather(script: Script) -> Script:
    """Give a session that called get_weather for Paris once, and spoke then."""
    script.server(CREATED).client(CREATE, 0)
    for at_ms, event in response(1, call_item(1, PARIS)):
        script.server(event, at_ms)
    script.client(output(1, "mild"), 100).client(CREATE, 101)
    for at_ms, event in response(2):
        script.server(event, 200 + at_ms)
    return script


def play(script: Script, *answers: Sequence[Called], ends: str = "completed", **options: Any) -> Stage:
    """Play against an endpoint whose responses call these, one list each; further ones speak."""
    left = list(answers)
    made: list[int] = []

    def endpoint(event: Json) -> Iterable[tuple[float, Json]]:
        if event["type"] != "response.create":
            return []
        calls = left.pop(0) if left else []
        items = [call_item(70 + len(made) + at, called) for at, called in enumerate(calls)]
        made.extend(range(len(calls)))
        return response(9 - len(left), *items)

    stage = Stage(Player(make_plan(script.messages), **options), endpoint)
    assert stage.play() == ends
    return stage


def sent(stage: Stage) -> list[str]:
    return [event["item"]["output"] if "item" in event else event["type"] for event in stage.events()]


def told(stage: Stage) -> list[tuple[str, str, str, str]]:
    return [(d.kind, d.expected, d.seen, d.action) for d in stage.diverged]


def test_a_call_gets_the_recorded_output_and_the_new_call_s_id(asked_the_weather: Script) -> None:
    stage = play(asked_the_weather, [PARIS])
    assert sent(stage) == ["response.create", "mild", "response.create"]
    assert stage.events()[1]["item"]["call_id"] == "call_70"
    assert stage.diverged == []


def test_other_arguments_are_told_and_answered_all_the_same(asked_the_weather: Script) -> None:
    stage = play(asked_the_weather, [ROME])
    assert sent(stage) == ["response.create", "mild", "response.create"]
    assert told(stage) == [
        (
            "tool_arguments",
            'get_weather #1 {"city": "Paris"}',
            'get_weather #1 {"city":"Rome"}',
            "answered with the recorded output",
        )
    ]


@pytest.mark.parametrize(("policy", "answered"), [("recorded", "mild"), ("empty", "")])
def test_a_call_more_is_answered_and_gone_on_from(asked_the_weather: Script, policy: str, answered: str) -> None:
    stage = play(asked_the_weather, [PARIS], [ROME], on_new_tool=policy)
    assert sent(stage) == ["response.create", "mild", "response.create", answered, "response.create"]
    assert stage.events()[3]["item"]["call_id"] == "call_71"
    [(kind, expected, seen, action)] = told(stage)
    assert (kind, expected, seen) == ("new_tool", "get_weather called 1 time", 'get_weather #2 {"city":"Rome"}')
    assert action.startswith("answered with")
    assert [change.kind for _, send in stage.sent for change in send.changes] == ["id", "tool_output", "tool_output"]


def test_a_tool_that_was_never_called_gets_an_empty_output(asked_the_weather: Script) -> None:
    stage = play(asked_the_weather, [PARIS], [("get_time", "{}"), ("get_date", "no json")])
    assert sent(stage) == ["response.create", "mild", "response.create", "", "", "response.create"]
    assert [(d.expected, d.action) for d in stage.diverged] == [
        ("get_time never called", "answered with an empty output"),
        ("get_date never called", "answered with an empty output"),
    ]


def test_a_new_call_ends_the_trial_where_that_is_asked_for(asked_the_weather: Script) -> None:
    stage = play(asked_the_weather, [("get_time", "{}")], ends="new_tool: get_time was called", on_new_tool="stop")
    assert sent(stage) == ["response.create"]
    assert told(stage) == [("new_tool", "get_time never called", "get_time #1 {}", "ended")]


def test_a_call_that_is_not_made_again_is_not_waited_for_nor_gone_on_from(asked_the_weather: Script) -> None:
    asked_the_weather.client(CREATE, 1000)
    stage = play(asked_the_weather)
    assert sent(stage) == ["response.create", "response.create"]
    assert [(d.expected, d.seen, d.action) for d in stage.diverged] == [
        (
            "call get_weather #1 (call_1) before conversation.item.create",
            "not in 1 response",
            "skipped",
        ),
        ("the output of 1 call before response.create", "none was sent", "skipped"),
    ]
    assert stage.now_ns < 2_000_000_000


def test_a_call_that_comes_a_turn_later_gets_the_recorded_output_then(asked_the_weather: Script) -> None:
    asked_the_weather.client(CREATE, 1000)
    stage = play(asked_the_weather, [], [PARIS])
    assert sent(stage) == ["response.create", "response.create", "mild", "response.create"]
    assert stage.events()[2]["item"]["call_id"] == "call_70"
    paris = 'get_weather #1 {"city": "Paris"}'
    assert [each.action for each in stage.diverged[:2]] == ["skipped", "skipped"]
    assert told(stage)[2:] == [("late_call", paris, paris, "answered with the recorded output")]


def test_as_recorded_a_new_call_stays_unanswered(asked_the_weather: Script) -> None:
    stage = play(asked_the_weather, [PARIS], [ROME], as_recorded=True)
    assert sent(stage) == ["response.create", "mild", "response.create"]
    assert stage.diverged == []


def test_an_approval_waits_for_its_request_and_names_it(script: Script) -> None:
    def request(item_id: str) -> Json:
        item = {"type": "mcp_approval_request", "id": item_id, "name": "search", "arguments": "{}", "server_label": "s"}
        return {"type": "conversation.item.added", "item": item}

    approval = {"type": "mcp_approval_response", "id": "mine", "approval_request_id": "req_a", "approve": True}
    script.server(CREATED).client(CREATE, 0).server(request("req_a"), 20)
    script.client({"type": "conversation.item.create", "item": approval}, 30)
    plan = make_plan(script.messages)
    assert [str(wait) for wait in plan.steps[1].after] == ["item req_a"]
    answers = [(500.0, request("req_z")), *((at + 600, event) for at, event in response(1))]
    stage = Stage(Player(plan), lambda event: answers if event == CREATE else [])
    assert stage.play() == "completed"
    assert stage.times_ms == [5, 505]
    assert stage.events()[1]["item"] == approval | {"approval_request_id": "req_z"}
    assert stage.diverged == []


def test_what_a_response_out_of_band_calls_is_none_of_the_conversation_s_calls() -> None:
    beside = {"type": "response.created", "response": {"id": "resp_x", "conversation_id": None}}
    calls = ToolCalls()
    calls.observe("client", {"type": "response.create", "response": {"conversation": "none"}})
    calls.observe("server", beside)
    for number, response_id in ((1, "resp_x"), (2, "resp_d")):
        item = call_item(number, PARIS)
        calls.observe("server", {"type": "response.output_item.done", "response_id": response_id, "item": item})
    assert [call.call_id for call in calls.named("get_weather")] == ["call_2"]


def test_a_call_is_answered_though_the_endpoint_told_of_it_with_its_response_alone(script: Script) -> None:
    def only_at_the_end(number: int) -> list[tuple[float, Json]]:
        return [told for told in response(number, call_item(number, PARIS)) if "output_item" not in told[1]["type"]]

    script.server(CREATED).client(CREATE, 0)
    for at_ms, event in only_at_the_end(1):
        script.server(event, at_ms)
    script.client(output(1, "mild"), 100)
    player = Player(make_plan(script.messages))
    stage = Stage(player, lambda event: only_at_the_end(7) if event == CREATE else [])
    assert stage.play() == "completed"
    assert stage.events()[1]["item"]["call_id"] == "call_7"


def test_a_history_that_the_client_seeds_calls_for_nothing() -> None:
    calls = ToolCalls()
    seeded = {**call_item(1, PARIS), "call_id": "mine"}
    calls.observe("client", {"type": "conversation.item.create", "item": seeded})
    calls.observe("server", {"type": "conversation.item.added", "item": seeded})
    assert calls.find("get_weather", 1) is None


@given(
    recorded=st.lists(st.sampled_from(["a", "b"]), max_size=4),
    made=st.lists(st.sampled_from(["a", "b", "c"]), max_size=6),
)
def test_every_call_is_answered_once_by_what_was_recorded_under_its_name(recorded: list[str], made: list[str]) -> None:
    before, now = ToolCalls(), ToolCalls()
    for number, name in enumerate(recorded):
        before.observe("server", {"type": "response.output_item.added", "item": call_item(number, (name, "{}"))})
        before.observe("client", output(number, f"{name} says {number}"))
    for number, name in enumerate(made):
        item = call_item(100 + number, (name, "{}"))
        now.observe("server", {"type": "response.done", "response": {"output": [item]}})
        [call] = now.called_in({"type": "response.done", "response": {"output": [item]}})
        answer = reply(call, before, "recorded")
        if made[: number + 1].count(name) <= recorded.count(name):
            assert answer is None
        else:
            assert answer is not None
            wanted = f"{name} says" if name in recorded else ""
            assert (answer.output or "").startswith(wanted)


@pytest.mark.parametrize(
    "event", ["{}", '{"type":"response.done"}', '{"type":"response.done","response":{"output":[7]}}']
)
def test_events_of_any_shape_do_no_harm(event: str) -> None:
    calls = ToolCalls()
    for sender in ("client", "server"):
        calls.observe(sender, json.loads(event))
    assert calls.called_in(json.loads(event)) == []
