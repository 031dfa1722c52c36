from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.replay.simulator.conftest import Talk

Event = dict[str, Any]


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def by_type(events: list[Event], event_type: str) -> list[Event]:
    return [event for event in events if event["type"] == event_type]


def write(talk: "Talk", text: str) -> str:
    added, _done = talk.ask(
        "conversation.item.create",
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
    )
    return str(added["item"]["id"])


def test_a_written_question_is_answered_on_request(talk: "Talk") -> None:
    question = write(talk, "What is the weather?")
    (created,) = talk.ask("response.create")
    events = talk.wait(5000)

    assert created["response"]["status"] == "in_progress"
    (added,) = by_type(events, "conversation.item.added")
    assert added["previous_item_id"] == question
    assert types(events)[-2:] == ["response.done", "rate_limits.updated"]


def test_a_second_response_has_to_wait_for_the_first(talk: "Talk") -> None:
    (created,) = talk.ask("response.create")
    talk.wait(300)
    error = talk.refused({"type": "response.create", "event_id": "mine"})

    response_id = created["response"]["id"]
    assert error == {
        "type": "invalid_request_error",
        "code": "conversation_already_has_active_response",
        "message": f"Conversation already has an active response in progress: {response_id}. "
        "Wait until the response is finished before creating a new one.",
        "param": None,
        "event_id": "mine",
    }
    events = talk.wait(5000)
    assert len(by_type(events, "response.done")) == 1
    assert types(talk.ask("response.create")) == ["response.created"]


def test_out_of_band_responses_run_beside_it(talk: "Talk") -> None:
    talk.ask("response.create")
    (beside,) = talk.ask(
        "response.create",
        response={
            "conversation": "none",
            "output_modalities": ["text"],
            "metadata": {"topic": "mood"},
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Mood?"}]}],
        },
    )
    done = by_type(talk.wait(5000), "response.done")

    assert beside["response"]["conversation_id"] is None
    assert {event["response"]["id"] for event in done} > {beside["response"]["id"]}
    assert [event["response"]["metadata"] for event in done if event["response"]["conversation_id"] is None] == [
        {"topic": "mood"}
    ]


def test_out_of_band_input_may_refer_to_items(talk: "Talk") -> None:
    known = write(talk, "Hello")

    def ask(item_id: str) -> Event:
        reference = {"type": "item_reference", "id": item_id}
        return {"type": "response.create", "response": {"conversation": "none", "input": [reference]}}

    assert types(talk.send(ask(known))) == ["response.created"]
    assert talk.refused(ask("item_gone"))["param"] == "response.input[0].id"


def test_a_cancelled_response_ends_at_once(talk: "Talk") -> None:
    talk.ask("response.create")
    talk.wait(400)

    events = talk.ask("response.cancel")

    assert types(events)[-1] == "response.done"
    assert events[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert types(talk.wait(5000)) == ["rate_limits.updated"]
    assert types(talk.ask("response.create")) == ["response.created"]


def test_out_of_band_responses_are_cancelled_by_id(talk: "Talk") -> None:
    talk.ask("response.create")
    (beside,) = talk.ask("response.create", response={"conversation": "none"})

    (done,) = talk.ask("response.cancel", response_id=beside["response"]["id"])

    assert done["response"]["id"] == beside["response"]["id"]
    assert len(by_type(talk.wait(5000), "response.done")) == 1


@pytest.mark.parametrize("fields", [{}, {"response_id": "resp_gone"}])
def test_there_must_be_something_to_cancel(talk: "Talk", fields: dict[str, str]) -> None:
    error = talk.refused({"type": "response.cancel", "event_id": "c1", **fields})

    assert (error["code"], error["message"], error["event_id"]) == (
        "response_cancel_not_active",
        "Cancellation failed: no active response found",
        "c1",
    )


def test_a_tool_call_round_seeded_by_the_client(talk: "Talk") -> None:
    call = {"type": "function_call", "name": "get_weather", "call_id": "call_1", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"}

    assert talk.refused({"type": "conversation.item.create", "item": output})["code"] == "invalid_tool_call_id"
    assert types(talk.ask("conversation.item.create", item=call)) == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert types(talk.ask("conversation.item.create", item=output))[0] == "conversation.item.added"
    # The server does not answer by itself after a tool's output.
    assert talk.wait(5000) == []


def test_usage_counts_the_conversation_so_far(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk()
    talk.ask("response.create")
    first = by_type(talk.wait(5000), "response.done")[0]["response"]["usage"]
    talk.ask("response.create")
    second = by_type(talk.wait(5000), "response.done")[0]["response"]["usage"]

    assert second["input_tokens"] > first["input_tokens"]
    assert second["input_token_details"]["audio_tokens"] == first["output_token_details"]["audio_tokens"]
