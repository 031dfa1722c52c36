"""Protocols that cannot be replayed are known by their URLs and by what is said."""

from __future__ import annotations

import pytest

from replay.foreign import protocol_of_message, protocol_of_url


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        (
            "wss://generativelanguage.googleapis.com/ws/google.ai.x.v1beta.GenerativeService.BidiGenerateContent",
            "Gemini",
        ),
        ("wss://us-central1-aiplatform.googleapis.com/ws/google.cloud.x", "Gemini"),
        ("wss://api.openai.com/v1/live/sessions?model=m", "GPT-Live"),
        ("wss://r.openai.azure.com/openai/v1/live", "GPT-Live"),
    ],
)
def test_other_protocols_by_their_url(url: str, protocol: str) -> None:
    assert (protocol_of_url(url) or "").startswith(protocol)


@pytest.mark.parametrize(
    "url",
    [
        "wss://api.openai.com/v1/realtime?model=gpt-live-transcribe",
        "wss://r.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=/v1/live",
        "ws://127.0.0.1:8900",
        "",
    ],
)
def test_realtime_endpoints_are_not_mistaken_for_others(url: str) -> None:
    assert protocol_of_url(url) is None


@pytest.mark.parametrize(
    ("event_type", "content", "protocol"),
    [
        (None, '{"setup": {"model": "models/gemini-live"}}', "Gemini"),
        (None, b'{"serverContent": {}}', "Gemini"),
        ("session.start", '{"type": "session.start"}', "GPT-Live"),
        ("transcription.delta", '{"type": "transcription.delta", "delta": "a"}', "vLLM"),
        ("input_audio_buffer.commit", '{"type": "input_audio_buffer.commit", "final": true}', "vLLM"),
    ],
)
def test_other_protocols_by_what_is_said(event_type: str | None, content: str | bytes, protocol: str) -> None:
    assert (protocol_of_message(event_type, content) or "").startswith(protocol)


@pytest.mark.parametrize(
    ("event_type", "content"),
    [
        (None, '{"hello": 1}'),
        (None, b"\xff\x00"),
        (None, "[1]"),
        ("session.update", '{"type": "session.update", "setup": 1}'),
        ("input_audio_buffer.commit", '{"type": "input_audio_buffer.commit"}'),
        ("conversation.item.input_audio_transcription.delta", "{}"),
    ],
)
def test_everything_else_is_replayed(event_type: str | None, content: str | bytes) -> None:
    assert protocol_of_message(event_type, content) is None
