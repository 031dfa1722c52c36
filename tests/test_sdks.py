"""SDKs in their own two lines, with real speech, recorded without a proxy: everything both sides saw is there.

openai is always here; openai-agents and pipecat-ai are tried where they are installed.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import re
import ssl
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import trustme
from openai import AsyncOpenAI, OpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from capture import record
from capture.attach import close_recorders
from capture.audio import PCM16_24K, clip_as
from capture.recording.reader import RecordedMessage, list_session_ids, open_recording
from capture.recording.root import Root
from replay.simulator import load_scenario, serve
from tests.test_end_to_end import Witness

HOME = Path(__file__).parents[1]
CHUNK_MS = 20
CHUNK_BYTES = int(CHUNK_MS * PCM16_24K.bytes_per_ms)
API_KEY = "sk-never-on-disk"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Witness:
    return Witness(monkeypatch, ServerConnection)


@pytest.fixture
def speech(question_clip: Path) -> list[bytes]:
    audio = clip_as(question_clip, PCM16_24K) + PCM16_24K.silence(800)
    return [audio[at : at + CHUNK_BYTES] for at in range(0, len(audio), CHUNK_BYTES)]


@pytest.fixture(autouse=True)
def _recorders_end_with_the_test() -> Iterator[None]:
    yield
    close_recorders()


def read_only_recording(root: Root) -> tuple[dict[str, Any], list[RecordedMessage]]:
    (file,) = root.table("sessions").rglob("*.parquet")
    recording = open_recording(root, file.stem)
    return recording.session, list(recording.messages())


def assert_recorded_whole(root: Root, endpoint: Witness) -> dict[str, Any]:
    """Compare the recording with what the endpoint saw; give the session's row."""
    session, messages = read_only_recording(root)
    events = [message for message in messages if message.kind == "event"]
    assert [message.content for message in events if message.sender == "client"] == endpoint.received
    assert [message.content for message in events if message.sender == "server"] == endpoint.sent
    assert "response.done" in "".join(endpoint.sent)
    assert len(endpoint.received) > 100
    assert session["complete"]
    assert session["audio_in_ms"] > 1000
    assert session["audio_out_ms"] > 500
    assert (session["provider"], session["role"], session["relay_lag_p50_us"]) == ("simulator", "captured", None)
    secret = API_KEY.encode()
    assert not [path for path in root.path.rglob("*") if path.is_file() and secret in path.read_bytes()]
    return session


@pytest.mark.slow
async def test_the_openai_sdk(
    root: Root, endpoint: Witness, speech: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Witness(monkeypatch, ClientConnection)
    async with serve([load_scenario("healthy")]) as simulator, record(root.path, tags={"call": "c-1"}) as tap:
        openai = AsyncOpenAI(api_key=API_KEY, websocket_base_url=f"{simulator.origin}/v1")
        options: Any = {"create_connection": tap}
        async with openai.realtime.connect(model="gpt-realtime", websocket_connection_options=options) as call:
            await call.session.update(session={"type": "realtime"})
            async with asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(speak(call, speech))
                async for event in call:
                    if event.type == "response.done":
                        break
                await speaking
        await openai.close()

    session = assert_recorded_whole(root, endpoint)
    assert client.sent == endpoint.received
    assert client.received == endpoint.sent[: len(client.received)]
    assert (session["close_code"], session["closed_by"], session["outcome"]) == (1000, "client", "ok")
    assert dict(session["tags"]) == {"call": "c-1"}


SNIPPETS = re.findall(r"```python\n(.*?)```", (HOME / "docs" / "in-process.md").read_text(encoding="utf-8"), re.DOTALL)


def run_snippet(source: str, **names: Any) -> Any:
    """Run lines of the docs as they stand; give what the last of them makes."""
    *statements, last = ast.parse(source).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(statements, []), "in-process.md", "exec"), names)  # noqa: S102 - our own docs
    return eval(compile(ast.Expression(last.value), "in-process.md", "eval"), names)  # noqa: S307 - as above


async def test_the_lines_of_the_docs_record_as_they_stand(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(root.path))
    monkeypatch.chdir(root.path.parent)
    for_openai, for_websockets, for_others, with_options = (code for code in SNIPPETS if "record(" in code)
    authority = trustme.CA()
    server_tls, client_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("api.openai.com").configure_cert(server_tls)
    authority.configure_trust(client_tls)
    async with (
        serve([load_scenario("healthy")]) as simulator,
        AsyncOpenAI(api_key=API_KEY, websocket_base_url=f"{simulator.origin}/v1") as client,
    ):
        async with run_snippet(for_openai, client=client) as call:
            assert (await call.recv()).type == "session.created"
        patch = run_snippet(for_others)
        await greet(connect(f"{simulator.origin}/v1/realtime?model=m", proxy=None))
        patch.undo()
        async with run_snippet(with_options, record=record, call_id="c-1") as tap:
            await greet(connect(f"{simulator.origin}/v1/realtime?model=m", proxy=None, create_connection=tap))
    async with serve_websockets(lambda peer: peer.send("hello"), "127.0.0.1", 0, ssl=server_tls) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        # The lines name api.openai.com, and are led here.
        here = partial(connect, host="127.0.0.1", port=port, ssl=client_tls, proxy=None)
        await greet(run_snippet(for_websockets, connect=here))
    close_recorders()
    async with asyncio.timeout(20):
        while len(list_session_ids(root)) < 4:  # noqa: ASYNC110 - another process's files
            await asyncio.sleep(0.02)
    sessions = [open_recording(root, session_id).session for session_id in list_session_ids(root)]
    assert [session["complete"] for session in sessions] == [True] * 4
    assert [dict(session["tags"] or {}) for session in sessions if session["target"] == "azure-eastus2"] == [
        {"call": "c-1"}
    ]
    assert {session["host"] for session in sessions} == {"127.0.0.1", "api.openai.com"}


async def test_the_lines_of_the_docs_for_uvicorn_leave_nothing_in_the_journal(root: Root) -> None:
    (source,) = (code for code in SNIPPETS if "lifespan" in code)
    names: dict[str, Any] = {"asyncio": asyncio}
    exec(source, names)  # noqa: S102 - our own docs
    async with serve([load_scenario("healthy")]) as simulator, names["lifespan"](None):
        url = f"{simulator.origin}/v1/realtime?model=m"
        await greet(connect(url, proxy=None, create_connection=cast("Any", record(root.path))))
    async with asyncio.timeout(20):
        while any(root.journal.glob("*.journal")):  # noqa: ASYNC110 - another process's files
            await asyncio.sleep(0.02)
    assert len(list_session_ids(root)) == 1


async def test_the_lines_of_the_docs_for_celery_leave_nothing_in_the_journal(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_of_the_end: list[Any] = []
    # As Celery's signals are connected; it is no dependency.
    signals = SimpleNamespace(worker_process_shutdown=SimpleNamespace(connect=told_of_the_end.append))
    monkeypatch.setitem(sys.modules, "celery", ModuleType("celery"))
    monkeypatch.setitem(sys.modules, "celery.signals", cast("ModuleType", signals))
    (source,) = (code for code in SNIPPETS if "celery" in code)
    exec(source, {})  # noqa: S102 - our own docs
    async with serve([load_scenario("healthy")]) as simulator:
        url = f"{simulator.origin}/v1/realtime?model=m"
        await greet(connect(url, proxy=None, create_connection=cast("Any", record(root.path))))
    (tell,) = told_of_the_end
    await asyncio.to_thread(tell, sender=None, pid=1, exitcode=0)
    async with asyncio.timeout(20):
        while any(root.journal.glob("*.journal")):  # noqa: ASYNC110 - another process's files
            await asyncio.sleep(0.02)
    assert len(list_session_ids(root)) == 1


async def greet(connecting: Any) -> None:
    async with connecting as connection:
        await connection.recv()


async def speak(call: Any, speech: list[bytes]) -> None:
    for chunk in speech:
        await call.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
        await asyncio.sleep(CHUNK_MS / 1000)


@pytest.mark.slow
async def test_the_openai_sdk_without_asyncio(root: Root, endpoint: Witness, speech: list[bytes]) -> None:
    async with serve([load_scenario("healthy")]) as simulator, record(root.path) as tap:
        await asyncio.to_thread(converse_in_a_thread, simulator.origin, tap, speech)
    assert assert_recorded_whole(root, endpoint)["close_code"] == 1000


def converse_in_a_thread(origin: str, tap: Any, speech: list[bytes]) -> None:
    options: Any = {"create_connection": tap}
    with (
        OpenAI(api_key=API_KEY, websocket_base_url=f"{origin}/v1") as openai,
        openai.realtime.connect(model="gpt-realtime", websocket_connection_options=options) as call,
    ):
        call.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        for chunk in speech:
            call.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
        call.input_audio_buffer.commit()
        call.response.create()
        for event in call:
            if event.type == "response.done":
                break


@pytest.mark.slow
async def test_openai_agents(root: Root, endpoint: Witness, speech: list[bytes]) -> None:
    pytest.importorskip("agents.realtime", exc_type=ImportError)
    from agents.realtime import RealtimeAgent, RealtimeRunner  # type: ignore[import-not-found,unused-ignore]

    async with serve([load_scenario("healthy")]) as simulator, record(root.path) as tap:
        with tap.patch_websockets():
            runner = RealtimeRunner(RealtimeAgent(name="assistant", instructions="Answer briefly."))
            url = f"{simulator.origin}/v1/realtime?model=gpt-realtime"
            session = await runner.run(model_config={"api_key": API_KEY, "url": url})
            async with session, asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(send_audio(session, speech))
                async for event in session:
                    if event.type == "agent_end":
                        break
                await speaking
    assert assert_recorded_whole(root, endpoint)["user_agent"].startswith("Agents/")


async def send_audio(session: Any, speech: list[bytes]) -> None:
    for chunk in speech:
        await session.send_audio(chunk)
        await asyncio.sleep(CHUNK_MS / 1000)


@pytest.mark.slow
async def test_pipecat(root: Root, endpoint: Witness, speech: list[bytes]) -> None:
    pytest.importorskip("pipecat.services.openai.realtime.llm", exc_type=ImportError)
    async with serve([load_scenario("healthy")]) as simulator, record(root.path) as tap:
        with tap.patch_websockets():
            await run_pipeline(f"{simulator.origin}/v1/realtime", speech)
    assert assert_recorded_whole(root, endpoint)["close_code"] == 1000


async def run_pipeline(url: str, speech: list[bytes]) -> None:
    """Speak to a pipeline of one realtime service until it has answered."""
    from pipecat.frames.frames import (  # type: ignore[import-not-found,unused-ignore]
        EndFrame,
        InputAudioRawFrame,
        LLMContextFrame,
        TTSStoppedFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline  # type: ignore[import-not-found,unused-ignore]
    from pipecat.pipeline.worker import PipelineWorker  # type: ignore[import-not-found,unused-ignore]
    from pipecat.processors.aggregators.llm_context import (  # type: ignore[import-not-found,unused-ignore]
        LLMContext,
    )
    from pipecat.services.openai.realtime.llm import (  # type: ignore[import-not-found,unused-ignore]
        OpenAIRealtimeLLMService,
    )
    from pipecat.workers.runner import WorkerRunner  # type: ignore[import-not-found,unused-ignore]

    service = OpenAIRealtimeLLMService(api_key=API_KEY, base_url=url)
    worker = PipelineWorker(Pipeline([service]), cancel_on_idle_timeout=False)
    has_started, has_answered = asyncio.Event(), asyncio.Event()
    worker.set_reached_downstream_filter((TTSStoppedFrame,))

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator,unused-ignore]
    async def _(*_: Any) -> None:
        has_started.set()

    @worker.event_handler("on_frame_reached_downstream")  # type: ignore[untyped-decorator,unused-ignore]
    async def _(*_: Any) -> None:
        has_answered.set()

    async def speak_and_listen() -> None:
        await has_started.wait()
        await worker.queue_frame(LLMContextFrame(LLMContext()))
        for chunk in speech:
            await worker.queue_frame(InputAudioRawFrame(audio=chunk, sample_rate=24_000, num_channels=1))
            await asyncio.sleep(CHUNK_MS / 1000)
        await has_answered.wait()
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speak_and_listen())
        await runner.run()
