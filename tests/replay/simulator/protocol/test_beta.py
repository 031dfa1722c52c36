"""The beta dialect, as a client of a session hears it; conftest checks every event against the SDK's beta types."""

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat, clip_as
from replay.simulator.clips import clip_path, read_text
from replay.simulator.protocol.beta import BetaDialect
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.scenario import ToolCall

if TYPE_CHECKING:
    from tests.replay.simulator.conftest import Talk

Event = dict[str, Any]
QUESTION = PCM16_24K.silence(480) + clip_as(clip_path("question_weather"), PCM16_24K) + PCM16_24K.silence(320)
TRANSCRIPTION = "conversation.item.input_audio_transcription"
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
def talk(start_talk: "Callable[..., Talk]") -> "Talk":
    return start_talk(dialect="beta")


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def by_type(events: list[Event], *event_types: str) -> list[Event]:
    return [event for event in events if event["type"] in event_types]


def update(talk: "Talk", **session: Any) -> list[Event]:
    return talk.ask("session.update", session=session)


def test_greets_with_a_flat_session_and_a_conversation(talk: "Talk") -> None:
    created, conversation = talk.heard

    assert types(talk.heard) == ["session.created", "conversation.created"]
    session = created["session"]
    assert session["modalities"] == ["audio", "text"]
    assert (session["input_audio_format"], session["output_audio_format"]) == ("pcm16", "pcm16")
    assert (session["temperature"], session["max_response_output_tokens"]) == (0.8, "inf")
    assert session["turn_detection"]["silence_duration_ms"] == 200
    assert not {"type", "audio", "output_modalities", "truncation"} & session.keys()
    assert conversation["conversation"]["id"].startswith("conv_")


def test_a_flat_update_is_echoed_flat(talk: "Talk") -> None:
    asked = {
        "modalities": ["text"],
        "instructions": "Be brief.",
        "voice": "sage",
        "speed": 1.2,
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_alaw",
        "input_audio_noise_reduction": {"type": "near_field"},
        "temperature": 0.7,
        "max_response_output_tokens": 400,
        "tools": [WEATHER],
        "tool_choice": "required",
    }
    (updated,) = update(talk, **asked, turn_detection=None, input_audio_transcription={"model": "whisper-1"})

    session = updated["session"]
    assert {name: session[name] for name in asked} == asked
    assert session["turn_detection"] is None
    assert session["input_audio_transcription"] == {"model": "whisper-1", "language": None, "prompt": None}


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"type": "realtime"}, "unknown_parameter", "session.type"),
        ({"audio": {"input": {}}}, "unknown_parameter", "session.audio"),
        ({"output_modalities": ["audio"]}, "unknown_parameter", "session.output_modalities"),
        ({"modalities": ["audio"]}, "invalid_value", "session.modalities"),
        ({"input_audio_format": "wav"}, "invalid_value", "session.input_audio_format"),
        ({"input_audio_format": {"type": "audio/pcm"}}, "invalid_type", "session.input_audio_format"),
        ({"temperature": 2}, "decimal_above_max_value", "session.temperature"),
        (
            {"input_audio_transcription": {"enabled": True, "model": "whisper-1"}},
            "unknown_parameter",
            "session.input_audio_transcription.enabled",
        ),
        ({"turn_detection": {"type": "server_vad", "threshold": 3}}, "", "session.turn_detection.threshold"),
        ({"max_response_output_tokens": 0}, "", "session.max_response_output_tokens"),
        (3, "invalid_type", "session"),
    ],
)
def test_what_beta_does_not_know_is_told_by_the_path_that_the_client_used(
    talk: "Talk", session: Any, code: str, param: str
) -> None:
    error = talk.refused({"type": "session.update", "event_id": "mine", "session": session})

    assert error["param"] == param
    assert "audio.input" not in error["message"]
    assert error["event_id"] == "mine"
    assert code in ("", error["code"])
    assert update(talk)[0]["session"]["temperature"] == 0.8


def test_a_refused_update_leaves_the_temperature(talk: "Talk") -> None:
    talk.refused({"type": "session.update", "session": {"temperature": 0.9, "voice": "nobody"}})

    assert update(talk)[0]["session"]["temperature"] == 0.8
    assert update(talk, temperature=0.9)[0]["session"]["temperature"] == 0.9
    assert talk.ask("response.create")[0]["response"]["temperature"] == 0.9


def test_a_spoken_turn_is_transcribed_and_answered_under_beta_names(talk: "Talk") -> None:
    update(talk, input_audio_transcription={"model": "whisper-1"})
    events = talk.say(QUESTION) + talk.wait(5000)

    assert types(events)[:5] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.created",
        "response.created",
    ]
    assert by_type(events, f"{TRANSCRIPTION}.completed")[0]["transcript"] == read_text("question_weather")
    answer = [event for event in events if event["type"].startswith("response.")]
    names = [name for number, name in enumerate(types(answer)) if types(answer)[number - 1] != name]
    assert [name for name in names if not name.endswith(".delta")] == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    said = b"".join(base64.b64decode(event["delta"]) for event in by_type(events, "response.audio.delta"))
    assert said == clip_as(clip_path("answer_paris"), PCM16_24K)
    words = "".join(event["delta"] for event in by_type(events, "response.audio_transcript.delta"))
    response = by_type(events, "response.done")[0]["response"]
    assert response["output"][0]["content"] == [{"type": "audio", "transcript": words}]
    assert (response["modalities"], response["output_audio_format"]) == (["audio", "text"], "pcm16")


def test_a_written_answer_streams_text(talk: "Talk") -> None:
    talk.ask("response.create", response={"modalities": ["text"], "max_response_output_tokens": 50})
    events = talk.wait(5000)

    assert by_type(events, "response.text.done")[0]["text"] == read_text("answer_paris")
    response = by_type(events, "response.done")[0]["response"]
    assert response["output"][0]["content"][0]["type"] == "text"
    assert (response["modalities"], response["max_output_tokens"]) == (["text"], 50)


@pytest.mark.parametrize(("name", "audio_type"), [("g711_ulaw", "audio/pcmu"), ("g711_alaw", "audio/pcma")])
def test_telephone_audio_is_heard_and_spoken(talk: "Talk", name: str, audio_type: Any) -> None:
    phone = AudioFormat(audio_type, 8000)
    update(talk, input_audio_format=name, output_audio_format=name)
    question = phone.silence(480) + clip_as(clip_path("question_weather"), phone) + phone.silence(320)
    events = talk.say(question, phone) + talk.wait(5000)

    assert by_type(events, "response.done")[0]["response"]["output_audio_format"] == name
    said = b"".join(base64.b64decode(event["delta"]) for event in by_type(events, "response.audio.delta"))
    assert said == clip_as(clip_path("answer_paris"), phone)


def test_speaking_over_the_answer_cancels_it(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk(dialect="beta", answer_speed=1.5)
    talk.say(QUESTION)
    talk.wait(500)
    events = talk.say(QUESTION)

    done = by_type(events, "response.done")[0]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    started, ended = types(events).index("input_audio_buffer.speech_started"), types(events).index("response.done")
    assert types(events)[started + 1 : ended] == [
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    item_id = done["output"][0]["id"]
    (truncated,) = talk.ask("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=200)
    assert truncated["audio_end_ms"] == 200


def test_out_of_band_a_response_runs_beside_the_conversation(talk: "Talk") -> None:
    talk.ask("response.create")
    ask = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Sum it up."}]}
    (aside,) = talk.ask(
        "response.create",
        response={"conversation": "none", "modalities": ["text"], "metadata": {"k": "v"}, "input": [ask]},
    )
    events = talk.wait(5000)

    assert (aside["response"]["conversation_id"], aside["response"]["metadata"]) == (None, {"k": "v"})
    assert [event["response"]["status"] for event in by_type(events, "response.done")] == ["completed"] * 2
    assert len(by_type(events, "conversation.item.created")) == 1


def test_a_seeded_assistant_message_keeps_its_beta_parts(talk: "Talk") -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
    (created,) = talk.ask("conversation.item.create", item=item)

    assert created["type"] == "conversation.item.created"
    assert created["item"]["object"] == "realtime.item"
    assert created["item"]["content"] == item["content"]
    ga_part = {**item, "content": [{"type": "output_text", "text": "Hello."}]}
    error = talk.refused({"type": "conversation.item.create", "item": ga_part})
    assert (error["code"], error["param"]) == ("invalid_value", "item.content[0].type")


def test_a_function_is_called_without_its_name_in_the_done_event(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk(dialect="beta", tool_call=ToolCall("get_weather", {"city": "Paris"}))
    update(talk, tools=[WEATHER])
    talk.ask("response.create")
    events = talk.wait(3000)

    (done,) = by_type(events, "response.function_call_arguments.done")
    assert (json.loads(done["arguments"]), "name" in done) == ({"city": "Paris"}, False)
    assert by_type(events, "response.done")[0]["response"]["output"][0]["object"] == "realtime.item"


def test_a_transcription_session_has_events_of_its_own(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk(dialect="beta", session_type="transcription", model="")
    assert types(talk.heard) == ["transcription_session.created"]

    session = {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "gpt-4o-transcribe"}}
    (updated,) = talk.ask("transcription_session.update", session=session)
    events = talk.say(QUESTION) + talk.wait(3000)

    assert updated["type"] == "transcription_session.updated"
    assert updated["session"]["input_audio_transcription"]["model"] == "gpt-4o-transcribe"
    assert types(events)[-1] == f"{TRANSCRIPTION}.completed"
    assert not any(name.startswith("response.") for name in types(events))


def test_a_transcription_update_to_a_realtime_session_is_refused(talk: "Talk") -> None:
    error = talk.refused({"type": "transcription_session.update", "session": {"input_audio_format": "pcm16"}})

    assert error["message"] == "Passing a transcription session update event to a realtime session is not allowed."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["pcm16", "text", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["session", "response", "item", "modalities", "content", "role", "type", "input", "voice"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
EVENT_TYPES = ["session.update", "transcription_session.update", "response.create", "conversation.item.create", "x"]


@given(st.sampled_from(EVENT_TYPES), st.dictionaries(st.sampled_from(["session", "response", "item"]), JSON))
def test_whatever_a_client_sends_is_translated_or_refused(event_type: str, fields: Event) -> None:
    event = {**fields, "type": event_type}
    sent = json.dumps(event)
    try:
        BetaDialect().read(event)
    except ClientMistake as mistake:
        assert mistake.code
    assert json.dumps(event) == sent
