"""The proxy as a service: where it listens, who may call, and how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from capture.errors import UsageProblem
from capture.proxy import run_proxy, serve_proxy
from capture.recorder import Recorder
from capture.recording.facts import SessionEnd
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target

NOWHERE = Target("nowhere", "ws://127.0.0.1:1")


@pytest.fixture
def recorder(root: Root) -> Iterator[Recorder]:
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        yield recorder


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def refuses(recorder: Recorder, target: Target = NOWHERE, listen: str = "127.0.0.1:0") -> str:
    """Start the proxy, and give the sentence with which it refuses."""
    with pytest.raises(UsageProblem) as refused:
        async with serve_proxy(target, recorder, listen=listen):
            pass
    return str(refused.value)


async def test_only_loopback_is_served_without_a_client_token(recorder: Recorder) -> None:
    assert "WIRETAPE_CLIENT_TOKEN" in await refuses(recorder, listen="0.0.0.0:0")
    async with serve_proxy(NOWHERE, recorder, listen="localhost:0") as origin:
        assert origin.startswith("ws://")


async def test_an_address_in_use_is_refused_by_name(recorder: Recorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {listen}" in await refuses(recorder, listen=listen)


async def test_a_key_that_is_not_set_is_named_before_any_call(recorder: Recorder) -> None:
    target = Target("azure", "wss://contoso.openai.azure.com", api_key_env="WIRETAPE_TEST_NO_SUCH_KEY")
    assert "WIRETAPE_TEST_NO_SUCH_KEY" in await refuses(recorder, target)


async def test_with_a_client_token_only_its_bearer_may_call(recorder: Recorder) -> None:
    asked: list[dict[str, str]] = []

    async def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(dict(connection.request.headers.raw_items()))
        await echo(connection)

    async with serve(answer, "127.0.0.1", 0) as server:
        target = Target("endpoint", f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        async with serve_proxy(target, recorder, listen="127.0.0.1:0", client_token="open-sesame") as origin:
            with pytest.raises(InvalidStatus) as refused:
                await connect(origin, additional_headers={"Authorization": "Bearer guess"})
            async with connect(origin, additional_headers={"Authorization": "Bearer open-sesame"}) as client:
                await client.send("hello")
                assert await client.recv() == "hello"
    assert refused.value.response.status_code == 401
    assert "Authorization" not in asked[0]


async def test_an_error_of_the_caller_comes_out_as_it_is(recorder: Recorder) -> None:
    with pytest.raises(LookupError):
        async with serve_proxy(NOWHERE, recorder, listen="127.0.0.1:0"):
            raise LookupError


async def test_a_journal_left_behind_is_sealed_when_the_proxy_starts(root: Root, recorder: Recorder) -> None:
    with Recorder(root, sealer=Sealer(root, in_process=True)) as earlier:
        recording = earlier.start_session(earlier.new_facts())
        recording.fact(SessionEnd(offset_ns=1))
        # Closing without ending it is what a crash leaves.
    assert list_session_ids(root) == []

    def stop(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    await run_proxy(NOWHERE, recorder, listen="127.0.0.1:0", on_listening=stop)
    recorder.close()
    assert list_session_ids(root) == [recording.session_id]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_closes_live_calls_seals_them_and_exits_0(root: Root, number: signal.Signals) -> None:
    """The whole program, as a process of its own."""
    async with serve(echo, "127.0.0.1", 0) as server, asyncio.timeout(60):
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        command = f"from capture.cli import app; app(['proxy', '--to', {url!r}, '--listen', '127.0.0.1:0'])"
        proxy = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "WIRETAPE_RECORDINGS": str(root.path)},
            cwd=Path(__file__).parents[2],
        )
        assert proxy.stdout is not None
        origin = (await proxy.stdout.readline()).decode().strip()
        async with connect(f"{origin}/v1/realtime") as client:
            await client.send('{"type":"hello"}')
            await client.recv()
            proxy.send_signal(number)
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert await proxy.wait() == 0
    [session_id] = list_session_ids(root)
    recording = open_recording(root, session_id)
    assert [message.type for message in recording.messages()][:2] == ["hello", "hello"]
    assert recording.session["closed_by"] == "recorder"
    assert not list(root.journal.glob("*.journal"))
