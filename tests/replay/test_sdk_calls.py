"""Calls made with the OpenAI SDK (tools, a barge-in, truncation, server VAD and manual turns), replayed at two speeds.

The slow endpoint takes three times as long for everything.
"""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from openai import AsyncOpenAI

from capture.attach import close_recorders, record
from capture.audio import PCM16_24K, clip_as
from capture.recorder import Recorder
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.recording.root import Root
from capture.targets import Target
from replay.cells import plan_run
from replay.matrix import plan_jobs, run_matrix
from replay.runs import Run
from replay.simulator import load_scenario, serve
from replay.simulator.scenario import Scenario
from replay.source import prepare
from tests.replay.sent_events import validate_sent

pytestmark = pytest.mark.slow

Json = dict[str, Any]
CHUNK = 960
WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def slowed(scenario: Scenario, times: float) -> Scenario:
    """Make everything take longer."""
    server = scenario.server
    return msgspec.structs.replace(
        scenario,
        server=msgspec.structs.replace(
            server,
            answer_speed=server.answer_speed / times,
            first_delta_ms=server.first_delta_ms * times,
            transcription_delay_ms=server.transcription_delay_ms * times,
        ),
    )


class Caller:
    """A program that talks through the SDK: it hears what comes, and streams its microphone four times as fast."""

    def __init__(self, call: Any, speech: bytes, *, manual: bool) -> None:
        self._call = call
        self._speech = speech
        self._manual = manual
        self._seen: asyncio.Queue[Any] = asyncio.Queue()

    async def until(self, event_type: str) -> Any:
        while (event := await self._seen.get()).type != event_type:
            pass
        return event

    async def hear(self) -> None:
        async for event in self._call:
            self._seen.put_nowait(event)

    async def stream(self, audio: bytes) -> None:
        began = asyncio.get_running_loop().time()
        for number, start in enumerate(range(0, len(audio), CHUNK)):
            await asyncio.sleep(max(0.0, began + number * 0.005 - asyncio.get_running_loop().time()))
            await self._call.input_audio_buffer.append(audio=base64.b64encode(audio[start : start + CHUNK]).decode())

    async def say(self) -> None:
        await self.stream(self._speech)
        if self._manual:
            await self._call.input_audio_buffer.commit()
            await self._call.response.create()
        else:
            await self.stream(PCM16_24K.silence(700))

    async def talk(self) -> None:
        """Ask, answer the tool call, cut into the spoken answer, and hear another one."""
        detection = None if self._manual else {"type": "server_vad"}
        audio = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": detection}}
        await self._call.session.update(session={"type": "realtime", "tools": [WEATHER], "audio": audio})
        await self.until("session.updated")
        await self.say()
        called = await self.until("response.function_call_arguments.done")
        await self.until("response.done")
        item: Any = {"type": "function_call_output", "call_id": called.call_id, "output": "sunny"}
        await self._call.conversation.item.create(item=item)
        await self._call.response.create()
        heard = await self.until("response.output_audio.delta")
        await self.stream(PCM16_24K.silence(200))
        if self._manual:
            await self._call.response.cancel()
            await self.until("response.done")
            await self._truncate(heard.item_id)
            await self.say()
        else:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.say())
                await self.until("response.done")
                await self._truncate(heard.item_id)
        await self.until("response.done")
        if self._manual:
            await self._refer_to(heard.item_id)

    async def _refer_to(self, item_id: str) -> None:
        """Do all else that names what the endpoint made."""
        items = self._call.conversation.item
        await items.retrieve(item_id=item_id)
        await self.until("conversation.item.retrieved")
        note: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on."}]}
        await items.create(previous_item_id=item_id, item=note)
        await self.until("conversation.item.added")
        aside: Any = {"conversation": "none", "input": [{"type": "item_reference", "id": item_id}]}
        await self._call.response.create(response=aside)
        await self.until("response.done")
        await items.delete(item_id=item_id)
        await self.until("conversation.item.deleted")

    async def _truncate(self, item_id: str) -> None:
        await self._call.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=100)


async def placed(simulator: Any, root: Root, speech: bytes, *, manual: bool) -> Recording:
    async with record(root.path) as tap:
        openai = AsyncOpenAI(api_key="sk-none", websocket_base_url=f"{simulator.origin}/v1")
        options: Any = {"create_connection": tap}
        async with openai.realtime.connect(model="gpt-realtime", websocket_connection_options=options) as call:
            caller = Caller(call, speech, manual=manual)
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(caller.hear())
                async with asyncio.timeout(30):
                    await caller.talk()
                hearing.cancel()
        await openai.close()
    await asyncio.to_thread(close_recorders)
    [session_id] = list_session_ids(root)
    return open_recording(root, session_id)


async def replayed(recording: Recording, targets: list[Target], recorder: Recorder) -> Run:
    source = prepare(recording)
    run = plan_run([source], targets, trials=1)
    await run_matrix(run, plan_jobs(run, [source], targets), recorder.root, recorder)
    return run


def rows(root: Root, table: str, session_id: str) -> list[Json]:
    files = sorted((root.path / table).rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist() if row["session_id"] == session_id]


@pytest.mark.parametrize("manual", [False, True])
async def test_a_call_of_the_sdk_is_the_same_call_on_an_endpoint_three_times_slower(
    manual: bool, recorder: Recorder, root: Root, question_clip: Path
) -> None:
    scenario = load_scenario("healthy_tools")
    async with serve([scenario]) as simulator, serve([slowed(scenario, 3)]) as slow:
        recording = await placed(simulator, root, clip_as(question_clip, PCM16_24K), manual=manual)
        asked = validate_sent(recording)
        targets = [Target(name, f"{at.origin}/v1/realtime") for name, at in (("same", simulator), ("slow", slow))]
        run = await replayed(recording, targets, recorder)
    assert [trial.outcome for cell in run.cells for trial in cell.trials] == ["ok", "ok"]
    for cell in run.cells:
        [trial] = cell.trials
        again = open_recording(root, trial.session_id)
        assert rows(root, "divergences", trial.session_id) == []
        assert again.session["end_reason"] == "completed"
        assert [event["type"] for event in validate_sent(again)] == [event["type"] for event in asked]
        heard = [json.loads(m.content) for m in again.messages() if m.sender == "server" and m.kind == "event"]
        assert not [event for event in heard if event["type"] == "error"]
        statuses = [event["response"]["status"] for event in heard if event["type"] == "response.done"]
        assert statuses == ["completed", "cancelled", "completed", *(["completed"] if manual else [])]
