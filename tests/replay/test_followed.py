"""Whether what a step waits for has come about."""

from __future__ import annotations

from typing import Any

from replay.anchors import Answers
from replay.followed import Followed
from replay.plan import Dependency
from replay.planning import make_plan
from tests.replay.conftest import Script
from tests.replay.test_player import CREATE, CREATED, UPDATE, UPDATED, begun, done

Json = dict[str, Any]
CALL = {"type": "function_call", "id": "item_c", "call_id": "call_c", "name": "get_weather"}
CALLED = {"type": "response.output_item.added", "item": CALL}


def followed(script: Script) -> Followed:
    script.server(CREATED).client(CREATE, 0).server(begun("resp_a"), 10).server(CALLED, 20).server(done("resp_a"), 30)
    return Followed(make_plan(script.messages), Answers())


def test_each_thing_is_there_once_it_came(script: Script) -> None:
    session = followed(script)
    waits: list[tuple[str, Json, Dependency | None]] = [
        ("server", CREATED, Dependency("session.created")),
        ("client", UPDATE, None),
        ("server", UPDATED, Dependency("session.updated", 1)),
        ("client", CREATE, None),
        ("server", begun("resp_1"), Dependency("response.created", 1)),
        ("server", {**CALLED, "item": {**CALL, "call_id": "call_1"}}, Dependency("call", 1, "call_c")),
        ("server", done("resp_1"), Dependency("response.done", 1)),
    ]
    for sender, event, wait in waits:
        assert wait is None or not session.has(wait)
        session.observe(0, sender, event)
        assert wait is None or session.has(wait)
    assert session.ids.find("call_c") == "call_1"


def test_a_response_that_was_asked_for_beside_the_plan_does_not_count(script: Script) -> None:
    session = followed(script)
    session.own_responses = 1
    for number in (1, 2):
        assert not session.has(Dependency("response.done", 1))
        session.observe(0, "server", begun(f"resp_{number}"))
        session.observe(0, "server", done(f"resp_{number}"))
    assert session.has(Dependency("response.done", 1))


def test_a_call_will_not_come_once_the_responses_it_could_be_in_are_done(script: Script) -> None:
    session, wait = followed(script), Dependency("call", 1, "call_c")
    session.observe(0, "server", begun("resp_1"))
    assert not session.never_has(wait)
    session.observe(0, "server", done("resp_1"))
    assert session.never_has(wait)
    assert not session.never_has(Dependency("item", 0, "item_c"))


def test_a_turn_is_announced_before_it_is_there(script: Script) -> None:
    started: Json = {"type": "input_audio_buffer.speech_started", "item_id": "item_a"}
    committed: Json = {"type": "input_audio_buffer.committed", "item_id": "item_a"}
    session = Followed(make_plan(script.server(CREATED).server(started).server(committed).messages), Answers())
    waits = [Dependency("announcement", recorded_id="item_a"), Dependency("item", recorded_id="item_a")]
    assert [session.has(wait) for wait in waits] == [False, False]
    session.observe(0, "server", started | {"item_id": "item_1"})
    assert [session.has(wait) for wait in waits] == [True, False]
    session.observe(0, "server", committed | {"item_id": "item_1"})
    assert [session.has(wait) for wait in waits] == [True, True]
