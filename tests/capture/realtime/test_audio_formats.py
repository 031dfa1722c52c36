"""The formats a session declares, and the audio inside its messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat
from capture.realtime.audio_formats import AudioField, audio_field, parse_format

any_text = st.text(alphabet=st.characters(exclude_categories=()))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(any_text, children, max_size=3),
    max_leaves=8,
)

EVENT_TYPES = [
    "input_audio_buffer.append",
    "response.output_audio.delta",
    "response.audio.delta",
    "conversation.item.create",
    "conversation.item.retrieved",
    "response.done",
    "an.unknown.type",
]


@pytest.mark.parametrize(
    ("declared", "audio_format"),
    [
        ({"type": "audio/pcm", "rate": 24000}, PCM16_24K),
        ({"type": "audio/pcm", "rate": 16000}, AudioFormat("audio/pcm", 16000)),
        ({"type": "audio/pcm"}, PCM16_24K),
        ({"type": "audio/pcmu"}, AudioFormat("audio/pcmu", 8000)),
        ({"type": "audio/pcma"}, AudioFormat("audio/pcma", 8000)),
        ({"type": "audio/pcm", "rate": "24000"}, PCM16_24K),
        ({"type": "audio/pcm", "rate": 0}, PCM16_24K),
        ({"type": "audio/pcm", "rate": True}, PCM16_24K),
        ("pcm16", PCM16_24K),
        ("g711_ulaw", AudioFormat("audio/pcmu", 8000)),
        ("g711_alaw", AudioFormat("audio/pcma", 8000)),
    ],
)
def test_a_declared_format_is_read_in_both_dialects(declared: object, audio_format: AudioFormat) -> None:
    assert parse_format(declared) == audio_format


@pytest.mark.parametrize(
    "declared", [None, "not specified", "opus", {}, {"type": "audio/opus"}, {"type": None}, {"type": []}, 24000, []]
)
def test_a_format_that_is_neither_is_none(declared: object) -> None:
    assert parse_format(declared) is None


@given(anything | st.fixed_dictionaries({"type": anything, "rate": anything}))
def test_no_declaration_makes_it_raise(declared: object) -> None:
    found = parse_format(declared)
    assert found is None or found.bytes_per_ms > 0


@pytest.mark.parametrize("event_type", ["input_audio_buffer.append", "input_audio.turn.append"])
def test_appends_are_the_clients_track(event_type: str) -> None:
    text = json.dumps({"type": event_type, "audio": "AAEC"})
    assert audio_field("client", event_type, text) == AudioField("client", "AAEC")


@pytest.mark.parametrize(
    "event_type", ["response.output_audio.delta", "response.audio.delta", "session.output_audio.delta"]
)
def test_audio_deltas_are_the_servers_track(event_type: str) -> None:
    text = json.dumps({"type": event_type, "delta": "AAEC"})
    assert audio_field("server", event_type, text) == AudioField("server", "AAEC")


def test_of_several_fields_the_longest_is_cut() -> None:
    event = {
        "type": "conversation.item.create",
        "item": {
            "type": "message",
            "content": [
                {"type": "input_audio", "audio": "AAEC"},
                {"type": "input_audio", "audio": "AAECAwQF"},
                {"type": "input_text", "text": "A text that is longer than any of the audio"},
            ],
        },
    }
    assert audio_field("client", "conversation.item.create", json.dumps(event)) == AudioField("other", "AAECAwQF")


def test_a_retrieved_item_brings_audio_back() -> None:
    event = {"type": "conversation.item.retrieved", "item": {"content": [{"audio": "AAEC", "transcript": "Hi"}]}}
    assert audio_field("server", "conversation.item.retrieved", json.dumps(event)) == AudioField("other", "AAEC")


def test_settings_called_audio_are_no_audio() -> None:
    event = {"type": "response.done", "response": {"audio": {"output": {"voice": "alloy"}}, "modalities": ["audio"]}}
    assert audio_field("server", "response.done", json.dumps(event)) is None


@pytest.mark.parametrize(
    ("sender", "event_type", "text"),
    [
        ("server", "input_audio_buffer.append", '{"audio":"AAEC"}'),
        ("client", "response.output_audio.delta", '{"delta":"AAEC"}'),
        ("server", "response.output_audio_transcript.delta", '{"delta":"Hello"}'),
        ("server", "response.output_text.delta", '{"delta":"Hello"}'),
        ("client", "input_audio_buffer.append", '{"audio":null}'),
        ("client", "input_audio_buffer.append", '{"no":"audio"}'),
        ("client", "conversation.item.create", '{"item":{"content":[{"audio":""}]}}'),
        ("client", None, '{"audio":"AAEC"}'),
    ],
)
def test_other_messages_hold_none(sender: str, event_type: str | None, text: str) -> None:
    assert audio_field(sender, event_type, text) is None


@settings(deadline=None)
@given(st.sampled_from(["client", "server"]), st.sampled_from(EVENT_TYPES), any_text)
@example("server", "response.done", '{"audio":' + "[" * 100_000 + "]" * 100_000 + "}")
@example("server", "response.done", '{"a":' + "[" * 900 + '{"audio":"AAEC"}' + "]" * 900 + "}")
@example("client", "input_audio_buffer.append", r'{"audio":"\ud800"}')
@example("client", "conversation.item.create", r'{"audio":"\ud800"}')
@example("client", "conversation.item.create", '{"audio":"AA","n":' + "9" * 5_000 + "}")
def test_no_text_makes_it_raise(sender: str, event_type: str, text: str) -> None:
    audio_field(sender, event_type, text)


@given(st.sampled_from(["client", "server"]), st.sampled_from(EVENT_TYPES), st.dictionaries(any_text, anything))
def test_no_event_makes_it_raise(sender: str, event_type: str, event: dict[str, Any]) -> None:
    audio_field(sender, event_type, json.dumps({"audio": event, **event}))


def test_every_audio_message_of_a_real_session_is_found(wire_log: Any) -> None:
    tracks = [
        field.track
        for message in wire_log("azure_ws-audio_in_server_vad_transcribes")
        if (field := audio_field(message.sender, message.event["type"], message.text))
    ]
    assert tracks == ["client"] * 55 + ["server"] * 15
