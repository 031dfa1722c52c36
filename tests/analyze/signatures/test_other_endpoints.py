"""Healthy sessions of endpoints with habits of their own, as another tool would have logged them, without times."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyze.queries import Queries
from analyze.store import open_store
from capture.importers.importing import Importer
from capture.recording.root import Root

Event = dict[str, Any]
Said = tuple[str, Event]
Log = Callable[[], list[Said]]

TRANSCRIPTION = "conversation.item.input_audio_transcription"
HEARD = "Where do the trams to the harbour leave?"
ANSWER = "From the square behind the station, every ten minutes until midnight."


def audio(seed: int, duration_ms: int = 200) -> str:
    """Give noise of 24 kHz PCM as base64."""
    samples = np.random.default_rng(seed).normal(0, 3000, 24 * duration_ms).astype("<i2")
    return base64.b64encode(samples.tobytes()).decode()


def sent(event_type: str, **fields: Any) -> Said:
    return ("sent", {"type": event_type, **fields})


def received(event_type: str, **fields: Any) -> Said:
    return ("received", {"type": event_type, "event_id": f"event_{event_type}", **fields})


def appends(event_type: str = "input_audio_buffer.append") -> list[Said]:
    return [sent(event_type, audio=audio(number)) for number in range(10)]


def turn(item: str) -> list[Said]:
    return [
        received("input_audio_buffer.speech_started", item_id=item, audio_start_ms=400),
        received("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=1700),
        received("input_audio_buffer.committed", item_id=item, previous_item_id=None),
    ]


def spoken(response: str, item: str, prefix: str, *, modalities: Event) -> list[Said]:
    """Give an answer of 6 s whose events have this prefix."""
    of_answer = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    told = {"id": response, "object": "realtime.response", "status": "in_progress", "output": [], **modalities}
    message = {"id": item, "type": "message", "role": "assistant", "content": []}
    return [
        received("response.created", response=told),
        received("response.output_item.added", response_id=response, output_index=0, item=message),
        received(f"response.{prefix}audio_transcript.delta", delta=ANSWER[:20], **of_answer),
        *[received(f"response.{prefix}audio.delta", delta=audio(100 + n), **of_answer) for n in range(30)],
        received(f"response.{prefix}audio.done", **of_answer),
        received(f"response.{prefix}audio_transcript.done", transcript=ANSWER, **of_answer),
        received("response.output_item.done", response_id=response, output_index=0, item=message),
        received("response.done", response=told | {"status": "completed", "usage": {"input_tokens": 90}}),
    ]


def tool_round(prefix: str, *, modalities: Event, name: str) -> list[Said]:
    """Give a response that calls a tool, its output, and the answer that follows."""
    call = {"response_id": "resp_1", "item_id": "item_c", "output_index": 0, "call_id": "call_1"}
    item = {"id": "item_c", "type": "function_call", "call_id": "call_1", "name": name, "arguments": "{}"}
    told = {"id": "resp_1", "status": "in_progress", **modalities}
    output = {"type": "function_call_output", "call_id": "call_1", "output": '{"stop": "B"}'}
    return [
        received("response.created", response=told),
        received("response.function_call_arguments.delta", delta="{}", **call),
        received("response.function_call_arguments.done", arguments="{}", name=name, **call),
        received("response.output_item.done", response_id="resp_1", output_index=0, item=item),
        received("response.done", response=told | {"status": "completed", "output": [item]}),
        sent("conversation.item.create", item=output),
        sent("response.create"),
        *spoken("resp_2", "item_a", prefix, modalities=modalities),
    ]


def voice_live(rest: list[Said]) -> list[Said]:
    """Azure Voice Live: flat sessions and beta names, with fields of its own."""
    session = {
        "modalities": ["text", "audio"],
        "voice": {"type": "azure-standard", "name": "en-US-Ava:DragonHDLatestNeural"},
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_sampling_rate": 24000,
        "turn_detection": {"type": "azure_semantic_vad", "threshold": 0.4},
        "input_audio_transcription": {"model": "azure-speech"},
        "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
    }
    told = session | {"id": "sess_1", "model": "gpt-realtime-global", "modalities": ["audio", "text"], "avatar": None}
    return [
        received("session.created", session={"id": "sess_1", "model": "gpt-realtime-global", "modalities": ["audio"]}),
        sent("session.update", session=session),
        received("session.updated", session=told),
        *appends(),
        *turn("item_u"),
        received("conversation.item.created", item={"id": "item_u", "type": "message", "role": "user"}),
        received(f"{TRANSCRIPTION}.completed", item_id="item_u", content_index=0, transcript=HEARD),
        *rest,
    ]


def xai(rest: list[Said]) -> list[Said]:
    """xAI: a conversation before the first turn, pings, and a text that completes again and again as it grows."""
    session = {
        "instructions": "Answer as a local would.",
        "turn_detection": {"type": "server_vad"},
        "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}},
    }
    told = {"id": "7f", "model": "grok-voice-latest", "voice": "ara", "modalities": ["audio"]}
    words = HEARD.split()
    growing = [
        received(f"{TRANSCRIPTION}.completed", item_id="item_u", content_index=0, transcript=" ".join(words[:count]))
        for count in (2, 5, len(words), len(words))
    ]
    return [
        received("session.created", session=told | {"turn_detection": {"type": None}}),
        sent("session.update", session=session),
        received("conversation.created", conversation={"id": "conv_1", "object": "realtime.conversation"}),
        received("ping", timestamp=1785000000000),
        received("session.updated", session=told | session),
        *appends(),
        received("input_audio_buffer.speech_started", item_id="item_u"),
        received(f"{TRANSCRIPTION}.updated", item_id="item_u", transcript=words[0]),
        growing[0],
        received("input_audio_buffer.speech_stopped", item_id="item_u"),
        growing[1],
        received("ping", timestamp=1785000010000),
        received("input_audio_buffer.committed", item_id="item_u"),
        received("conversation.item.added", item={"id": "item_u", "type": "message", "role": "user"}),
        *growing[2:],
        *rest,
        # One word cannot grow.
        *[received(f"{TRANSCRIPTION}.completed", item_id="item_v", content_index=0, transcript="Yes.")] * 2,
        received("ping", timestamp=1785000020000),
    ]


def gpt_live() -> list[Said]:
    """GPT-Live: another protocol, with neither turns nor responses."""
    voice = {"model": "gpt-live", "audio": {"output": {"voice": "marin"}}}
    return [
        sent("session.start", session=voice),
        received("session.started", session=voice | {"id": "sess_1"}),
        *appends("session.input_audio.append"),
        received("session.input_transcript.delta", delta=HEARD),
        *[received("session.output_audio", audio=audio(200 + number)) for number in range(10)],
        *[received("session.output_audio.delta", delta=audio(300 + number)) for number in range(10)],
        *appends("session.input_audio.append"),
        sent("session.close"),
        received("session.closed", reason="client", usage={"input_tokens": 10, "output_tokens": 20}),
    ]


BETA: Event = {"modalities": ["text", "audio"]}
SESSIONS = {
    "Voice Live": voice_live(spoken("resp_1", "item_a", "", modalities=BETA)),
    "Voice Live with a tool": voice_live(tool_round("", modalities=BETA, name="next_tram")),
    "xAI": xai(spoken("resp_1", "item_a", "output_", modalities={})),
    "xAI with a tool": xai(tool_round("output_", modalities={}, name="next_tram")),
    "GPT-Live": gpt_live(),
}


def import_log(root: Root, path: Path, lines: list[Event]) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = Importer(root).import_file(path)
    assert len(done.sessions) == 1


def assert_healthy(root: Root) -> None:
    with open_store(root) as store:
        queries = Queries(store)
        assert {(session.outcome, tuple(session.failure_keys)) for session in queries.sessions()} == {("ok", ())}
        assert queries.findings() == []
        assert queries.unknown_failures() == []


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize("every_ms", [None, 300, 2000], ids=["without times", "with times", "slow"])
def test_healthy_sessions_of_other_endpoints(root: Root, tmp_path: Path, name: str, every_ms: int | None) -> None:
    lines: list[Event] = [{"dir": who, "event": event} for who, event in SESSIONS[name]]
    if every_ms is not None:
        # Pieces of an answer follow closely; all else takes its time.
        now_ms = 0
        for line in lines:
            is_piece = "delta" in line["event"] and name != "GPT-Live"
            now_ms += 50 if is_piece or line["event"]["type"].endswith(".append") else every_ms
            line["t_ms"] = now_ms
    import_log(root, tmp_path / "call.jsonl", lines)

    assert_healthy(root)


def test_real_logs_have_no_finding_and_no_unknown_failure(root: Root, tmp_path: Path, shared: Path) -> None:
    logs = sorted((shared / "fixtures").glob("*.jsonl"))
    assert logs
    for log in logs:
        assert Importer(root).import_file(log).sessions

    assert_healthy(root)
