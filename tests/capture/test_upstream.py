"""The way to the endpoint: straight, or through a CONNECT proxy that the environment names."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from capture.errors import EndpointRefused, UsageProblem
from capture.in_process import connect_recorded
from capture.policy import RelayLimits
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.targets import Target
from capture.upstream import Upstream, Way, find_proxy
from tests.noise import noise

PASSWORD = "s3cr3t p@ss:word"
WSS, WS = Target("endpoint", "wss://endpoint.test"), Target("endpoint", "ws://endpoint.test:8080")
V4, V6 = Target("endpoint", "wss://10.2.3.4"), Target("endpoint", "wss://[fd00::2]")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without what the machine's own environment says."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


# Which proxy


@pytest.mark.parametrize(
    ("target", "environment", "expected"),
    [
        (WSS, {}, None),
        (WSS, {"HTTPS_PROXY": "http://corp.test:3128"}, "corp.test:3128"),
        (WSS, {"https_proxy": "corp.test:3128"}, "corp.test:3128"),
        (WSS, {"HTTPS_PROXY": "http://[fd00::1]:3128/"}, "[fd00::1]:3128"),
        (WSS, {"HTTPS_PROXY": "http://corp.test"}, "corp.test:80"),
        (WSS, {"HTTP_PROXY": "http://corp.test:3128"}, None),
        (WSS, {"HTTPS_PROXY": "http://corp.test:3128", "WSS_PROXY": "http://own.test:1"}, "own.test:1"),
        (WSS, {"HTTPS_PROXY": "http://corp.test:3128", "NO_PROXY": "endpoint.test"}, None),
        (WSS, {"HTTPS_PROXY": "http://corp.test:3128", "NO_PROXY": ".test"}, None),
        (WSS, {"HTTPS_PROXY": "http://corp.test:3128", "NO_PROXY": "other.test"}, "corp.test:3128"),
        (WSS, {"HTTPS_PROXY": "socks5://corp.test", "NO_PROXY": "*"}, None),
        (WS, {"HTTP_PROXY": "http://corp.test:3128"}, "corp.test:3128"),
        (WS, {"HTTPS_PROXY": "http://corp.test:3128"}, "corp.test:3128"),
        (WS, {"HTTP_PROXY": "http://corp.test:3128", "NO_PROXY": "endpoint.test:8080"}, None),
        (V6, {"HTTPS_PROXY": "http://corp.test:3128", "NO_PROXY": "fd00::2"}, None),
    ],
)
def test_the_environment_chooses_the_proxy(
    monkeypatch: pytest.MonkeyPatch, target: Target, environment: dict[str, str], expected: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = find_proxy(target)
    assert (None if proxy is None else str(proxy)) == expected


@pytest.mark.parametrize(
    ("target", "no_proxy", "is_exempt"),
    [
        (WSS, "*.test", True),
        (WSS, "*.TEST:443", True),
        (WSS, "*.test:8080", False),
        (WSS, "*.endpoint.test", False),
        (WSS, "localhost other.test, endpoint.test", True),
        (V4, "10.0.0.0/8", True),
        (V4, "10.1.0.0/16,192.168.0.0/16", False),
        (V4, "fd00::/8", False),
        (WSS, "10.0.0.0/8", False),
        (V6, "fd00::/8", True),
        (V6, "[fd00::2]", True),
        (V6, "[fd00::2]:443", True),
        (V6, "[fd00::2]:80", False),
        (WSS, "10.0.0.0/99,*.,,", False),
    ],
)
def test_what_is_exempt_is_written_as_for_curl_and_go(
    monkeypatch: pytest.MonkeyPatch, target: Target, no_proxy: str, is_exempt: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://corp.test:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (find_proxy(target) is None) is is_exempt


@pytest.mark.parametrize(
    "url",
    [
        "http://me:12/hidden@corp.test:3128",
        "http://me:12?hidden@corp.test:3128",
        "http://me:12#hidden@corp.test:3128",
        "socks5h://me:hidden@corp.test:1080",
        "https://me:hidden@corp.test",
        "ftp://me:hidden@corp.test:1",
        "http://me:hidden@corp.test:x",
        "http://me:hidden@corp..test:1",
        "http://[::1",
        "http://",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_without_quoting_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(UsageProblem, match=r"HTTPS_PROXY .* http://HOST:PORT") as refused:
        find_proxy(WSS)
    assert "hidden" not in str(refused.value)


async def test_a_proxy_that_cannot_be_used_is_told_before_any_call(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://corp.test")
    with pytest.raises(UsageProblem, match="HTTPS_PROXY"):
        async with serve_proxy(WSS, recorder, listen="127.0.0.1:0"):
            pass


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden@corp.test:3128")
    proxy = find_proxy(WSS)
    assert proxy is not None
    assert proxy.authorization == "Basic " + base64.b64encode(b"me:hidden").decode()
    assert proxy.authorization not in f"{proxy} {proxy!r}"


def test_a_password_that_is_not_utf8_is_sent_in_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidd\udce8n@corp.test:3128")
    proxy = find_proxy(WSS)
    assert proxy is not None
    assert proxy.authorization == "Basic " + base64.b64encode(b"me:hidd\xe8n").decode()


# Through it


class ForwardProxy:
    """A CONNECT proxy: it alone knows where `endpoint.test` is."""

    def __init__(self, target_port: int) -> None:
        self.asked: list[bytes] = []
        self.refusal = b""
        self._target_port = target_port

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        if self.refusal:
            writer.write(self.refusal)
        else:
            above_reader, above_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pump(reader, above_writer))
                tasks.create_task(pump(above_reader, writer))
        writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def behind_a_proxy(monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[tuple[Target, ForwardProxy]]:
    """Give an endpoint that only the proxy of the environment can find, and that proxy."""
    async with serve(echo, "127.0.0.1", 0, max_size=None, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        proxy = ForwardProxy(port)
        listening = await asyncio.start_server(proxy.serve_one, "127.0.0.1", 0)
        user = f"me:{PASSWORD.replace('@', '%40').replace(':', '%3A').replace(' ', '%20')}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://{user}@127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        try:
            yield Target("endpoint", f"{'wss' if 'ssl' in options else 'ws'}://endpoint.test:{port}"), proxy
        finally:
            listening.close()


@asynccontextmanager
async def relayed(target: Target, recorder: Recorder, limits: RelayLimits | None = None) -> AsyncIterator[str]:
    async with asyncio.timeout(30), serve_proxy(target, recorder, listen="127.0.0.1:0", limits=limits) as origin:
        yield origin


def only_recording(recorder: Recorder) -> Recording:
    recorder.close()
    [session_id] = list_session_ids(recorder.root)
    return open_recording(recorder.root, session_id)


@pytest.fixture
def endpoint_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """Give an endpoint's certificate, of an authority that the process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("endpoint.test").configure_cert(context)
    return context


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_call_goes_through_the_proxy_and_its_password_is_nowhere(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    endpoint_tls: ssl.SSLContext,
    is_tls: bool,
) -> None:
    options: dict[str, Any] = {"ssl": endpoint_tls} if is_tls else {}
    message = noise(3 << 20)
    async with behind_a_proxy(monkeypatch, **options) as (target, proxy), relayed(target, recorder) as origin:
        async with connect(f"{origin}/v1/realtime", proxy=None, max_size=None) as client:
            await client.send(message)
            assert await client.recv() == message
        assert client.close_code == 1000
    authority = target.url.partition("://")[2]
    credential = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Basic {credential}\r\n\r\n"
    assert proxy.asked == [head.encode()]
    recording = only_recording(recorder)
    assert recording.session["outcome"] == "ok"
    # The address that was connected to is the proxy's, and not the endpoint's.
    assert recording.session["remote_ip"] is None
    on_disk = b"".join(path.read_bytes() for path in recorder.root.path.rglob("*") if path.is_file())
    for secret in (credential, PASSWORD, "s3cr3t"):
        assert secret not in caplog.text
        assert secret.encode() not in on_disk


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            b"refused CONNECT with 407 Proxy Authentication Required",
        ),
        (b"HTTP/1.1 403 Not\x1bHere\r\nContent-Length: 2\r\n\r\nno", b"refused CONNECT with 403 Not\\x1bHere\n"),
        (b"HTTP/1.1 403 Forbidden\nSet-Cookie: session=1234\n\n", b"refused CONNECT with 403 Forbidden\n"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", b"gave no answer to CONNECT"),
        (b"HTTP/1.1 20", b"gave no answer to CONNECT"),
        (b"X" * (70 << 10), b"gave no answer to CONNECT"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_answered_502_with_its_reason(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, answer: bytes, reason: bytes
) -> None:
    async with behind_a_proxy(monkeypatch) as (target, proxy), relayed(target, recorder) as origin:
        proxy.refusal = answer
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime", proxy=None)
    assert refused.value.response.status_code == 502
    assert reason in (refused.value.response.body or b"")
    session = only_recording(recorder).session
    assert session["outcome"] == "failed"
    assert session["end_reason"].startswith("cannot be reached: the proxy 127.0.0.1:")


async def test_a_proxy_that_is_not_there_is_named_and_not_the_endpoint_blamed(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with relayed(WSS, recorder) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime", proxy=None)
    assert b"the proxy 127.0.0.1:1 cannot be reached: " in (refused.value.response.body or b"")


async def test_a_certificate_for_another_host_is_refused_behind_the_proxy_too(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, endpoint_tls: ssl.SSLContext
) -> None:
    async with behind_a_proxy(monkeypatch, ssl=endpoint_tls) as (target, _):
        other = Target("other", target.url.replace("endpoint.test", "other.test"))
        async with relayed(other, recorder) as origin:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{origin}/v1/realtime", proxy=None)
    assert refused.value.response.status_code == 502
    assert b"Hostname mismatch" in (refused.value.response.body or b"")


async def test_a_host_that_has_no_such_name_is_answered_502(recorder: Recorder) -> None:
    # Names are looked at where targets are read; a program makes its own.
    async with relayed(Target("endpoint", "wss://contoso..azure.com"), recorder) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime", proxy=None)
    assert refused.value.response.status_code == 502
    assert b"endpoint cannot be reached: contoso..azure.com is no name" in (refused.value.response.body or b"")
    assert only_recording(recorder).session["outcome"] == "failed"


async def test_a_host_that_has_no_such_name_is_asked_of_no_proxy(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Target("endpoint", "wss://a..b")
    async with behind_a_proxy(monkeypatch) as (_, proxy), relayed(endpoint, recorder) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime", proxy=None)
    assert (refused.value.response.status_code, proxy.asked) == (502, [])


async def test_a_proxy_that_stays_silent_is_given_up(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    async with relayed(WSS, recorder, RelayLimits(connect_s=0.05)) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime", proxy=None)
    silent.close()
    assert b"nothing came within 0.05 s" in (refused.value.response.body or b"")


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_call_of_our_own_goes_the_same_way(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, endpoint_tls: ssl.SSLContext, is_tls: bool
) -> None:
    options: dict[str, Any] = {"ssl": endpoint_tls} if is_tls else {}
    recording = recorder.start_session(recorder.new_facts(target="endpoint"))
    async with (
        behind_a_proxy(monkeypatch, **options) as (target, proxy),
        connect_recorded(target.url, recording=recording) as connection,
    ):
        await connection.send("hello")
        assert await connection.recv() == "hello"
    assert proxy.asked[0].startswith(f"CONNECT {target.url.partition('://')[2]} ".encode())
    session = only_recording(recorder).session
    assert (session["outcome"], session["remote_ip"]) == ("ok", None)


async def test_a_proxy_that_refuses_a_call_of_our_own_is_named(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorder.start_session(recorder.new_facts(target="endpoint"))
    async with behind_a_proxy(monkeypatch) as (target, proxy):
        proxy.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
        with pytest.raises(EndpointRefused, match=r"the proxy .* refused CONNECT with 407 Proxy Authentication"):
            async with connect_recorded(target.url, recording=recording):
                pass


async def test_a_proxy_that_sends_more_than_its_answer_is_not_believed(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_a_proxy(monkeypatch) as (target, proxy), relayed(target, recorder) as origin:
        proxy.refusal = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n"
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime", proxy=None)
    assert b"answered CONNECT with more than its answer" in (refused.value.response.body or b"")


# Straight


async def test_an_address_family_in_which_nobody_listens_is_passed_over() -> None:
    # `localhost` is both ::1 and 127.0.0.1 on most machines; only the latter listens.
    async with serve(echo, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        gate = await Upstream(Target("endpoint", f"ws://localhost:{port}"), shutdown_s=1).connect()
        assert gate.remote_ip == "127.0.0.1"
        gate.close()


async def test_an_endpoint_that_is_not_there_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError, match=f"{port}"):
        await Upstream(Target("endpoint", f"ws://127.0.0.1:{port}"), shutdown_s=1).connect()


class NameServer:
    """Stands in for the system's: takes its time, and counts who asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.has_answered = False
        self.may_answer = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        self.may_answer.wait(20)
        self.has_answered = True
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def test_a_name_server_that_does_not_answer_is_not_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    names = NameServer(monkeypatch)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await Upstream(WS, shutdown_s=1).connect()

    # The proxy would hang here, deaf to SIGTERM, with all its sessions ended.
    asyncio.run(give_up())
    assert (names.asked, names.has_answered) == (["endpoint.test"], False)
    names.may_answer.set()


def test_a_call_that_is_broken_off_does_not_wait_for_the_name_server(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = NameServer(monkeypatch)
    recording = recorder.start_session(recorder.new_facts(target="endpoint"))

    async def give_up() -> None:
        with pytest.raises(EndpointRefused, match=r"gave no answer within 0\.05 s"):
            async with connect_recorded(WS.url, recording=recording, open_timeout_s=0.05):
                pass

    # After Ctrl-C too `capture call` hung here until the name server had been given up.
    asyncio.run(give_up())
    assert (names.asked, names.has_answered) == (["endpoint.test"], False)
    names.may_answer.set()


async def test_the_loop_does_not_wait_until_the_look_up_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    names = NameServer(monkeypatch)
    names.may_answer.set()
    # What `Thread.start` does where there is no memory for what the thread does first: all calls stood still.
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("the loop waits for a thread"))
    with pytest.raises(ConnectionRefusedError):
        await Way(Target("endpoint", "ws://endpoint.test:1")).open_socket()
    assert names.asked == ["endpoint.test"]


async def test_where_there_is_no_room_for_another_thread_the_endpoint_is_said_to_be_out_of_reach(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("capture.upstream.start_new_thread", refuse)
    async with relayed(WS, recorder) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime", proxy=None)
    assert refused.value.response.status_code == 502
    assert b"endpoint.test cannot be looked up: can't start new thread" in (refused.value.response.body or b"")


async def test_a_burst_of_calls_asks_for_the_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = NameServer(monkeypatch)
    async with serve(echo, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        upstream = Upstream(Target("endpoint", f"ws://endpoint.test:{port}"), shutdown_s=1)
        async with asyncio.TaskGroup() as calls:
            tasks = [calls.create_task(upstream.connect()) for _ in range(20)]
            await asyncio.sleep(0)
            names.may_answer.set()
        assert names.asked == ["endpoint.test"]
        for task in tasks:
            task.result().close()
