"""From a recording to a plan: order, clock, and what each send waits for."""

from __future__ import annotations

from typing import Any

import pytest

from replay.plan import Plan
from replay.planning import make_plan

Json = dict[str, Any]

CREATED = {"type": "session.created", "session": {"type": "realtime", "voice": "alloy"}}
UPDATE = {"type": "session.update", "session": {"type": "realtime", "voice": "marin"}}
UPDATED = {"type": "session.updated", "session": {"type": "realtime", "voice": "marin"}}
SPOKEN = {"type": "response.output_item.added", "item": {"id": "item_b", "type": "message", "role": "assistant"}}


def begun(response_id: str) -> Json:
    return {"type": "response.created", "response": {"id": response_id}}


def done(response_id: str) -> Json:
    return {"type": "response.done", "response": {"id": response_id}}


def waits(plan: Plan, number: int) -> list[str]:
    return [str(wait) for wait in plan.steps[number].after]


def test_every_message_of_the_client_is_a_step_in_its_order_and_to_the_byte(script: Any) -> None:
    script.server(CREATED).client(UPDATE, 10).server(UPDATED, 20)
    script.append(100).append(120).client("no json {", 130, kind="text").client(b"\x00\xff", 140, kind="binary")
    plan = make_plan(script.messages)
    sent = [message.content for message in script.messages if message.sender == "client"]
    assert [step.content for step in plan.steps] == sent
    assert [step.number for step in plan.steps] == [0, 1, 2, 3, 4]


def test_the_clock_begins_with_the_first_append(script: Any) -> None:
    script.server(CREATED).client(UPDATE, 10).server(UPDATED, 20).append(3000).append(3020).append(3055)
    plan = make_plan(script.messages)
    assert [step.not_before_ns for step in plan.steps] == [None, 0, 20_000_000, 55_000_000]
    assert plan.duration_ns == 55_000_000
    assert plan.has_audio


def test_what_belongs_to_the_connection_is_not_sent_again(script: Any) -> None:
    script.server(CREATED).append(0).client(b"", 5, kind="ping").client(b"\x03\xe8", 9, kind="close")
    script.client(b"??", 10, kind="raw").client({"type": "x", "secret": "[redacted]"}, 11, redacted=True)
    plan = make_plan(script.messages)
    assert [step.type for step in plan.steps] == ["input_audio_buffer.append", "x"]
    assert plan.not_sent == ("2 undecodable bytes at 0.0 s", "what was redacted from 1 x")


def test_nothing_goes_out_before_the_session_is_created(script: Any) -> None:
    script.append(0).server(CREATED, 5).append(20)
    plan = make_plan(script.messages)
    assert waits(plan, 0) == ["session.created"]
    assert waits(plan, 1) == []


def test_the_first_append_waits_for_the_update_only_if_the_recording_did(script: Any) -> None:
    script.server(CREATED).client(UPDATE, 1).append(2).server(UPDATED, 5).append(22)
    assert waits(make_plan(script.messages), 1) == []
    script.messages.clear()
    script.server(CREATED).client(UPDATE, 1).server(UPDATED, 5).append(22)
    assert waits(make_plan(script.messages), 1) == ["session.updated"]


def test_a_response_is_asked_for_when_the_one_before_is_done(script: Any) -> None:
    create = {"type": "response.create"}
    script.server(CREATED).append(0).client(create, 10).server(begun("resp_a"), 20).server(done("resp_a"), 30)
    script.append(40).client(create, 50).client(create, 60)
    plan = make_plan(script.messages)
    assert waits(plan, 1) == []
    assert waits(plan, 3) == ["response.done"]
    # The client did not wait for this one either: the race is part of the recording.
    assert waits(plan, 4) == []


def test_a_response_out_of_band_waits_for_no_other(script: Any) -> None:
    aside = {"type": "response.create", "response": {"conversation": "none"}}
    script.server(CREATED).append(0).server(begun("resp_a"), 20).server(done("resp_a"), 30).client(aside, 40)
    assert waits(make_plan(script.messages), 1) == []


def test_a_tool_output_waits_for_its_call_and_truncation_for_its_item(script: Any) -> None:
    call = {"id": "item_c", "type": "function_call", "call_id": "call_c", "name": "weather"}
    output = {"type": "function_call_output", "call_id": "call_c", "output": "mild"}
    script.server(CREATED).append(0).server(SPOKEN, 20).server({"type": "response.output_item.added", "item": call}, 25)
    script.client({"type": "conversation.item.truncate", "item_id": "item_b", "audio_end_ms": 5}, 30)
    script.client({"type": "conversation.item.create", "item": output}, 40)
    script.client({"type": "conversation.item.delete", "item_id": "item_b"}, 50)
    plan = make_plan(script.messages)
    assert waits(plan, 1) == ["item item_b"]
    assert waits(plan, 2) == ["call call_c"]
    assert waits(plan, 3) == ["item item_b"]
    assert plan.steps[2].references == ("call_c",)


def test_a_cancellation_waits_for_something_to_cancel(script: Any) -> None:
    cancel = {"type": "response.cancel"}
    script.server(CREATED).append(0).client(cancel, 5).server(begun("resp_a"), 20).client(cancel, 30)
    script.client({"type": "response.cancel", "response_id": "resp_a"}, 40)
    plan = make_plan(script.messages)
    assert [waits(plan, number) for number in (1, 2, 3)] == [[], ["response.created"], ["response resp_a"]]


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "item_reference", "id": "item_b"},
        {"type": "message", "role": "user", "content": [{"type": "item_reference", "id": "item_b"}]},
    ],
    ids=["ga", "beta"],
)
def test_an_item_reference_is_found_wherever_it_stands(script: Any, asked: Any) -> None:
    asked = {"input": [asked], "conversation": "none"}
    script.server(CREATED).append(0).server(SPOKEN, 20).client({"type": "response.create", "response": asked}, 30)
    assert waits(make_plan(script.messages), 1) == ["item item_b"]


def test_who_named_a_turn_before_it_was_there_waits_for_its_speech_alone(script: Any) -> None:
    started = {"type": "input_audio_buffer.speech_started", "item_id": "item_a", "audio_start_ms": 0}
    note = {"type": "conversation.item.create", "previous_item_id": "item_a", "item": {"type": "message"}}
    script.server(CREATED).append(0).server(started, 20).client(note, 30)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_a"}, 40).client(note, 50)
    plan = make_plan(script.messages)
    assert (waits(plan, 1), waits(plan, 2)) == (["announcement item_a"], ["item item_a"])


def test_what_only_looks_like_an_id_is_not_waited_for(script: Any) -> None:
    call = {"id": "item_1", "type": "function_call", "call_id": "1", "name": "count"}
    output = {"type": "function_call_output", "call_id": "c", "output": "1"}
    script.server({"type": "response.output_item.added", "item": call})
    script.client({"type": "conversation.item.create", "item": output})
    script.client({"type": "response.create", "response": {"metadata": {"item_id": "item_1"}}})
    assert [step.references for step in make_plan(script.messages).steps] == [(), ()]


def test_an_id_that_the_client_cannot_have_seen_is_not_waited_for(script: Any) -> None:
    script.server(CREATED).append(0).client({"type": "conversation.item.delete", "item_id": "item_b"}, 10)
    script.server(SPOKEN, 20)
    assert waits(make_plan(script.messages), 1) == []


@pytest.mark.parametrize("content", ["[" * 100_000, '{"type": "x"', "3"])
def test_messages_of_any_shape_can_be_planned(script: Any, content: str) -> None:
    script.server(CREATED).client(content, 5)
    assert make_plan(script.messages).steps[0].content == content


def test_another_protocol_is_known_by_its_events(script: Any) -> None:
    assert make_plan(script.messages).protocol is None
    script.client('{"setup": {}}')
    assert str(make_plan(script.messages).protocol).startswith("Gemini Live")
