"""Which dialect a session speaks, and one name for what both call differently."""

from __future__ import annotations

from typing import Any

import pytest

from capture.realtime.dialects import GA_NAMES, Dialect, DialectDetector, ga_name

DIALECT_OF_LOG: dict[str, Dialect] = {
    "azure_ws-audio_in_server_vad_transcribes": "ga",
    "azure_ws-message_history_seeding": "ga",
    "azure_ws-text_in_audio_out_turn": "ga",
    "azure_ws-tool_call_round": "ga",
    # Azure Voice Live speaks the beta dialect with additions of its own (protocol section 3.2).
    "azure_voice_live_ws-audio_in_server_vad_turn": "beta",
    "azure_voice_live_ws-tool_call_round": "beta",
    "gateway_ws-gateway_openai_text_in_audio_out": "ga",
    "openai_ws-audio_in_server_vad_turn": "ga",
    "openai_ws-message_history_seeding": "ga",
    "openai_ws-text_in_audio_out_turn": "ga",
    "openai_ws-tool_call_round": "ga",
    "openai_ws_sideband-webrtc_sideband_audio_turn": "ga",
    "parity_ws-text_tool_round_parity-azure-current": "ga",
    "parity_ws-text_tool_round_parity-openai-current": "ga",
    # xAI's first session object is flat, as in beta; all that follows has GA names and GA objects.
    "xai_ws-audio_in_server_vad_turn": "ga",
    "xai_ws-thinking_disabled": "ga",
    "xai_ws-tool_call_round": "ga",
}


def dialect_of(*events: dict[str, Any]) -> Dialect:
    detector = DialectDetector()
    for event in events:
        detector.observe(event["type"], event)
    return detector.dialect


@pytest.mark.parametrize(("log", "dialect"), DIALECT_OF_LOG.items())
def test_the_dialect_of_real_sessions(log: str, dialect: Dialect, wire_log: Any) -> None:
    assert dialect_of(*(message.event for message in wire_log(log))) == dialect


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_audio.delta"},
        {"type": "response.output_text.done"},
        {"type": "conversation.item.added"},
        {"type": "session.created", "session": {"type": "realtime"}},
        {"type": "session.update", "session": {"type": "transcription"}},
        {"type": "session.updated", "session": {"audio": {}}},
    ],
)
def test_what_only_ga_says(event: dict[str, Any]) -> None:
    assert dialect_of({"type": "input_audio_buffer.append"}, event) == "ga"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.audio.delta"},
        {"type": "response.audio_transcript.done"},
        {"type": "transcription_session.update"},
        {"type": "session.created", "session": {"modalities": ["audio", "text"]}},
        {"type": "session.update", "session": {"input_audio_format": "g711_ulaw"}},
    ],
)
def test_what_only_beta_says(event: dict[str, Any]) -> None:
    assert dialect_of({"type": "input_audio_buffer.append"}, event) == "beta"


@pytest.mark.parametrize(
    "event_type",
    ["session.start", "session.started", "session.input_audio.append", "session.output_audio.delta"],
)
def test_gpt_live_and_translation_are_other_protocols(event_type: str) -> None:
    assert dialect_of({"type": "session.created", "session": {"type": "realtime"}}, {"type": event_type}) == "other"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [{"type": "setupComplete"}],
        [{"type": "input_audio_buffer.append"}, {"type": "response.done"}, {"type": "response.output_item.done"}],
        [{"type": "session.created", "session": "odd"}],
    ],
)
def test_without_a_mark_nothing_is_guessed(events: list[dict[str, Any]]) -> None:
    assert dialect_of(*events) == "other"


def test_a_beta_handshake_shows_in_its_header_or_its_url() -> None:
    by_header, by_url, neither = DialectDetector(), DialectDetector(), DialectDetector()
    by_header.observe_handshake("wss://api.openai.com/v1/realtime?model=m", {"openai-beta": "realtime=v1"})
    by_url.observe_handshake("wss://x.openai.azure.com/openai/realtime?api-version=2025-04-01-preview", {})
    neither.observe_handshake("wss://api.openai.com/v1/realtime?model=m", {"authorization": "[redacted]"})
    assert (by_header.dialect, by_url.dialect, neither.dialect) == ("beta", "beta", "other")


def test_one_mark_of_the_handshake_does_not_outweigh_what_was_spoken() -> None:
    detector = DialectDetector()
    detector.observe_handshake("wss://h/v1/realtime?api-version=v1", {})
    detector.observe("session.created", {"type": "session.created", "session": {"type": "realtime"}})
    detector.observe("conversation.item.added")
    assert detector.dialect == "ga"


def test_beta_events_have_a_ga_name_and_all_others_keep_theirs() -> None:
    assert ga_name("response.audio.delta") == "response.output_audio.delta"
    assert ga_name("conversation.item.created") == "conversation.item.added"
    assert ga_name("response.done") == "response.done"
    assert ga_name("an.unknown.type") == "an.unknown.type"
    assert not GA_NAMES.keys() & set(GA_NAMES.values())
