"""What an endpoint has done so far, and what it still owes."""

from __future__ import annotations

from typing import Any

import pytest

from capture.realtime.progress import Progress

Json = dict[str, Any]

VAD = {"type": "server_vad"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_a"}
OF_THE_CLIENT = {
    "response.create",
    "response.cancel",
    "session.update",
    "input_audio_buffer.commit",
    "conversation.item.truncate",
    "conversation.item.create",
}
COMMIT = {"type": "input_audio_buffer.commit", "event_id": "mine"}
DONE = {"type": "response.done", "response": {"id": "resp_a"}}
CREATED = {"type": "response.created", "response": {"id": "resp_a"}}


def echoed(detection: Json | None = VAD, transcription: Json | None = None, **session: Any) -> Json:
    audio = {"input": {"turn_detection": detection, "transcription": transcription}}
    return {"type": "session.updated", "session": {"type": "realtime", "audio": audio, **session}}


def progress_of(*events: Json) -> Progress:
    progress = Progress()
    for event in events:
        progress.observe("client" if event["type"] in OF_THE_CLIENT else "server", event)
    return progress


def test_a_session_is_open_once_the_endpoint_said_so() -> None:
    assert not progress_of().is_open
    assert progress_of({"type": "session.created", "session": {}}).is_open
    assert progress_of({"type": "conversation.created"}).is_open
    assert progress_of(echoed()).is_open


def test_an_update_is_answered_by_its_echo_or_by_an_error_about_it() -> None:
    update = {"type": "session.update", "session": {}, "event_id": "mine"}
    assert progress_of(update).updates_answered == 0
    assert progress_of(update, echoed()).updates_answered == 1
    assert progress_of(update, {"type": "error", "error": {"event_id": "mine"}}).updates_answered == 1
    unnamed = {"type": "session.update", "session": {}}
    assert progress_of(unnamed, {"type": "error", "error": {"param": "session.voice"}}).updates_answered == 1
    assert progress_of(unnamed, {"type": "error", "error": {"param": "item"}}).updates_answered == 0


def test_a_committed_turn_is_owed_its_answer_and_its_transcription() -> None:
    progress = progress_of(echoed(transcription={"model": "whisper-1"}), COMMITTED)
    assert progress.missing() == ["transcription of item_a", "response to item_a"]
    failed = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_a"}
    for event in (failed, CREATED):
        progress.observe("server", event)
    assert progress.missing() == ["response.done of resp_a"]
    progress.observe("server", DONE)
    assert progress.missing() == []


@pytest.mark.parametrize(
    "configuration",
    [
        echoed(detection=None),
        echoed(detection={"type": "server_vad", "create_response": False}),
        {"type": "session.updated", "session": {"type": "transcription", "audio": {"input": {"turn_detection": VAD}}}},
        {"type": "transcription_session.updated", "session": {"turn_detection": VAD}},
    ],
)
def test_no_answer_is_owed_where_the_endpoint_does_not_answer_by_itself(configuration: Json) -> None:
    assert progress_of(configuration, COMMITTED).missing() == []


def test_an_answer_is_no_longer_owed_when_the_caller_goes_on_talking() -> None:
    progress = progress_of(echoed(), COMMITTED, {"type": "input_audio_buffer.speech_started", "item_id": "item_b"})
    assert progress.missing() == []
    assert progress.speech_is_open


def test_an_endpoint_is_idle_when_nothing_is_generated_or_asked_for() -> None:
    create = {"type": "response.create", "event_id": "mine"}
    assert not progress_of(create).is_idle
    assert not progress_of(create, CREATED).is_idle
    assert progress_of(create, CREATED, DONE).is_idle


def test_a_refused_response_create_is_not_waited_for() -> None:
    create = {"type": "response.create", "event_id": "mine"}
    assert progress_of(create, {"type": "error", "error": {"event_id": "mine"}}).is_idle
    assert progress_of({"type": "response.create"}, {"type": "error", "error": {}}).is_idle
    assert not progress_of(create, {"type": "error", "error": {"event_id": "another"}}).is_idle


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"type": "response.cancel"}, "response_cancel_not_active"),
        ({"type": "conversation.item.truncate", "item_id": "item_a"}, None),
        ({"type": "conversation.item.create", "item": {"type": "function_call_output"}}, "invalid_tool_call_id"),
    ],
)
def test_the_refusal_of_something_else_leaves_the_response_owed(sent: Json, code: str | None) -> None:
    refusal = {"type": "error", "error": {"type": "invalid_request_error", "code": code, "event_id": None}}
    progress = progress_of(sent, {"type": "response.create"}, refusal)
    assert progress.missing() == ["response.created for a response.create"]
    progress.observe("server", refusal)
    assert progress.is_idle == (code is None)


def test_what_was_answered_is_no_longer_what_an_error_may_be_about() -> None:
    write = {"type": "conversation.item.create", "item": {"type": "message", "role": "user"}}
    user: Json = {"type": "message", "role": "user"}
    added = {"type": "conversation.item.added", "item": {"id": "item_b", **user}}
    turn = {"type": "conversation.item.added", "item": {"id": "item_a", **user}}
    refusal = {"type": "error", "error": {"type": "invalid_request_error"}}
    create = {"type": "response.create"}
    assert progress_of(echoed(detection=None), write, added, create, refusal).is_idle
    # The item of a committed turn is nothing that the client wrote.
    assert not progress_of(echoed(detection=None), COMMITTED, write, turn, create, refusal).is_idle


@pytest.mark.parametrize(
    "answer",
    [
        COMMITTED,
        {"type": "error", "error": {"event_id": "mine", "type": "invalid_request_error"}},
        {"type": "error", "error": {"code": "input_audio_buffer_commit_empty"}},
    ],
    ids=["taken", "refused by name", "empty"],
)
def test_a_commit_is_owed_its_item_or_a_refusal(answer: Json) -> None:
    progress = progress_of(echoed(detection=None), COMMIT)
    assert progress.missing() == ["input_audio_buffer.committed for a commit"]
    progress.observe("server", answer)
    assert progress.missing() == []


def test_responses_out_of_band_are_open_ends_but_do_not_count() -> None:
    ask = {"type": "response.create", "response": {"conversation": "none"}}
    out_of_band = {"type": "response.created", "response": {"id": "resp_x", "conversation_id": None}}
    progress = Progress()
    progress.observe("client", ask)
    progress.observe("server", out_of_band)
    assert progress.responses_begun == 0
    assert progress.missing() == ["response.done of resp_x"]


def test_an_endpoint_that_names_no_conversation_owes_no_answer_that_it_gave() -> None:
    answer = {"id": "resp_1", "conversation_id": None}
    created, done = ({"type": f"response.{kind}", "response": answer} for kind in ("created", "done"))
    progress = progress_of(echoed(), {"type": "input_audio_buffer.committed", "item_id": "item_a"}, created, done)
    assert (progress.responses_begun, progress.responses_done) == (1, 1)
    assert "response to item_a" not in progress.missing()


def test_of_silence_that_the_endpoint_takes_in_no_transcription_is_owed() -> None:
    timed_out = {"type": "input_audio_buffer.timeout_triggered", "item_id": "item_a"}
    progress = progress_of(echoed(transcription={"model": "whisper-1"}), timed_out, COMMITTED)
    assert progress.missing() == ["response to item_a"]


def test_beta_names_mean_the_same() -> None:
    delta = {"type": "response.audio.delta", "item_id": "item_b", "delta": "AAAA"}
    assert progress_of(delta, delta).audio_bytes == {"item_b": 6}


@pytest.mark.parametrize("event", [{"type": 7}, {"type": "response.created"}, {"type": "error", "error": "no"}, {}])
def test_odd_events_are_passed_over(event: Json) -> None:
    progress = Progress()
    progress.observe("server", event)
    assert progress.missing() == []
