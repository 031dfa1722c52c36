"""One message in two dialects: what moves, what is renamed, and what is left out by name."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.beta.realtime import RealtimeClientEvent as BetaEvent
from openai.types.realtime import RealtimeClientEvent as GaEvent
from pydantic import TypeAdapter

from replay.rewrite import Change
from replay.transposition import Spoken, left_out, transpose, transpose_server_event

Json = dict[str, Any]

BETA_UPDATE: Json = {
    "type": "session.update",
    "event_id": "mine",
    "session": {
        "modalities": ["text", "audio"],
        "instructions": "Be brief.",
        "voice": "alloy",
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "input_audio_noise_reduction": None,
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
        "max_response_output_tokens": 300,
        "temperature": 0.7,
    },
}
GA_SESSION: Json = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "instructions": "Be brief.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "whisper-1", "language": "en"},
            "noise_reduction": None,
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
        },
        "output": {"voice": "alloy", "format": {"type": "audio/pcm", "rate": 24000}},
    },
    "max_output_tokens": 300,
}


def transposed(event: Json, to: Spoken) -> tuple[Json, list[Change]]:
    text, changes = transpose(json.dumps(event), to)
    assert text is not None
    (TypeAdapter(GaEvent) if to == "ga" else TypeAdapter(BetaEvent)).validate_json(text, strict=True)
    return json.loads(text), changes


def test_a_beta_update_becomes_a_ga_one_and_names_its_temperature() -> None:
    event, changes = transposed(BETA_UPDATE, "ga")
    assert event == {"type": "session.update", "event_id": "mine", "session": GA_SESSION}
    assert left_out(changes) == ["session.temperature"]
    assert Change("dialect", "session.voice", '"alloy"', '{"session.audio.output.voice": "alloy"}') in changes
    assert Change("dialect", "session.temperature", "0.7", "") in changes
    assert Change("dialect", "session.type", "", '"realtime"') in changes


def test_a_ga_update_becomes_a_beta_one_and_names_what_beta_has_not() -> None:
    session = deepcopy(GA_SESSION)
    session |= {
        "truncation": "auto",
        "include": ["item.input_audio_transcription.logprobs"],
        "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "crm", "server_url": "https://x"}],
        "tool_choice": {"type": "mcp", "server_label": "crm"},
    }
    session["audio"]["input"]["transcription"] |= {"languages": ["en", "de"]}
    session["audio"]["input"]["turn_detection"] |= {"idle_timeout_ms": 6000}
    session["audio"]["output"]["voice"] = {"id": "voice_1"}
    event, changes = transposed({"type": "session.update", "session": session}, "beta")
    assert event["session"] == {
        "modalities": ["audio", "text"],
        "instructions": "Be brief.",
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "input_audio_noise_reduction": None,
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
        "max_response_output_tokens": 300,
        "tools": [{"type": "function", "name": "f"}],
    }
    assert left_out(changes) == [
        "session.audio.input.transcription.languages",
        "session.audio.input.turn_detection.idle_timeout_ms",
        "session.truncation",
        "session.include",
        "session.audio.output.voice",
        "session.tools",
        "session.tool_choice",
    ]


def test_a_session_that_only_transcribes_is_updated_by_an_event_of_its_own_in_beta() -> None:
    heard = {"input_audio_transcription": {"model": "whisper-1"}, "turn_detection": None}
    beta = {"type": "transcription_session.update", "session": heard}
    ga = {
        "type": "session.update",
        "session": {
            "type": "transcription",
            "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}},
        },
    }
    assert transposed(beta, "ga")[0] == ga
    assert transposed(ga, "beta")[0] == beta


def test_manual_turns_are_null_in_ga_and_a_sample_rate_of_its_own_is_named() -> None:
    event, _ = transposed({"type": "session.update", "session": {"turn_detection": {"type": "none"}}}, "ga")
    assert event["session"]["audio"] == {"input": {"turn_detection": None}}
    pcm16k = {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}
    event, changes = transposed({"type": "session.update", "session": pcm16k}, "beta")
    assert event["session"] == {"input_audio_format": "pcm16"}
    assert left_out(changes) == ["session.audio.input.format.rate"]


def test_a_response_and_the_items_it_is_given() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
    asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
    beta = {
        "modalities": ["text"],
        "voice": "alloy",
        "output_audio_format": "g711_alaw",
        "max_response_output_tokens": "inf",
        "conversation": "none",
        "metadata": {"k": "v"},
        "input": [asked, said],
    }
    event, changes = transposed({"type": "response.create", "response": {**beta, "temperature": 0.9}}, "ga")
    assert event["response"] == {
        "output_modalities": ["text"],
        "audio": {"output": {"voice": "alloy", "format": {"type": "audio/pcma"}}},
        "max_output_tokens": "inf",
        "conversation": "none",
        "metadata": {"k": "v"},
        "input": [asked, said | {"content": [{"type": "output_text", "text": "Hello."}]}],
    }
    assert left_out(changes) == ["response.temperature"]
    text, changes = transpose(json.dumps(event), "beta")
    assert json.loads(text or "")["response"] == beta
    assert left_out(changes) == []


def test_what_an_assistant_said_is_called_otherwise_and_what_a_user_said_is_not() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}
    event, changes = transposed({"type": "conversation.item.create", "item": item}, "beta")
    assert event["item"]["content"] == [{"type": "text", "text": "Hello."}]
    assert changes == [Change("dialect", "item.content[0].type", '"output_text"', '"text"')]
    user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
    assert transposed({"type": "conversation.item.create", "item": user}, "beta")[1] == []


def test_an_image_is_left_out_and_a_message_of_nothing_else_goes_with_it() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,"}
    text = {"type": "input_text", "text": "What is it?"}
    both = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [text, image]}}
    event, changes = transposed(both, "beta")
    assert event["item"]["content"] == [text]
    assert left_out(changes) == ["item.content[1]"]
    alone = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [image]}}
    message, changes = transpose(json.dumps(alone), "beta")
    assert message is None
    assert left_out(changes) == ["item.content[0]"]
    approval = {"type": "mcp_approval_response", "id": "a", "approval_request_id": "b", "approve": True}
    message, changes = transpose(json.dumps({"type": "conversation.item.create", "item": approval}), "beta")
    assert message is None
    assert left_out(changes) == ["item"]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":  "input_audio_buffer.commit"}',
        '{"type": "response.create", "response": {"instructions": "Hi."}}',
        '{"type": "response.create"}',
        '{"type": "conversation.item.create",  "item": {"type": "function_call_output", "call_id": "c", "output": ""}}',
        '{"type": "session.update", "session": "nonsense"}',
        "no JSON",
    ],
)
@pytest.mark.parametrize("to", ["ga", "beta"])
def test_what_both_write_alike_keeps_its_bytes(text: str, to: Spoken) -> None:
    assert transpose(text, to) == (text, [])


def test_what_neither_dialect_knows_is_left_to_the_endpoint() -> None:
    text, changes = transpose('{"type": "session.update", "session": {"type": "realtime", "mood": 1}}', "beta")
    assert json.loads(text or "")["session"] == {"mood": 1}
    assert left_out(changes) == []
    text, _ = transpose('{"type": "session.update", "session": {"input_audio_format": "opus", "mood": 1}}', "ga")
    assert json.loads(text or "")["session"] == {
        "type": "realtime",
        "audio": {"input": {"format": "opus"}},
        "mood": 1,
    }


# --- there and back -----------------------------------------------------------------------------------------------

FORMATS = st.sampled_from([{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}])
SERVER_VAD = st.fixed_dictionaries(
    {"type": st.just("server_vad")},
    optional={
        "threshold": st.floats(0, 1),
        "silence_duration_ms": st.integers(0, 2000),
        "create_response": st.booleans(),
    },
)
SEMANTIC_VAD = st.fixed_dictionaries(
    {"type": st.just("semantic_vad")}, optional={"eagerness": st.sampled_from(["low", "auto"])}
)
HEARD: dict[str, st.SearchStrategy[Any]] = {
    "format": FORMATS,
    "transcription": st.none()
    | st.fixed_dictionaries({"model": st.text()}, optional={"language": st.just("en"), "prompt": st.text()}),
    "noise_reduction": st.none() | st.just({"type": "near_field"}),
    "turn_detection": st.none() | SERVER_VAD | SEMANTIC_VAD,
}
SPOKEN: dict[str, st.SearchStrategy[Any]] = {
    "format": FORMATS,
    "voice": st.sampled_from(["alloy", "marin"]),
    "speed": st.floats(0.25, 1.5),
}
AUDIO = st.fixed_dictionaries(
    {},
    optional={
        "input": st.fixed_dictionaries({}, optional=HEARD).filter(bool),
        "output": st.fixed_dictionaries({}, optional=SPOKEN).filter(bool),
    },
).filter(bool)
TOOL = st.fixed_dictionaries({"type": st.just("function"), "name": st.text()}, optional={"description": st.text()})
SESSIONS = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "output_modalities": st.sampled_from([["audio"], ["text"]]),
        "audio": AUDIO,
        "instructions": st.text(),
        "max_output_tokens": st.integers(1, 4096) | st.just("inf"),
        "model": st.text(),
        "tools": st.lists(TOOL),
        "tool_choice": st.sampled_from(["auto", "none", {"type": "function", "name": "f"}]),
        "tracing": st.none() | st.just("auto"),
    },
)
GA_ALONE = st.fixed_dictionaries(
    {}, optional={"truncation": st.just("auto"), "prompt": st.none(), "parallel_tool_calls": st.booleans()}
)


@given(session=SESSIONS, alone=GA_ALONE)
def test_to_beta_and_back_is_the_same_session_but_for_what_only_ga_has(session: Json, alone: Json) -> None:
    beta, there = transpose(json.dumps({"type": "session.update", "session": session | alone}), "beta")
    ga, back = transpose(beta or "", "ga")
    assert json.loads(ga or "") == {"type": "session.update", "session": session}
    assert sorted(left_out(there)) == sorted(f"session.{name}" for name in alone)
    assert left_out(back) == []


@given(session=SESSIONS)
def test_an_endpoint_s_session_is_the_same_there_and_back(session: Json) -> None:
    event = {"type": "session.updated", "event_id": "e", "session": {"id": "sess_1", **session}}
    beta = transpose_server_event(event, "beta")
    assert beta is not None
    assert transpose_server_event(beta, "ga") == event


# --- what comes back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beta", "ga"),
    [
        ("response.audio.delta", "response.output_audio.delta"),
        ("response.audio_transcript.done", "response.output_audio_transcript.done"),
        ("response.text.delta", "response.output_text.delta"),
        ("conversation.item.created", "conversation.item.added"),
        ("response.done", "response.done"),
        ("input_audio_buffer.committed", "input_audio_buffer.committed"),
    ],
)
def test_events_are_called_by_the_other_dialect(beta: str, ga: str) -> None:
    assert transpose_server_event({"type": beta, "delta": "AA=="}, "ga") == {"type": ga, "delta": "AA=="}
    assert transpose_server_event({"type": ga, "delta": "AA=="}, "beta") == {"type": beta, "delta": "AA=="}


def test_beta_says_once_what_ga_says_twice() -> None:
    assert transpose_server_event({"type": "conversation.item.done", "item": {}}, "beta") is None
    assert transpose_server_event({"type": "conversation.item.done", "item": {}}, "ga") is not None


def test_a_session_that_transcribes_and_a_response_in_the_other_dialect() -> None:
    created = {"type": "transcription_session.created", "session": {"id": "s", "input_audio_format": "pcm16"}}
    ga = transpose_server_event(created, "ga")
    assert ga == {
        "type": "session.created",
        "session": {
            "type": "transcription",
            "id": "s",
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}},
        },
    }
    assert transpose_server_event(ga, "beta") == created
    done = {
        "type": "response.done",
        "response": {
            "id": "r",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"voice": "alloy"}},
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_audio"}]}],
        },
    }
    assert transpose_server_event(done, "beta") == {
        "type": "response.done",
        "response": {
            "id": "r",
            "modalities": ["audio", "text"],
            "max_output_tokens": "inf",
            "voice": "alloy",
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "audio"}]}],
        },
    }


def test_a_message_that_a_client_cut_within_an_emoji_is_transposed_to_text_that_can_be_sent() -> None:
    update = '{"type":"session.update","session":{"voice":"alloy","instructions":"Be nice \\ud83d"}}'
    text, changes = transpose(update, "ga")
    assert text is not None
    assert json.loads(text.encode())["session"]["instructions"] == "Be nice \ud83d"
    assert all(f"{change.before}{change.after}".encode() for change in changes)


@pytest.mark.parametrize("odd_type", [["message"], {}, None, 7])
def test_items_and_parts_without_a_type_that_is_a_word_stay_as_they_are(odd_type: object) -> None:
    part = {"type": odd_type, "text": "hi"}
    create = {"type": "conversation.item.create", "item": {"type": odd_type, "role": "user", "content": [part]}}
    assert transpose(json.dumps(create), "beta") == (json.dumps(create), [])
