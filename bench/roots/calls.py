"""Calls that large roots are filled with: four turns each, the last or all of them with whatever goes wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pybase64
from websockets.frames import Frame, Opcode

from capture.journal import Direction, JournalWriter
from capture.recording.facts import HandshakeRequest, HandshakeResponse, SessionEnd, SessionFacts, encode_fact
from capture.recording.root import Root, new_session_id
from capture.sealing import seal

TOKEN = "0CALL0"  # noqa: S105 - a mark
"""Stands in every id of a call's events, for the copy to put its own in its place."""
CALL_S = 22.0

_TURNS = 4
_CHUNK_MS, _DELTA_MS = 20, 100
_SPEECH_MS, _ANSWER_MS, _TURN_MS = 3_500, 4_000, 5_500
_BYTES_PER_MS = 8
_NOISE = np.random.default_rng(0)
Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One kind of call: what is configured, and what its last turn comes to."""

    name: str
    share: float
    """Of all sessions of a root."""
    region: str = "swedencentral"
    transcription_model: str = "gpt-4o-transcribe"
    goes_wrong: Callable[[_Story], None] | None = None
    """Tells the end of a turn in place of a healthy one."""
    always: bool = False
    """Each turn goes wrong, and not the last one only."""


@dataclass
class _Story:
    """The messages of a call as they are told, on a clock that is told too."""

    at_ms: float = 0
    messages: list[tuple[str, float, Json]] = field(default_factory=list)
    turn: int = 0

    def client(self, kind: str, **more: Any) -> None:
        self.messages.append(("client", self.at_ms, {"type": kind, **more}))

    def server(self, kind: str, **more: Any) -> None:
        event = {"type": kind, "event_id": f"event_{TOKEN}{len(self.messages):04}", **more}
        self.messages.append(("server", self.at_ms, event))

    @property
    def item_id(self) -> str:
        return f"item_{TOKEN}u{self.turn}"

    @property
    def answer_ids(self) -> Json:
        ids = {"response_id": f"resp_{TOKEN}{self.turn}", "item_id": f"item_{TOKEN}a{self.turn}"}
        return ids | {"output_index": 0, "content_index": 0}

    def response(self, status: str, **more: Any) -> Json:
        return {
            "object": "realtime.response",
            "id": f"resp_{TOKEN}{self.turn}",
            "status": status,
            "output_modalities": ["audio"],
            "conversation_id": f"conv_{TOKEN}",
            **more,
        }


def _fail_transcription(story: _Story) -> None:
    error = {
        "type": "server_error",
        "code": None,
        "message": f"Input transcription failed for item '{story.item_id}'.",
        "param": None,
    }
    kind = "conversation.item.input_audio_transcription.failed"
    story.server(kind, item_id=story.item_id, content_index=0, error=error)
    _answer(story)


def _fail_response(story: _Story) -> None:
    error = {"type": "server_error", "code": None, "message": "The server had an error while processing your request."}
    _transcribe(story)
    story.server("response.created", response=story.response("in_progress"))
    story.at_ms += 900
    failed = story.response("failed", status_details={"type": "failed", "error": error}, usage=_usage(0))
    story.server("response.done", response=failed)


def _say_nothing(story: _Story) -> None:
    _transcribe(story)
    story.server("response.created", response=story.response("in_progress"))


CALLS = (
    Call("healthy", 0.90),
    Call("healthy, whisper-1", 0.03, region="eastus2", transcription_model="whisper-1"),
    Call("transcription failed", 0.04, region="eastus2", goes_wrong=_fail_transcription, always=True),
    Call("response failed", 0.02, region="eastus2", transcription_model="whisper-1", goes_wrong=_fail_response),
    Call("answer never ends", 0.01, goes_wrong=_say_nothing),
)


def seal_call(call: Call, root: Root) -> dict[str, pa.Table]:
    """Seal a call as a proxy would have it sealed; give the rows of each table, the audio without its data."""
    session_id = _write_journal(call, root)
    seal(root.path, session_id)
    tables = {
        table: pq.read_table(_file(root, table, session_id), partitioning=None)
        for table in ("sessions", "events", "audio")
    }
    # No question asks for it, and it would be nine tenths of the root.
    data = tables["audio"].schema.get_field_index("data")
    empty = pa.array([b""] * len(tables["audio"]), pa.binary())
    tables["audio"] = tables["audio"].set_column(data, tables["audio"].schema.field(data), empty)
    return tables


def _file(root: Root, table: str, session_id: str) -> Path:
    return root.table_file(table, session_id)


def _tell(call: Call) -> _Story:
    story = _Story()
    session = {
        "type": "realtime",
        "object": "realtime.session",
        "id": f"sess_{TOKEN}",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": call.transcription_model},
                "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
    }
    story.at_ms = 30
    story.server("session.created", session=session)
    story.at_ms = 35
    story.client("session.update", session={key: session[key] for key in ("type", "audio")})
    story.at_ms = 60
    story.server("session.updated", session=session)
    for turn in range(_TURNS):
        story.turn, story.at_ms = turn, 100 + turn * _TURN_MS
        _listen(story)
        if call.goes_wrong is not None and (call.always or turn == _TURNS - 1):
            call.goes_wrong(story)
        else:
            _transcribe(story)
            _answer(story)
    story.messages += list(_appends())
    story.messages.sort(key=lambda message: message[1])
    return story


def _appends() -> Iterator[tuple[str, float, Json]]:
    """Speak at the start of each turn; room noise in between, as a microphone sends it."""
    for at_ms in range(100, 100 + _TURNS * _TURN_MS, _CHUNK_MS):
        speaks = (at_ms - 100) % _TURN_MS < _SPEECH_MS
        spread = 3 if speaks else 0
        # In u-law 0x9f and 0x1f are loud, 0xff is silence.
        levels = _NOISE.integers(0x20 - spread, 0x20 + spread + 1, _CHUNK_MS * _BYTES_PER_MS) if speaks else 0xFE
        samples = np.broadcast_to(np.asarray(levels, dtype=np.uint8), _CHUNK_MS * _BYTES_PER_MS)
        yield "client", at_ms, {"type": "input_audio_buffer.append", "audio": _encode(samples.tobytes())}


def _listen(story: _Story) -> None:
    story.at_ms += 200
    start_ms = int(story.at_ms)
    story.server("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=story.item_id)
    story.at_ms += 1_300
    end_ms = int(story.at_ms)
    story.server("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=story.item_id)
    story.server("input_audio_buffer.committed", previous_item_id=None, item_id=story.item_id)
    item = {"id": story.item_id, "type": "message", "role": "user", "status": "completed"}
    item["content"] = [{"type": "input_audio", "transcript": None}]  # type: ignore[assignment]
    for outcome in ("added", "done"):
        story.server(f"conversation.item.{outcome}", previous_item_id=None, item=item)


def _transcribe(story: _Story) -> None:
    text = "What is the weather like in Paris today, and will it rain?"
    kind, where = "conversation.item.input_audio_transcription", {"item_id": story.item_id, "content_index": 0}
    for word in text.split():
        story.server(f"{kind}.delta", **where, delta=f"{word} ")
    story.server(f"{kind}.completed", **where, transcript=text, usage={"type": "tokens", "total_tokens": 30})


def _answer(story: _Story) -> None:
    words = "It is sunny in Paris today, about twenty degrees, and no rain is expected before the evening."
    where = story.answer_ids
    story.server("response.created", response=story.response("in_progress"))
    item = {"id": where["item_id"], "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    story.server("response.output_item.added", response_id=where["response_id"], output_index=0, item=item)
    story.server("response.content_part.added", **where, part={"type": "audio", "transcript": ""})
    story.at_ms += 450
    for word in words.split():
        story.server("response.output_audio_transcript.delta", **where, delta=f"{word} ")
    for _ in range(_ANSWER_MS // _DELTA_MS):
        spoken = _NOISE.integers(0, 256, _DELTA_MS * _BYTES_PER_MS, dtype=np.uint8)
        story.server("response.output_audio.delta", **where, delta=_encode(spoken.tobytes()))
        story.at_ms += 40
    story.server("response.output_audio.done", **where)
    story.server("response.output_audio_transcript.done", **where, transcript=words)
    story.server("response.content_part.done", **where, part={"type": "audio", "transcript": words})
    done = item | {"status": "completed", "content": [{"type": "output_audio", "transcript": words}]}
    story.server("response.output_item.done", response_id=where["response_id"], output_index=0, item=done)
    story.server("response.done", response=story.response("completed", output=[done], usage=_usage(120)))
    limits = [{"name": "tokens", "limit": 15_000_000, "remaining": 14_999_000, "reset_seconds": 0.004}]
    story.server("rate_limits.updated", rate_limits=limits)


def _usage(output_tokens: int) -> Json:
    return {"total_tokens": 400 + output_tokens, "input_tokens": 400, "output_tokens": output_tokens}


def _encode(samples: bytes) -> str:
    return pybase64.b64encode_as_string(samples)


def _write_journal(call: Call, root: Root) -> str:
    session_id = new_session_id()
    host = f"contoso-{call.region}.openai.azure.com"
    path = "/openai/v1/realtime?model=gpt-realtime"
    started_us = int(time.time() * 1e6)
    facts = SessionFacts(
        session_id=session_id,
        started_at_us=started_us,
        target=f"azure-{call.region}",
        provider="azure",
        region=call.region,
        host=host,
        url=f"wss://{host}{path}",
    )
    request = HandshakeRequest(offset_ns=0, method="GET", path=path, headers=[("host", host)])
    answered = HandshakeResponse(offset_ns=0, status=101, headers=[("x-ms-region", call.region)])
    ended_ns = int(CALL_S * 1e9) + 8_000_000_000
    end = SessionEnd(offset_ns=ended_ns, closed_by="client")
    writer = JournalWriter(root.journal, buffer_limit_bytes=1 << 30)
    journal = writer.open(session_id)
    for fact in (facts, request, answered):
        journal.append(Direction.FACT, 0, encode_fact(fact))
    for sender, at_ms, event in _tell(call).messages:
        text = json.dumps(event, separators=(",", ":")).encode()
        frame = Frame(Opcode.TEXT, text).serialize(mask=sender == "client")
        journal.append(Direction.CLIENT if sender == "client" else Direction.SERVER, int(at_ms * 1e6), frame)
    for direction in (Direction.CLIENT, Direction.SERVER):
        frame = Frame(Opcode.CLOSE, (1000).to_bytes(2, "big")).serialize(mask=direction is Direction.CLIENT)
        journal.append(direction, ended_ns, frame)
    journal.append(Direction.FACT, ended_ns, encode_fact(end))
    journal.close()
    writer.close()
    return session_id
