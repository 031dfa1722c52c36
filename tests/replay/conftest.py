"""Recorded messages written by hand, and real sessions recorded from the simulator."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from capture.audio import PCM16_24K, clip_as
from capture.in_process import connect_recorded
from capture.recorder import Recorder
from capture.recording.facts import Sender
from capture.recording.reader import RecordedMessage, Recording, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.simulator import Simulator, load_scenario, serve

Json = dict[str, Any]

MILLISECOND_NS = 1_000_000
CHUNK_BYTES = 960


class Script:
    """A recorded session, written down message by message."""

    def __init__(self) -> None:
        self.messages: list[RecordedMessage] = []

    def client(
        self,
        event: Json | str | bytes,
        at_ms: float = 0,
        *,
        kind: str = "event",
        redacted: bool = False,
        pinned: bool = False,
    ) -> Script:
        return self._add("client", event, at_ms, kind, redacted, pinned=pinned)

    def server(self, event: Json, at_ms: float = 0, *, pinned: bool = False) -> Script:
        return self._add("server", event, at_ms, "event", False, pinned=pinned)

    def append(self, at_ms: float, audio: bytes = b"\x00\x00") -> Script:
        encoded = base64.b64encode(audio).decode()
        return self.client({"type": "input_audio_buffer.append", "audio": encoded}, at_ms)

    def _add(
        self,
        sender: Sender,
        event: Json | str | bytes,
        at_ms: float,
        kind: str,
        redacted: bool,
        *,
        pinned: bool = False,
    ) -> Script:
        self.messages.append(
            RecordedMessage(
                seq=len(self.messages),
                offset_ns=int(at_ms * MILLISECOND_NS),
                sender=sender,
                kind=kind,
                type=event.get("type") if isinstance(event, dict) else None,
                content=json.dumps(event) if isinstance(event, dict) else event,
                redacted=redacted,
                event_id=None,
                item_id=None,
                response_id=None,
                call_id=None,
                row={"pinned": pinned},
            )
        )
        return self


@pytest.fixture
def script() -> Script:
    """Give an empty script."""
    return Script()


class Caller(Protocol):
    """Speaks a clip to a target, waits for the answer, and gives the recording."""

    async def __call__(self, target: Target, *, transcription: str, turns: str = "server_vad") -> Recording:
        """Place the call."""
        ...


@pytest.fixture
def recorder(root: Root) -> Iterator[Recorder]:
    """Give a recorder that seals in this process."""
    with Recorder(root, sealer=Sealer(root, in_process=True)) as running:
        yield running


@pytest.fixture
def simulate() -> Callable[..., AbstractAsyncContextManager[Simulator]]:
    """Give the means to serve the founding incident, or another scenario."""

    @asynccontextmanager
    async def serving(*scenarios: str) -> AsyncIterator[Simulator]:
        staged = [load_scenario(name) for name in scenarios or ("transcription_model_path_failure",)]
        async with serve(staged) as simulator:
            yield simulator

    return serving


@pytest.fixture
def call(recorder: Recorder, root: Root, question_clip: Path) -> Caller:
    """Give the means to record a call."""

    async def place(target: Target, *, transcription: str, turns: str = "server_vad") -> Recording:
        url = target.request_url()
        facts = recorder.new_facts(target=target.name, region=target.region, host=target.host, url=url)
        session = recorder.start_session(facts)
        audio = clip_as(question_clip, PCM16_24K) + PCM16_24K.silence(700)
        async with connect_recorded(url, recording=session) as connection:
            await _until(connection, "session.created")
            await connection.send(json.dumps(_configuration(transcription, turns)))
            await _until(connection, "session.updated")
            await _speak(connection, audio)
            if turns == "manual":
                await connection.send(json.dumps({"type": "input_audio_buffer.commit"}))
                await connection.send(json.dumps({"type": "response.create"}))
            await _until(connection, "response.done", "conversation.item.input_audio_transcription")
        await asyncio.wrap_future(session.end())
        return open_recording(root, session.session_id)

    return place


def _configuration(transcription: str, turns: str) -> Json:
    detection = None if turns == "manual" else {"type": turns}
    audio = {"input": {"transcription": {"model": transcription}, "turn_detection": detection}}
    return {"type": "session.update", "session": {"type": "realtime", "audio": audio}}


async def _speak(connection: Any, audio: bytes) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for start in range(0, len(audio), CHUNK_BYTES):
        # Four times as fast as a microphone: VAD counts audio, not seconds, and tests need not last as long.
        await asyncio.sleep(max(0.0, began + start / CHUNK_BYTES * 0.005 - loop.time()))
        chunk = base64.b64encode(audio[start : start + CHUNK_BYTES]).decode()
        await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": chunk}))


async def _until(connection: Any, *beginnings: str) -> None:
    waiting = set(beginnings)
    while waiting:
        event_type = json.loads(await connection.recv())["type"]
        if not event_type.endswith(".delta"):
            waiting = {beginning for beginning in waiting if not event_type.startswith(beginning)}
