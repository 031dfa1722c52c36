"""What each recorded message of the server is taken to have followed."""

from __future__ import annotations

from typing import Any

import pytest

from capture.keeping import OUTSIDE_WINDOW
from replay.server_plan import OPENED, Heard, ServerPlan
from replay.server_planning import make_server_plan
from replay.unanswered import Awaited

Json = dict[str, Any]

CREATED = {"type": "session.created", "session": {"type": "realtime"}}
CREATE: Json = {"type": "response.create"}
BESIDE: Json = {"type": "response.create", "response": {"conversation": "none"}}
VAD = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}


def begun(response_id: str, **fields: Any) -> Json:
    return {"type": "response.created", "response": {"id": response_id, **fields}}


def error(**fields: Any) -> Json:
    return {"type": "error", "error": {"type": "invalid_request_error", **fields}}


def causes(plan: ServerPlan, number: int = -1) -> list[str]:
    """Name what the n-th message of the server waits for, other than what the server had said itself."""
    waited = [plan.moments[cause] for cause in sorted(plan.outgoing[number].hard)]
    return [moment.name.partition(",")[0] for moment in waited if isinstance(moment, Awaited | Heard)]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"type": "session.update", "session": {}}, {"type": "session.updated"}),
        ({"type": "transcription_session.update", "session": {}}, {"type": "transcription_session.updated"}),
        ({"type": "input_audio_buffer.clear"}, {"type": "input_audio_buffer.cleared"}),
        ({"type": "input_audio_buffer.commit"}, {"type": "input_audio_buffer.committed", "item_id": "item_1"}),
        (
            {"type": "conversation.item.truncate", "item_id": "i"},
            {"type": "conversation.item.truncated", "item_id": "i"},
        ),
        ({"type": "conversation.item.delete", "item_id": "i"}, {"type": "conversation.item.deleted", "item_id": "i"}),
        (
            {"type": "conversation.item.retrieve", "item_id": "i"},
            {"type": "conversation.item.retrieved", "item": {"id": "i"}},
        ),
        (CREATE, begun("resp_1")),
        (BESIDE, begun("resp_1", conversation_id=None)),
        (
            {"type": "conversation.item.create", "item": {"id": "i"}},
            {"type": "conversation.item.added", "item": {"id": "i"}},
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user"}},
            {"type": "conversation.item.created", "item": {"id": "i", "type": "message", "role": "user"}},
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c"}},
            {"type": "conversation.item.added", "item": {"id": "i", "type": "function_call_output", "call_id": "c"}},
        ),
        ({"type": "vendor.ask"}, {"type": "vendor.answer"}),
    ],
    ids=lambda event: event["type"],
)
def test_an_answer_waits_for_what_it_answers(script: Any, sent: Json, answer: Json) -> None:
    script.server(CREATED).client({"type": "response.cancel"}).client(sent, 10).server(
        {"type": "rate_limits.updated"}, 15
    )
    if sent["type"] == "vendor.ask":
        script.messages.pop()
    assert causes(make_server_plan(script.server(answer, 20).messages)) == [f"{sent['type']} #1"]


@pytest.mark.parametrize(
    ("refusal", "culprit"),
    [
        (error(event_id="evt_1"), "session.update #1"),
        (error(code="conversation_already_has_active_response"), "response.create #1"),
        (error(code="response_cancel_not_active"), "response.cancel #1"),
        (error(code="input_audio_buffer_commit_empty"), "input_audio_buffer.commit #1"),
        (error(param="session.voice"), "session.update #1"),
        # The one before it has its answer; whoever refuses, refuses at once.
        (error(), "response.cancel #1"),
    ],
)
def test_a_refusal_waits_for_what_it_refuses(script: Any, refusal: Json, culprit: str) -> None:
    script.server(CREATED).client({"type": "session.update", "session": {}, "event_id": "evt_1"})
    script.client({"type": "input_audio_buffer.commit"}).client(CREATE).client({"type": "response.cancel"})
    assert causes(make_server_plan(script.server(refusal).messages)) == [culprit]


def test_what_the_server_says_unasked_waits_for_nothing_of_the_client(script: Any) -> None:
    script.server(CREATED).client({"type": "session.update", "session": {}})
    script.server({"type": "conversation.created"}).server({"type": "session.updated"})
    script.server(error(type="server_error")).server({"type": "rate_limits.updated"})
    plan = make_server_plan(script.messages)
    assert [causes(plan, number) for number in range(5)] == [[], [], ["session.update #1"], [], []]
    assert plan.outgoing[0].hard == {OPENED}


def test_responses_are_given_to_those_who_asked_in_order(script: Any) -> None:
    script.server({"type": "session.created", "session": VAD}).client(BESIDE).append(1)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_1"}).client(CREATE)
    for response_id, conversation_id in (("resp_1", "conv_1"), ("resp_2", None), ("resp_3", "conv_1")):
        script.server(begun(response_id, conversation_id=conversation_id))
    plan = make_server_plan(script.messages)
    committed = plan.outgoing[1]
    assert [causes(plan, number) for number in (2, 3, 4)] == [[], ["response.create #1"], ["response.create #2"]]
    assert plan.outgoing[2].hard == {committed.number}
    assert set(plan.responses) == {"resp_2", "resp_3"}


def test_an_endpoint_that_names_no_conversation_answers_turns_and_requests_alike(script: Any) -> None:
    script.server({"type": "session.created", "session": VAD}).append(1)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_1"})
    script.server(begun("resp_1", conversation_id=None)).client(CREATE).server(begun("resp_2", conversation_id=None))
    plan = make_server_plan(script.messages)
    assert plan.outgoing[2].hard == {plan.outgoing[1].number}
    assert causes(plan, 3) == ["response.create #1"]


def test_a_response_beside_the_conversation_is_given_to_who_gave_it_its_metadata(script: Any) -> None:
    topic, mood = ({"conversation": "none", "metadata": {"about": about}} for about in ("topic", "mood"))
    script.server(CREATED)
    for asked in (topic, mood):
        script.client({"type": "response.create", "response": asked})
    for response_id, asked in (("resp_1", mood), ("resp_2", topic)):
        script.server(begun(response_id, conversation_id=None, metadata=asked["metadata"]))
    plan = make_server_plan(script.messages)
    assert [causes(plan, number) for number in (1, 2)] == [["response.create #2"], ["response.create #1"]]


def test_server_vad_waits_for_the_audio_it_names(script: Any) -> None:
    script.server({"type": "session.created", "session": VAD})
    for number in range(4):
        script.append(10 * number, b"\x00" * 4800)
    script.server({"type": "input_audio_buffer.speech_started", "item_id": "item_1", "audio_start_ms": 150}, 50)
    script.server({"type": "input_audio_buffer.speech_stopped", "item_id": "item_1", "audio_end_ms": 9000}, 60)
    plan = make_server_plan(script.messages)
    # What lies beyond the audio that had been sent cannot be meant.
    assert [(heard.audio_ms, heard.offset_ns) for heard in plan.heard] == [(150, 10_000_000), (400, 30_000_000)]
    assert plan.audio_ms == 400
    assert isinstance(plan.moments[max(plan.outgoing[1].hard)], Heard)


def test_a_turn_is_left_to_the_speech_that_was_told_of_it(script: Any) -> None:
    script.server({"type": "session.created", "session": VAD}).append(1)
    script.server({"type": "input_audio_buffer.speech_stopped", "item_id": "item_1"})
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_1"})
    plan = make_server_plan(script.messages)
    assert plan.outgoing[2].hard == {plan.outgoing[1].number}


def test_an_interruption_ends_the_response_it_cut(script: Any) -> None:
    script.server({"type": "session.created", "session": VAD}).server(begun("resp_1")).append(1)
    script.server({"type": "input_audio_buffer.speech_started", "item_id": "item_2"})
    script.server({"type": "response.output_audio.delta", "response_id": "resp_1", "delta": "AAAA"})
    script.server({"type": "response.output_audio.done", "response_id": "resp_1"})
    cancelled = {"id": "resp_1", "status": "cancelled", "status_details": {"reason": "turn_detected"}}
    script.server({"type": "response.done", "response": cancelled})
    _, _, started, delta, audio_done, done = make_server_plan(script.messages).outgoing
    assert started.number not in delta.soft
    assert started.number in audio_done.soft & done.soft


def test_what_came_in_holes_of_a_recording_takes_no_time(script: Any) -> None:
    script.server(CREATED, 0).server({"type": "vendor.event"}, 90_000)
    hole = {"reason": OUTSIDE_WINDOW, "sender": "server", "from_ns": 0, "to_ns": 80_000_000_000, "bytes": 1}
    plan = make_server_plan(script.messages, [hole])
    assert plan.outgoing[-1].offset_ns == 10_000_000_000


def test_what_cannot_be_sent_is_named(script: Any) -> None:
    script.server(CREATED)
    script._add("server", b"\xff" * 7, 1500, "raw", False)
    assert make_server_plan(script.messages).not_sent == ("7 undecodable bytes at 1.5 s",)


def test_a_message_whose_type_is_no_word_is_no_event_that_is_answered(script: Any) -> None:
    script.server({"type": "session.created"}).client('{"type": ["response.create"]}', 10)
    script.server({"type": "error", "error": {"message": "what?"}}, 20)
    plan = make_server_plan(script.messages)
    assert [moment.type for moment in plan.outgoing] == ["session.created", "error"]
