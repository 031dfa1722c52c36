"""Whatever a session holds, the pass over all signatures gives findings and never raises."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyze.queries import Queries
from analyze.store import open_store
from capture.recording.root import Root
from tests.analyze.signatures.conftest import LOST, Line, record_transcript, sound

_TRANSCRIPTION = "conversation.item.input_audio_transcription"
TYPES = [
    "error", "session.created", "session.update", "session.updated", "transcription_session.update",
    "transcription_session.updated", "input_audio_buffer.append", "input_audio_buffer.commit",
    "input_audio_buffer.clear", "input_audio_buffer.committed", "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped", "conversation.item.create", "conversation.item.added",
    "conversation.item.created", "conversation.item.deleted", f"{_TRANSCRIPTION}.completed",
    f"{_TRANSCRIPTION}.failed", f"{_TRANSCRIPTION}.delta", "response.create", "response.cancel", "response.created",
    "response.output_audio.delta", "response.audio.delta", "response.output_audio_transcript.done",
    "response.audio_transcript.done", "response.output_text.done", "response.text.done",
    "response.function_call_arguments.done", "response.output_item.done", "response.done",
    "output_audio_buffer.started", "ping", "session.output_audio.delta", "rate_limits.updated", "",
]  # fmt: skip

HUGE = [10**400, -(10**30), 2**63, 2**31, 1e308, -1e308, 0, -1, float("nan"), float("inf")]
WORDS = [
    "", "item_1", "item_2", "resp_1", "resp_2", "call_1", "a/b:1", "\ud800", "x\udfffy", "\x00", "'session.voice'",
    "%_\\|",
    "completed", "failed", "cancelled", "incomplete", "turn_detected", "content_filter", "server_error",
    "invalid_request_error", "rate_limit_exceeded", "inference_service_unavailable_error", "DeploymentNotFound",
    "unknown_parameter", "session.type", "audio", "server_vad", "semantic_vad", "gpt-4o-transcribe", "a" * 100_000,
    f"Audio content of {'9' * 400}ms is already shorter than {'9' * 401}ms",
    "Audio content of 100ms is already shorter than 200ms", "Your session hit the maximum duration of 60 minutes.",
]  # fmt: skip
hostile = st.recursive(
    st.sampled_from([None, True, *HUGE, *WORDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS[:20]), inner, max_size=3),
    max_leaves=6,
)
deep: Any = json.loads("[" * 400 + "]" * 400)


def plausible(*words: Any) -> st.SearchStrategy[Any]:
    """Give one of these mostly, and now and then what nobody expects."""
    return st.one_of(*[st.sampled_from(words)] * 5, hostile)


items = plausible("item_1", "item_2", None)
responses = plausible("resp_1", "resp_2", None)
errors = plausible(None) | st.fixed_dictionaries(
    {},
    optional={
        "type": plausible("server_error", "invalid_request_error", "rate_limit_exceeded"),
        "code": plausible(None, "unknown_parameter", "session_expired", "DeploymentNotFound", 500),
        "message": plausible(*WORDS[-3:], "No."),
        "param": plausible(None, "session.voice", "session.type", "item.call_id"),
    },
)
transcription = plausible(None, {"model": "gpt-4o-transcribe"}, {"model": "whisper-1"})
sessions = st.fixed_dictionaries(
    {},
    optional={
        "id": plausible("sess_1"), "model": plausible("gpt-realtime"),
        "expires_at": plausible(1770886255, 2**33 - 1, 1),
        "type": plausible("realtime", "transcription"), "modalities": plausible(["audio", "text"], ["text"]),
        "voice": plausible("alloy", {"id": "v"}), "turn_detection": plausible(None, {"type": "server_vad"}),
        "input_audio_format": plausible("pcm16", "g711_ulaw"), "input_audio_transcription": transcription,
        "audio": plausible(None) | st.fixed_dictionaries({"input": st.fixed_dictionaries({}, optional={
            "format": plausible({"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcma"},
                                {"type": "audio/pcm", "rate": 10**9}, {"type": "audio/pcm", "rate": 1}),
            "transcription": transcription, "turn_detection": plausible(None, {"type": "semantic_vad"}),
        })}),
    },
)  # fmt: skip
response_objects = st.fixed_dictionaries(
    {"id": responses},
    optional={
        "status": plausible("completed", "failed", "cancelled", "incomplete"),
        "status_details": plausible(None) | st.fixed_dictionaries(
            {}, optional={"reason": plausible("turn_detected", "content_filter"), "error": errors}
        ),
        "output_modalities": plausible(["audio"], ["text"]), "modalities": plausible(["audio", "text"]),
        "usage": plausible({"input_tokens": 10, "output_tokens": 0}, {"input_tokens": 10**30, "output_tokens": -1}),
        "conversation_id": plausible(None, "conv_1"),
    },
)  # fmt: skip
pieces = st.sampled_from([sound(20), sound(200), sound(200, 0.0), "AA==", "", "AAAA" * 3, "%%"])
events = st.fixed_dictionaries(
    {"type": st.one_of(*[st.sampled_from(TYPES)] * 8, hostile)},
    optional={
        "item_id": items, "response_id": responses, "call_id": plausible("call_1", "a/b:1"),
        "content_index": plausible(0, 1), "transcript": plausible("Yes.", "", *WORDS), "text": plausible("Yes."),
        "error": errors, "session": sessions, "response": response_objects, "audio": pieces, "delta": pieces,
        "item": plausible(None) | st.fixed_dictionaries({}, optional={
            "id": items, "type": plausible("message", "function_call", "function_call_output"),
            "call_id": plausible("call_1", "a/b:1"), "role": plausible("user"),
        }),
        "deep": st.just(deep),
    },
)  # fmt: skip
said = st.one_of(*[events] * 20, st.just(LOST))
transcripts = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 30.0, 300.0, 3000.0]), st.sampled_from(["client", "server"]), said),
    max_size=25,
)
ends = st.fixed_dictionaries(
    {},
    optional={
        "closed": st.sampled_from(
            [None, ("client", 1000, ""), ("server", 1001, "x"), ("server", 1011, "keepalive ping timeout")]
        ),
        "closed_by": st.sampled_from([None, "client", "server", "network", "recorder"]),
        "ended_ms": st.sampled_from([0.0, 20_000.0, 900_000.0]),
        "health": st.sampled_from([{}, {"relay_lag_max_us": 1e300, "backpressure_client_ms": 0.0}]),
        "at": st.sampled_from(["1970-01-01T00:00:00", "2026-02-12T08:30:55", "9999-12-31T23:00:00"]),
        "url": st.sampled_from([None, "", "wss://x/%ff?&&=", "wss://h:0/v1/realtime?model=\U0001f600"]),
        "target": st.sampled_from([None, "t"]), "provider": st.sampled_from([None, "azure", "openai", "other"]),
        "region": st.sampled_from([None, "eastus2"]), "role": st.sampled_from(["captured", "imported"]),
    },
)  # fmt: skip
calls = st.lists(st.tuples(transcripts, ends), min_size=1, max_size=4)


def timed(said: list[Any]) -> list[Line]:
    """Let waits add up to times."""
    at_ms, lines = 0.0, []
    for wait_ms, sender, event in said:
        at_ms += wait_ms
        lines.append((at_ms, sender, event))
    return lines


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(calls)
def test_no_transcript_makes_the_pass_raise(calls: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        for transcript, end in calls:
            record_transcript(root, timed(transcript), **end)
        with open_store(root) as store:
            queries = Queries(store)
            found = queries.findings()
            unknown = queries.unknown_failures()

    for finding in found:
        assert finding.confidence in ("certain", "likely", "possible")
        assert list(finding.evidence) == sorted(set(finding.evidence))[:20]
    assert all(failure.count for failure in unknown)
