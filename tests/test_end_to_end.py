"""The real OpenAI client, with real speech, through the proxy to the simulator: everything both sides saw is there."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection

from capture.audio import PCM16_24K, clip_as
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.reader import RecordedMessage, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.simulator import load_scenario, serve

CHUNK_MS = 20
TERMINALS = {"response.done", "conversation.item.input_audio_transcription.failed", "rate_limits.updated"}


class Witness:
    """Notes every message that one end sent and received, as text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, connection: type[Any]) -> None:
        self.sent: list[str] = []
        self.received: list[str] = []
        send, recv = connection.send, connection.recv

        async def noting_send(one: Any, message: str | bytes, *args: Any, **options: Any) -> None:
            self.sent.append(as_text(message))
            await send(one, message, *args, **options)

        async def noting_recv(one: Any, *args: Any, **options: Any) -> str | bytes:
            message: str | bytes = await recv(one, *args, **options)
            self.received.append(as_text(message))
            return message

        monkeypatch.setattr(connection, "send", noting_send)
        monkeypatch.setattr(connection, "recv", noting_recv)


def as_text(message: str | bytes) -> str:
    return message.decode() if isinstance(message, bytes) else message


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_every_message_both_sides_saw_is_in_the_parquet_byte_for_byte(
    root: Root, question_clip: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None
) -> None:
    client, endpoint = Witness(monkeypatch, ClientConnection), Witness(monkeypatch, ServerConnection)

    async with recorded_endpoint(root) as proxy:
        openai = AsyncOpenAI(api_key="sk-never-on-disk", websocket_base_url=f"{proxy}/openai/v1")
        options: Any = {"compression": compression}
        async with openai.realtime.connect(model="gpt-realtime", websocket_connection_options=options) as call:
            await converse(call, clip_as(question_clip, PCM16_24K))
        await openai.close()

    session, messages = read_only_recording(root)
    events = [message for message in messages if message.kind == "event"]
    assert [message.content for message in events if message.sender == "client"] == client.sent == endpoint.received
    assert [message.content for message in events if message.sender == "server"] == endpoint.sent == client.received
    assert len(client.sent) > 100
    assert session["outcome"] == "failed"
    assert session["failure_keys"] == [
        "conversation.item.input_audio_transcription.failed|server_error||Input transcription failed for item 'item_…'."
    ]
    assert (session["region"], session["model"], session["transcription_model"], session["close_code"]) == (
        "eastus2",
        "gpt-realtime",
        "gpt-4o-transcribe",
        1000,
    )
    deflated = "permessage-deflate" in dict(session["response_headers"]).get("sec-websocket-extensions", "")
    assert deflated is (compression == "deflate")
    assert not [path for path in root.path.rglob("*") if path.is_file() and b"sk-never-on-disk" in path.read_bytes()]


@asynccontextmanager
async def recorded_endpoint(root: Root) -> AsyncIterator[str]:
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        target = Target(name="simulator", url=simulator.origin)
        with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
            async with serve_proxy(target, recorder, listen="127.0.0.1:0") as origin:
                yield origin


async def converse(call: AsyncRealtimeConnection, speech: bytes) -> None:
    """Configure the session, say the clip at real time, and hear everything to its end."""
    await call.session.update(
        session={
            "type": "realtime",
            "audio": {
                "input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": {"type": "server_vad"}}
            },
        }
    )
    async with asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(speak(call, speech))
        missing = set(TERMINALS)
        async for event in call:
            missing.discard(event.type)
            if not missing:
                break
        await speaking


async def speak(call: AsyncRealtimeConnection, speech: bytes) -> None:
    chunk_bytes = int(CHUNK_MS * PCM16_24K.bytes_per_ms)
    clock = asyncio.get_running_loop()
    began_s = clock.time()
    audio = speech + PCM16_24K.silence(600)
    for number, start in enumerate(range(0, len(audio), chunk_bytes)):
        await asyncio.sleep(max(0.0, began_s + number * CHUNK_MS / 1000 - clock.time()))
        await call.input_audio_buffer.append(audio=base64.b64encode(audio[start : start + chunk_bytes]).decode())


def read_only_recording(root: Root) -> tuple[dict[str, Any], list[RecordedMessage]]:
    (file,) = root.table("sessions").rglob("*.parquet")
    recording = open_recording(root, file.stem)
    return recording.session, list(recording.messages())
