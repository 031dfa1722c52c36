"""The proxy as a service: where it listens, who may call, and how it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from capture.errors import UsageProblem
from capture.proxy import _report, read_client_token, run_proxy, serve_proxy
from capture.recorder import Recorder
from capture.recording.facts import HandshakeRequest, HandshakeResponse, KeepRule, SessionEnd
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import SealedSession, Sealer, SealingFailed, seal
from capture.targets import Target
from tests.proxy_process import calling, endpoint, eventually, proxy_process, recordings_by_call, run_capture

NOWHERE = Target("nowhere", "ws://127.0.0.1:1")


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


def test_a_client_token_is_what_it_is_without_whitespace_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for held, token in [("open-sesame\n", "open-sesame"), (" open sesame\r\n", "open sesame"), ("", None)]:
        monkeypatch.setenv("WIRETAPE_CLIENT_TOKEN", held)
        assert read_client_token() == token
    monkeypatch.delenv("WIRETAPE_CLIENT_TOKEN")
    assert read_client_token() is None
    monkeypatch.setenv("WIRETAPE_CLIENT_TOKEN", "\n")
    with pytest.raises(UsageProblem, match="WIRETAPE_CLIENT_TOKEN is empty but for whitespace"):
        read_client_token()


async def test_the_token_of_a_file_that_ends_in_a_line_break_opens_the_proxy(root: Root) -> None:
    headers = {"Authorization": "Bearer open-sesame"}
    async with endpoint() as served, proxy_process(root, served.url, WIRETAPE_CLIENT_TOKEN="open-sesame\n") as proxy:
        async with calling(proxy.origin, served, "call", additional_headers=headers) as call:
            await call.say()
        assert await proxy.stop() == 0
    assert [*recordings_by_call(root)] == ["call"]


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


class SealerThatComesSecond(Sealer):
    """Seals a session after another process has done so, as the sealer of another proxy on this root may."""

    def submit(self, session_id: str) -> Future[SealedSession]:
        seal(self._root.path, session_id)
        return super().submit(session_id)


async def test_what_another_proxy_sealed_and_dropped_meanwhile_was_not_left_behind(
    root: Root, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Recorder(root, sealer=Sealer(root, in_process=True)) as earlier:
        recording = earlier.start_session(earlier.new_facts(keep_rule=KeepRule(keep="failed")))
        recording.fact(HandshakeRequest(offset_ns=0, method="GET", path="/", headers=[]))
        recording.fact(HandshakeResponse(offset_ns=0, status=200, headers=[]))
        recording.fact(SessionEnd(offset_ns=1))

    def stop(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with Recorder(root, sealer=SealerThatComesSecond(root, in_process=True)) as recorder:
        await run_proxy(NOWHERE, recorder, listen="127.0.0.1:0", on_listening=stop)
    assert f"sealing {recording.session_id}, left behind by an earlier run" in caplog.text
    assert list(root.journal.glob("*.journal")) == []
    assert "could not be sealed" not in caplog.text


@asynccontextmanager
async def program(
    root: Root, *options: str, preamble: str = "", stderr: int = asyncio.subprocess.PIPE
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the whole program before an echoing endpoint, as a process of its own; gives it and its origin."""
    async with serve(echo, "127.0.0.1", 0) as server, asyncio.timeout(60):
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        arguments = ["capture", "proxy", "--to", url, "--listen", "127.0.0.1:0", *options]
        proxy = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"{preamble}\nfrom wiretape import main; main({arguments!r})",
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "WIRETAPE_RECORDINGS": str(root.path)},
            cwd=Path(__file__).parents[2],
        )
        assert proxy.stdout is not None
        try:
            yield proxy, (await proxy.stdout.readline()).decode().strip()
        finally:
            if proxy.returncode is None:
                proxy.kill()
            await proxy.communicate()


async def narration(proxy: asyncio.subprocess.Process, until: str) -> str:
    """Read the log up to a line with this text."""
    assert proxy.stderr is not None
    said = ""
    while until not in said:
        line = (await proxy.stderr.readline()).decode()
        assert line, f"{until!r} was never said, but: {said}"
        said += line
    return said


async def is_refused(origin: str) -> bool:
    try:
        async with connect(f"{origin}/v1/realtime"):
            return False
    except (OSError, InvalidMessage):
        return True


def only_session(root: Root) -> dict[str, Any]:
    assert not list(root.journal.glob("*.journal"))
    [session_id] = list_session_ids(root)
    return open_recording(root, session_id).session


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGTERM, ["--drain", "0"]), (signal.SIGTERM, ["--drain", "0.2"]), (signal.SIGINT, [])],
)
async def test_a_signal_closes_live_calls_seals_them_and_exits_0(
    root: Root, number: signal.Signals, options: list[str]
) -> None:
    async with program(root, *options) as (proxy, origin):
        async with connect(f"{origin}/v1/realtime") as client:
            await client.send('{"type":"hello"}')
            await client.recv()
            proxy.send_signal(number)
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert await proxy.wait() == 0
    assert only_session(root)["closed_by"] == "recorder"
    [session_id] = list_session_ids(root)
    assert [message.type for message in open_recording(root, session_id).messages()][:2] == ["hello", "hello"]


async def test_an_address_that_nobody_reads_ends_no_proxy(root: Root) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = ["capture", "proxy", "--to", "ws://127.0.0.1:1", "--listen", "127.0.0.1:0"]
    proxy = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"from wiretape import main; main({arguments!r})",
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "WIRETAPE_RECORDINGS": str(root.path)},
        cwd=Path(__file__).parents[2],
    )
    os.close(writing)
    said = await narration(proxy, "clients connect to")
    port = int(said.strip().rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"nonsense\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    proxy.send_signal(signal.SIGTERM)
    _, rest = await proxy.communicate()
    assert (proxy.returncode, rest) == (0, b"")


async def test_a_log_that_nobody_reads_any_more_ends_no_call(root: Root) -> None:
    # `wiretape capture proxy 2>&1 | tee proxy.log`, and Ctrl-C ends the `tee`, too.
    async with program(root, "--drain", "50") as (proxy, origin):
        await narration(proxy, "clients connect to")
        proxy._transport.get_pipe_transport(2).close()  # type: ignore[attr-defined]
        async with connect(f"{origin}/v1/realtime") as client:
            with pytest.raises(ssl.SSLError):
                await connect(origin.replace("ws:", "wss:"), ssl=ssl.create_default_context())
            await client.send("still heard")
            assert await client.recv() == "still heard"
        proxy.send_signal(signal.SIGTERM)
        assert await proxy.wait() == 0
    session = only_session(root)
    assert (session["outcome"], session["closed_by"], session["close_code"]) == ("ok", "client", 1000)


async def test_sigterm_takes_no_new_session_and_lets_the_live_one_end(root: Root) -> None:
    async with program(root, "--drain", "50") as (proxy, origin):
        async with connect(f"{origin}/v1/realtime") as client:
            # A connection on which nothing was asked yet does not hold the draining up.
            _, idle = await asyncio.open_connection("127.0.0.1", int(origin.rpartition(":")[2]))
            proxy.send_signal(signal.SIGTERM)
            await narration(proxy, "draining: 1 session live, up to 50 s")
            assert await is_refused(origin)
            await client.send("still heard")
            assert await client.recv() == "still heard"
            idle.close()
        assert await proxy.wait() == 0
    session = only_session(root)
    assert (session["outcome"], session["closed_by"], session["close_code"]) == ("ok", "client", 1000)


async def test_a_second_signal_ends_the_draining(root: Root) -> None:
    async with program(root, "--drain", "50") as (proxy, origin), connect(f"{origin}/v1/realtime") as client:
        proxy.send_signal(signal.SIGTERM)
        await narration(proxy, "draining")
        proxy.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert await proxy.wait() == 0
    assert only_session(root)["closed_by"] == "recorder"


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process that writes the journals in /proc")
async def test_a_signal_is_acted_on_while_the_process_of_an_earlier_run_is_waited_for(root: Root) -> None:
    async with endpoint() as served:
        async with proxy_process(root, served.url) as earlier, calling(earlier.origin, served, "earlier") as call:
            await call.say()
            writer = await earlier.journal_writer()
            # It is at work.
            await eventually(lambda: list(root.journal.glob("*.journal")))
            os.kill(writer, signal.SIGSTOP)
            earlier.process.kill()
            await earlier.process.wait()
        try:
            async with proxy_process(root, served.url, "--drain", "50") as proxy:
                async with calling(proxy.origin, served, "live") as live:
                    proxy.process.send_signal(signal.SIGTERM)
                    # Less than that process is waited for.
                    async with asyncio.timeout(20):
                        await proxy.says("draining: 1 session live")
                    assert await is_refused(proxy.origin)
                    await live.say()
                assert await proxy.process.wait() == 0
        finally:
            os.kill(writer, signal.SIGCONT)
    # It was left to that process, and to who comes after.
    assert [*recordings_by_call(root)] == ["live"]
    assert (await run_capture(root, "recover"))[0] == 0
    assert {*recordings_by_call(root)} == {"live", "earlier"}


async def test_clients_beyond_the_limit_on_open_files_are_told_and_live_calls_go_on(root: Root) -> None:
    # 64 files for the process, and room for two connections.
    low = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (72, 72))"
    async with program(root, preamble=low) as (proxy, origin):
        async with connect(f"{origin}/v1/realtime") as one, connect(f"{origin}/v1/realtime") as two:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{origin}/v1/realtime")
            assert refused.value.response.status_code == 503
            assert "limit on open files" in await narration(proxy, "LimitNOFILE")
            for client in (one, two):
                await client.send("still here")
                assert await client.recv() == "still here"
        proxy.send_signal(signal.SIGTERM)
        assert await proxy.wait() == 0


async def test_the_program_serves_tls_with_a_certificate_of_its_own(root: Root, tmp_path: Path) -> None:
    home = f"import os; os.environ['XDG_STATE_HOME'] = {str(tmp_path)!r}"
    async with program(root, "--tls-self-signed", preamble=home) as (proxy, origin):
        assert origin.startswith("wss://")
        certificate = tmp_path / "wiretape" / "localhost.pem"
        assert f"NODE_EXTRA_CA_CERTS={certificate}" in await narration(proxy, "curl")
        trust = ssl.create_default_context(cafile=str(certificate))
        async with connect(f"{origin}/v1/realtime", ssl=trust) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        proxy.send_signal(signal.SIGTERM)
        assert await proxy.wait() == 0
    assert only_session(root)["outcome"] == "ok"


@pytest.mark.parametrize("options", [["--tls-cert", "c.pem"], ["--tls-key", "k.pem", "--tls-self-signed"]])
async def test_tls_options_that_do_not_go_together_are_refused(root: Root, options: list[str]) -> None:
    async with program(root, *options) as (proxy, origin):
        assert origin == ""
        assert "--tls-" in await narration(proxy, "wiretape: ")
        assert await proxy.wait() == 2


async def test_a_log_that_is_not_read_holds_up_no_call_and_no_end(root: Root) -> None:
    # Ctrl-S in the terminal, or a container whose log driver stands still.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.set_blocking(writing, True)
    async with program(root, stderr=writing) as (proxy, origin):
        os.close(writing)
        for _ in range(3):
            async with connect(f"{origin}/v1/realtime") as client:
                await client.send("still heard")
                assert await client.recv() == "still heard"
            with pytest.raises(ssl.SSLError):
                await connect(origin.replace("ws:", "wss:"), ssl=ssl.create_default_context())
        proxy.send_signal(signal.SIGTERM)
        assert await proxy.wait() == 0
    os.close(reading)
    assert len(list_session_ids(root)) == 3


@pytest.mark.parametrize(
    ("kept_in", "ending"),
    [
        ("journal/ID.journal", "ID.journal; the next start, or `wiretape capture recover`, seals it"),
        ("journal/quarantine/ID.journal", "quarantine/ID.journal"),
        (None, "the reason"),
    ],
)
def test_of_a_session_that_is_not_sealed_the_log_says_when_it_will_be(
    kept_in: str | None, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    done: Future[SealedSession] = Future()
    done.set_exception(SealingFailed("ID", "the reason", Path(kept_in) if kept_in else None))
    _report(done)
    assert caplog.messages[0].endswith(ending)
