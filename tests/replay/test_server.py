"""Recordings served to real clients over real sockets: they get what the recorded endpoint said, and are told apart."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from capture.audio import PCM16_24K, clip_as
from capture.errors import EndpointRefused, UsageProblem
from capture.in_process import connect_recorded
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.reader import RecordedMessage, Recording, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.server import serve_recording
from replay.simulator.client.playing import play_session
from replay.simulator.clock import StagedClock
from replay.simulator.scenario import load_scenario
from replay.staging import stage

Json = dict[str, Any]

PACE = 8.0
CHUNK_BYTES = 4800
FAILED = "conversation.item.input_audio_transcription.failed"


async def staged(root: Root, scenario: str) -> list[Recording]:
    played = await stage(load_scenario(scenario), root, speed=PACE, sealer=Sealer(root, in_process=True))
    assert played.problems == ()
    return [open_recording(root, session_id) for session_id in played.session_ids]


def said(recording: Recording) -> list[str | bytes]:
    """List what the recorded server sent."""
    return [m.content for m in recording.messages() if m.sender == "server" and m.kind in ("event", "text", "binary")]


def asked(recording: Recording, event_type: str) -> Json:
    found = next(m for m in recording.messages() if m.sender == "client" and m.type == event_type)
    event: Json = json.loads(found.content)
    return event


def stands_in(recording: Recording, event_type: str) -> Json:
    found: RecordedMessage = next(m for m in recording.messages() if m.type == event_type)
    event: Json = json.loads(found.content)
    return event


async def speak(call: Any, clip: Path) -> None:
    audio = clip_as(clip, PCM16_24K) + PCM16_24K.silence(1000)
    for start in range(0, len(audio), CHUNK_BYTES):
        chunk = base64.b64encode(audio[start : start + CHUNK_BYTES]).decode()
        await call.input_audio_buffer.append(audio=chunk)


async def converse(call: Any, clip: Path, update: Json, *until: str) -> list[Any]:
    """Configure, speak and listen, as a program that uses the SDK does."""
    events, waiting = [], set(until)
    await call.session.update(session=update)
    async with asyncio.TaskGroup() as tasks:
        async for event in call:
            events.append(event)
            waiting.discard(event.type)
            if event.type == "session.updated":
                tasks.create_task(speak(call, clip))
            if not waiting:
                return events
    raise AssertionError(f"closed before {waiting}")


async def test_the_openai_client_gets_the_recorded_answer(simulate: Any, call: Any, question_clip: Path) -> None:
    async with simulate("healthy") as simulator:
        recording = await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
    update = asked(recording, "session.update")["session"]
    told: list[str] = []
    async with serve_recording(recording, speed=PACE, tell=told.append) as endpoint:
        openai = AsyncOpenAI(api_key="sk-any", websocket_base_url=f"{endpoint.url}/v1")
        async with openai.realtime.connect(model="gpt-realtime") as connection:
            events = await converse(
                connection,
                question_clip,
                update,
                "response.done",
                "conversation.item.input_audio_transcription.completed",
            )
        await openai.close()
        await endpoint.first_is_over.wait()

    recorded = [json.loads(content) for content in said(recording)]
    assert [event.event_id for event in events] == [event["event_id"] for event in recorded][: len(events)]
    audio = [event.delta for event in events if event.type == "response.output_audio.delta"]
    assert audio == [event["delta"] for event in recorded if event["type"] == "response.output_audio.delta"]
    assert len(audio) > 10
    assert told[0] == "client 1: connected to /v1/realtime"
    assert re.fullmatch(r"client 1: closed with 1000 after .* messages sent, 0 divergences", told[-1])
    assert len(told) == 2


async def test_a_failed_transcription_fails_in_the_very_same_way(root: Root, question_clip: Path) -> None:
    [recording] = await staged(root, "transcription_model_path_failure")
    update = asked(recording, "session.update")["session"]
    async with serve_recording(recording, speed=PACE) as endpoint:
        openai = AsyncAzureOpenAI(
            api_key="any",
            api_version="v1",
            azure_endpoint="https://any.example",
            websocket_base_url=f"{endpoint.url}/openai/v1",
        )
        async with openai.realtime.connect(model="gpt-realtime") as connection:
            events = await converse(connection, question_clip, update, FAILED)
        await openai.close()
    assert json.loads(events[-1].to_json(use_api_names=True)) == stands_in(recording, FAILED)


@pytest.mark.parametrize(
    "scenario", ["healthy_barge_in", "healthy_tools", "healthy_beta", "healthy_manual", "self_interruption"]
)
@pytest.mark.slow
async def test_the_client_that_was_recorded_finds_all_as_it_was(root: Root, scenario: str) -> None:
    [recording] = await staged(root, scenario)
    told: list[str] = []
    async with serve_recording(recording, speed=PACE, tell=told.append) as endpoint:
        [session] = load_scenario(scenario).client.sessions
        played = await play_session(session, endpoint.url, StagedClock(speed=PACE))
    assert (played.ended, played.problem) == ("closed by the client with 1000", None)
    assert told[-1].endswith(f"{len(said(recording))}/{len(said(recording))} messages sent, 0 divergences")


async def test_a_beta_client_gets_a_beta_recording(root: Root, question_clip: Path) -> None:
    [recording] = await staged(root, "healthy_beta")
    update = asked(recording, "session.update")["session"]
    async with serve_recording(recording, speed=PACE) as endpoint:
        azure = AsyncAzureOpenAI(
            api_key="any",
            api_version="2025-04-01-preview",
            azure_endpoint="https://any.example",
            websocket_base_url=f"{endpoint.url}/openai",
        )
        async with azure.beta.realtime.connect(model="gpt-realtime") as connection:
            events = await converse(connection, question_clip, update, "response.done")
        await azure.close()
    assert {"response.audio.delta", "conversation.item.created"} <= {event.type for event in events}
    assert json.loads(events[-1].to_json(use_api_names=True)) == stands_in(recording, "response.done")


async def test_as_fast_as_the_client_asks(root: Root) -> None:
    [recording] = await staged(root, "healthy_manual")
    recorded = said(recording)
    async with serve_recording(recording, speed=math.inf) as endpoint, connect(endpoint.url) as client:
        for message in recording.messages():
            if message.sender == "client" and message.kind == "event":
                await client.send(message.content)
        received = [await client.recv() for _ in recorded]
    # What does not wait for each other comes in another order where nothing takes time.
    assert sorted(map(str, received)) == sorted(map(str, recorded))


async def test_two_clients_at_once_have_a_session_each(root: Root) -> None:
    [recording] = await staged(root, "healthy_text")
    told: list[str] = []
    async with (
        serve_recording(recording, speed=math.inf, tell=told.append) as endpoint,
        connect(f"{endpoint.url}/a?api-key=secret") as first,
        connect(f"{endpoint.url}/b") as second,
    ):
        for client in (first, second):
            assert await client.recv() == said(recording)[0]
        await second.send('{"type": "session.nonsense"}')
        await first.send(json.dumps(asked(recording, "session.update")))
        assert json.loads(await first.recv())["type"] == "session.updated"
    assert told[:3] == [
        "client 1: connected to /a",
        "client 2: connected to /b",
        "client 2: unexpected: session.nonsense #1 has no counterpart in the recording: nothing answers it",
    ]
    ends = sorted(re.sub(r"with 1000 after .*; (.*) messages sent", r"\1", line) for line in told[3:])
    assert [line.partition(":")[0] for line in ends] == ["client 1", "client 1", "client 2", "client 2"]
    total = len(said(recording))
    assert ends[0] == f"client 1: closed 2/{total}, 1 divergence"
    assert ends[2] == f"client 2: closed 1/{total}, 2 divergences"


async def test_it_closes_as_the_recorded_endpoint_did(root: Root) -> None:
    [recording] = await staged(root, "invalid_key_close_3000")
    async with serve_recording(recording, speed=PACE) as endpoint, connect(endpoint.url) as client:
        assert await client.recv() == said(recording)[0]
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (3000, "invalid_request_error.invalid_api_key")


async def test_it_drops_the_connection_as_the_recorded_endpoint_did(root: Root) -> None:
    [recording] = await staged(root, "abnormal_close_1006")
    async with serve_recording(recording, speed=math.inf) as endpoint, connect(endpoint.url) as client:
        for message in recording.messages():
            if message.sender == "client" and message.kind == "event":
                await client.send(message.content)
        with pytest.raises(ConnectionClosed):
            while True:
                await client.recv()
        assert client.close_code == 1006


async def test_it_refuses_as_the_recorded_endpoint_did(root: Root) -> None:
    refused = (await staged(root, "handshake_refused"))[-1]
    told: list[str] = []
    async with serve_recording(refused, tell=told.append) as endpoint:
        with pytest.raises(InvalidStatus) as caught:
            await connect(endpoint.url)
        await endpoint.first_is_over.wait()
    response = caught.value.response
    assert response.status_code == refused.session["handshake_status"]
    body = next(m.content for m in refused.messages() if m.kind == "http" and m.sender == "server")
    assert (response.body or b"").decode() == body
    assert response.headers["Content-Type"] == "application/json"
    assert told == [f"client 1: refused with HTTP {response.status_code}, as recorded"]


async def recorded_from(endpoint: Any, recorder: Recorder, root: Root) -> Recording:
    """Record a client that reads what an endpoint says, up to its end."""
    async with endpoint as listening:
        url = f"ws://127.0.0.1:{next(iter(listening.sockets)).getsockname()[1]}/v1/realtime"
        session = recorder.start_session(recorder.new_facts(target="odd", url=url))
        with suppress(EndpointRefused, ConnectionClosed):
            async with connect_recorded(url, recording=session) as connection:
                while True:
                    await connection.recv()
    await asyncio.wrap_future(session.end())
    return open_recording(root, session.session_id)


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "received 1005 (no status received [internal]); then sent 1005 (no status received [internal])"),
        (b"\x03\xe7", "sent 1002 (protocol error) invalid status code; no close frame received"),
        (b"\x03\xf3\xff", "sent 1007 (invalid frame payload data) invalid start byte"),
    ],
    ids=["no code", "999", "no text"],
)
async def test_an_odd_close_frame_is_sent_as_it_was(
    recorder: Recorder, root: Root, content: bytes, received: str
) -> None:
    async def close(connection: ServerConnection) -> None:
        connection.transport.write(Frame(Opcode.CLOSE, content).serialize(mask=False))
        await connection.wait_closed()

    recording = await recorded_from(serve(close, "127.0.0.1", 0), recorder, root)
    told: list[str] = []
    async with serve_recording(recording, tell=told.append) as endpoint, connect(endpoint.url) as client:
        with pytest.raises(ConnectionClosed, match=re.escape(received)):
            await client.recv()
    assert re.fullmatch(r"client 1: ended as recorded after .*; 0/0 messages sent, 0 divergences", told[-1])


async def test_a_status_that_http_does_not_name_is_that_of_the_refusal(recorder: Recorder, root: Root) -> None:
    def overloaded(_connection: ServerConnection, _request: Request) -> Response:
        body = b"<html>unknown error</html>"
        headers = {"Content-Type": "text/html", "CF-Ray": "8a1", "Content-Length": str(len(body))}
        return Response(520, "Web Server Returns an Unknown Error", Headers(headers), body)

    endpoint = serve(ServerConnection.wait_closed, "127.0.0.1", 0, process_request=overloaded)
    recording = await recorded_from(endpoint, recorder, root)
    told: list[str] = []
    async with serve_recording(recording, tell=told.append) as served:
        with pytest.raises(InvalidStatus, match="HTTP 520") as caught:
            await connect(served.url)
    response = caught.value.response
    assert (response.headers["Content-Type"], response.headers["CF-Ray"]) == ("text/html", "8a1")
    assert bytes(response.body or b"") == b"<html>unknown error</html>"
    assert told == ["client 1: refused with HTTP 520, as recorded"]


async def test_a_server_that_said_nothing_is_told_before_a_client_waits_for_it(recorder: Recorder, root: Root) -> None:
    session = recorder.start_session(recorder.new_facts(target="silent", url="ws://silent.example/v1/realtime"))
    await asyncio.wrap_future(session.end())
    told: list[str] = []
    async with serve_recording(open_recording(root, session.session_id), tell=told.append):
        assert told == ["the recorded server said nothing: a client is let in, and hears nothing"]


async def test_what_a_client_that_left_did_not_get_counts_as_unsent(recorder: Recorder, root: Root) -> None:
    async def say_much(connection: ServerConnection) -> None:
        for number in range(8):
            await connection.send(json.dumps({"type": "other", "number": number, "padding": "x" * 2_000_000}))
        await connection.close(1011)

    recording = await recorded_from(serve(say_much, "127.0.0.1", 0), recorder, root)
    told: list[str] = []
    async with serve_recording(recording, speed=math.inf, tell=told.append) as endpoint:
        client = await connect(endpoint.url, max_size=None, compression=None)
        client.transport.pause_reading()
        await asyncio.sleep(0.3)
        client.transport.abort()
        await endpoint.first_is_over.wait()
    assert re.search(
        r"closed_early: .* with \d messages still to be sent; the recorded server closed with 1011", told[-2]
    )
    assert re.search(r"closed with 1006 after .*; [0-7]/8 messages sent, 1 divergence", told[-1])


async def test_a_plain_request_is_no_session(root: Root) -> None:
    recordings = await staged(root, "token_mint_500_with_transcription")
    with pytest.raises(UsageProblem, match="is a plain HTTP request"):
        async with serve_recording(recordings[0]):
            pass


async def test_a_plain_get_is_no_session_either(simulate: Any, recorder: Recorder, root: Root) -> None:
    sealed: asyncio.Queue[Any] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def note(future: Any) -> None:
        loop.call_soon_threadsafe(sealed.put_nowait, future)

    async with (
        simulate("healthy") as simulator,
        serve_proxy(
            Target("plain", simulator.origin),
            recorder,
            listen="127.0.0.1:0",
            on_sealed=note,
        ) as origin,
    ):
        await exchange(origin, b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        session_id = (await sealed.get()).result().session_id
    with pytest.raises(UsageProblem, match="is a plain HTTP request: only sessions are served; take one of"):
        async with serve_recording(open_recording(root, session_id)):
            pass


async def exchange(origin: str, request: bytes) -> bytes:
    host, port = origin.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_client_that_first_asks_for_a_secret_is_told_that_none_is_given(root: Root) -> None:
    [recording] = await staged(root, "close_1000_after_session_update")
    told: list[str] = []
    async with serve_recording(recording, tell=told.append) as endpoint:
        request = b"POST /v1/realtime/client_secrets?k=v HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        answer = await exchange(endpoint.url, request)
        assert answer.startswith(b"HTTP/1.1 404 Not Found")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"].startswith(
            "Wiretape serves the WebSocket"
        )
        assert not endpoint.first_is_over.is_set()
        async with connect(endpoint.url) as client:
            assert await client.recv() == said(recording)[0]
    assert told[0] == "POST /v1/realtime/client_secrets: 404, only the WebSocket of the recording is served"


async def test_the_handshake_is_that_of_a_realtime_endpoint(root: Root) -> None:
    [recording] = await staged(root, "close_1000_after_session_update")
    offered = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.any")]
    async with serve_recording(recording) as endpoint, connect(endpoint.url, subprotocols=offered) as client:
        assert client.subprotocol == "realtime"
        assert client.response is not None
        assert client.response.headers["x-request-id"] == recording.session["response_headers"]["x-request-id"]


async def test_an_address_in_use_is_a_usage_problem(root: Root) -> None:
    [recording] = await staged(root, "close_1000_after_session_update")
    async with serve_recording(recording) as endpoint:
        port = int(endpoint.url.rpartition(":")[2])
        with pytest.raises(UsageProblem, match="take another --listen"):
            async with serve_recording(recording, listen=("127.0.0.1", port)):
                pass
