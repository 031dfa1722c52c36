"""Recognise protocols that cannot be replayed: by an endpoint's URL, or by what was said (protocol section 3.5)."""

from __future__ import annotations

import re

from capture.realtime.events import parse_event

_GEMINI = "Gemini Live (setup, realtimeInput and serverContent instead of typed events)"
_GPT_LIVE = "GPT-Live (session.start and a stream without turns or responses)"
_VLLM = "vLLM's own transcription protocol (transcription.delta, commits that are final)"
_URLS = (
    (re.compile(r"BidiGenerateContent|//generativelanguage\.googleapis\.com|aiplatform\.googleapis\.com"), _GEMINI),
    (re.compile(r"/v1/live(?:/|$)"), _GPT_LIVE),
)
_EVENTS = {
    "session.start": _GPT_LIVE,
    "session.started": _GPT_LIVE,
    "session.input_audio.append": _GPT_LIVE,
    "transcription.delta": _VLLM,
    "transcription.done": _VLLM,
}
_GEMINI_KEYS = {
    *("setup", "setupComplete", "realtimeInput", "serverContent", "clientContent", "toolResponse"),
    # Some of its clients write names as protobuf has them.
    *("realtime_input", "client_content", "tool_response"),
}


def protocol_of_url(url: str) -> str | None:
    """Name the protocol of an endpoint that speaks another one than the Realtime API; None where nothing says so."""
    plain = url.partition("?")[0]
    return next((name for pattern, name in _URLS if pattern.search(plain)), None)


def protocol_of_message(event_type: str | None, content: str | bytes) -> str | None:
    """Name the protocol that a message belongs to, where it is none of the Realtime API."""
    if event_type is not None:
        is_final = event_type == "input_audio_buffer.commit" and bool((parse_event(content) or {}).get("final"))
        return _VLLM if is_final else _EVENTS.get(event_type)
    return _GEMINI if _GEMINI_KEYS.intersection(parse_event(content) or {}) else None


def refusal(name: str) -> str:
    """Say why a protocol is not replayed."""
    return f"{name} is no dialect of the Realtime API: a replay knows neither what to wait for nor what a failure is"
