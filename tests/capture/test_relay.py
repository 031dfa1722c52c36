"""Clients through the relay to an endpoint: what passes, what is answered, what is recorded; nothing is mocked."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidStatus
from websockets.frames import Close, CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from capture.exchange import Gate
from capture.policy import RecordingPolicy, RelayLimits
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.recording.root import Root
from capture.targets import Target
from capture.upstream import Upstream
from tests.noise import noise

pytestmark = pytest.mark.codec

SECRET = "s3cr3t-k3y-of-4-t3st"
Handler = Callable[[ServerConnection], Awaitable[None]]


def recordings(recorder: Recorder) -> list[Recording]:
    """Wait until everything is sealed, and open it."""
    recorder.close()
    return [open_recording(recorder.root, session_id) for session_id in list_session_ids(recorder.root)]


@asynccontextmanager
async def endpoint(handler: Handler, **options: Any) -> AsyncIterator[Target]:
    async with serve(handler, "127.0.0.1", 0, max_size=None, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Target("endpoint", f"{'wss' if 'ssl' in options else 'ws'}://127.0.0.1:{port}")


@asynccontextmanager
async def raw_endpoint(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[Target]:
    """Serve bytes of the test's own making."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await handler(reader, writer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield Target("endpoint", f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        server.close()


@asynccontextmanager
async def relayed(target: Target, recorder: Recorder, **options: Any) -> AsyncIterator[str]:
    async with (
        asyncio.timeout(30),
        serve_proxy(target, recorder, listen="127.0.0.1:0", **options) as origin,
    ):
        yield origin


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def contents(recording: Recording, sender: str, *kinds: str) -> list[str | bytes]:
    messages = recording.messages()
    return [message.content for message in messages if message.sender == sender and message.kind in kinds]


# What passes


def big_messages() -> list[str | bytes]:
    sizes = (0, 1, 125, 126, 65535, 65536, 3 << 20)
    texts = [f'{{"type":"test","x":"{os.urandom(size // 2).hex()}"}}' for size in sizes]
    return [*texts, *(noise(size) for size in sizes)]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_of_every_size_arrive_and_are_recorded_byte_for_byte(
    recorder: Recorder, compression: str | None
) -> None:
    messages = big_messages()
    received: list[str | bytes] = []

    async def answer(connection: ServerConnection) -> None:
        async for message in connection:
            received.append(message)
            await connection.send(message)

    async with (
        endpoint(answer) as target,
        relayed(target, recorder) as origin,
        connect(f"{origin}/v1/realtime", compression=compression, max_size=None) as client,
    ):
        echoed = []
        for message in messages:
            await client.send(message)
            echoed.append(await client.recv())
    assert received == echoed == messages
    [recording] = recordings(recorder)
    for sender in ("client", "server"):
        assert contents(recording, sender, "event", "text", "binary") == messages
    assert recording.session["complete"]
    assert recording.session["outcome"] == "ok"


async def test_fragments_pings_and_pongs_pass_as_they_are(recorder: Recorder) -> None:
    async with (
        endpoint(echo, ping_interval=None) as target,
        relayed(target, recorder) as origin,
        connect(f"{origin}/v1/realtime", ping_interval=None) as client,
    ):
        await client.send(["one ", "message ", "in ", "pieces"])
        assert await client.recv() == "one message in pieces"
        await (await client.ping(b"are you there"))
    [recording] = recordings(recorder)
    assert contents(recording, "client", "text") == ["one message in pieces"]
    assert contents(recording, "client", "ping") == [b"are you there"]
    assert contents(recording, "server", "pong") == [b"are you there"]


async def test_the_subprotocol_is_negotiated_end_to_end(recorder: Recorder) -> None:
    realtime = Subprotocol("realtime")
    async with (
        endpoint(echo, subprotocols=[realtime]) as target,
        relayed(target, recorder) as origin,
        connect(f"{origin}/v1/realtime", subprotocols=[realtime, Subprotocol("other")]) as client,
    ):
        assert client.subprotocol == "realtime"


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "bye"), (1001, "60 minutes"), (1011, ""), (3000, "key"), (4000, "beta")]
)
async def test_the_endpoints_close_code_and_reason_reach_the_client(recorder: Recorder, code: int, reason: str) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(code, reason)

    async with endpoint(close) as target, relayed(target, recorder) as origin:
        async with connect(f"{origin}/v1/realtime") as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert (client.close_code, client.close_reason) == (code, reason)
    [recording] = recordings(recorder)
    seen = {name: recording.session[name] for name in ("close_code", "close_reason", "closed_by")}
    assert seen == {"close_code": code, "close_reason": reason or None, "closed_by": "server"}


async def test_the_clients_close_code_reaches_the_endpoint(recorder: Recorder) -> None:
    closed = asyncio.Event()

    async def watch(connection: ServerConnection) -> None:
        await connection.wait_closed()
        assert (connection.close_code, connection.close_reason) == (4321, "done here")
        closed.set()

    async with endpoint(watch) as target, relayed(target, recorder) as origin:
        client = await connect(f"{origin}/v1/realtime")
        await client.close(4321, "done here")
        await closed.wait()
    [recording] = recordings(recorder)
    assert (recording.session["closed_by"], recording.session["close_code"]) == ("client", 4321)


@pytest.mark.parametrize("side", ["client", "endpoint"])
async def test_a_connection_that_breaks_off_breaks_off_on_the_other_side(recorder: Recorder, side: str) -> None:
    gone = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        await connection.send("hello")
        if side == "endpoint":
            connection.transport.abort()
        await connection.wait_closed()
        assert connection.close_code == 1006
        gone.set()

    async with endpoint(handle) as target, relayed(target, recorder) as origin:
        client = await connect(f"{origin}/v1/realtime")
        assert await client.recv() == "hello"
        if side == "client":
            client.transport.abort()
        await client.wait_closed()
        await gone.wait()
        assert client.close_code == 1006
    [recording] = recordings(recorder)
    assert contents(recording, "server", "text") == ["hello"]
    assert recording.session["close_code"] == 1006


async def test_bytes_that_come_before_the_101_are_held_and_go_after_it(recorder: Recorder) -> None:
    frame = b"\x81\x82\x00\x00\x00\x00hi"
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                seen.append(await reader.readexactly(1))
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Odd:   kept  \r\n\r\n\x81\x02yo")
        seen.append(await reader.readexactly(len(frame)))

    async with raw_endpoint(handle) as target, relayed(target, recorder) as origin:
        reader, writer = await open_raw(origin)
        writer.write(
            b"GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + frame
        )
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    # The endpoint's head goes to the client as it came, to the byte.
    assert answer == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Odd:   kept  \r\n\r\n\x81\x02yo"
    assert seen == [frame]
    [recording] = recordings(recorder)
    assert [(message.sender, message.content) for message in recording.messages()] == [
        ("server", "yo"),
        ("client", "hi"),
    ]


async def open_raw(origin: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = origin.removeprefix("ws://").rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def request(origin: str, head: str, body: bytes = b"") -> bytes:
    """Send one request and read the answer to its end."""
    reader, writer = await open_raw(origin)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


# TLS


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Give a certificate authority that the process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def tls_of(authority: trustme.CA, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


async def test_a_tls_endpoint_is_reached_and_closes_properly(recorder: Recorder, authority: trustme.CA) -> None:
    async with endpoint(echo, ssl=tls_of(authority, "127.0.0.1")) as target, relayed(target, recorder) as origin:
        async with connect(f"{origin}/v1/realtime", max_size=None) as client:
            for message in big_messages():
                await client.send(message)
                assert await client.recv() == message
        assert client.close_code == 1000
    [recording] = recordings(recorder)
    assert contents(recording, "server", "close") == [b"\x03\xe8"]
    assert recording.session["outcome"] == "ok"


async def test_a_tls_endpoint_learns_that_the_client_is_gone(recorder: Recorder, authority: trustme.CA) -> None:
    gone = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        await connection.wait_closed()
        gone.set()

    limits = RelayLimits(linger_s=0.05)
    async with (
        endpoint(handle, ssl=tls_of(authority, "127.0.0.1")) as target,
        relayed(target, recorder, limits=limits) as origin,
    ):
        client = await connect(f"{origin}/v1/realtime")
        client.transport.write_eof()
        await gone.wait()
        await client.wait_closed()


async def test_an_endpoint_with_a_wrong_certificate_is_not_spoken_to(recorder: Recorder, authority: trustme.CA) -> None:
    async with (
        endpoint(echo, ssl=tls_of(authority, "elsewhere.example")) as target,
        relayed(target, recorder) as origin,
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime")
    assert refused.value.response.status_code == 502
    assert b"certificate verify failed" in (refused.value.response.body or b"")


# Refusals and plain HTTP


async def test_a_refused_upgrade_reaches_the_client_with_its_body_and_is_recorded(recorder: Recorder) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(401, '{"error":{"message":"Incorrect API key provided"}}')
        response.headers["apim-request-id"] = "4711"
        return response

    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def note_end(_: object) -> None:
        loop.call_soon_threadsafe(ended.set)

    async with (
        endpoint(echo, process_request=refuse) as target,
        relayed(target, recorder, on_sealed=note_end) as origin,
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime")
        await ended.wait()
    assert refused.value.response.status_code == 401
    assert refused.value.response.body == b'{"error":{"message":"Incorrect API key provided"}}'
    [recording] = recordings(recorder)
    assert recording.session["handshake_status"] == 401
    assert recording.session["request_ids"] == {"apim-request-id": "4711"}
    assert recording.session["outcome"] == "failed"
    assert recording.session["end_reason"] == "the endpoint refused the upgrade"
    assert contents(recording, "server", "http") == ['{"error":{"message":"Incorrect API key provided"}}']


async def test_an_endpoint_that_is_not_there_is_answered_502_with_the_reason(recorder: Recorder) -> None:
    async with relayed(Target("nowhere", "ws://127.0.0.1:1"), recorder) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime")
    assert refused.value.response.status_code == 502
    assert (refused.value.response.body or b"").startswith(b"wiretape: nowhere cannot be reached: ")
    [recording] = recordings(recorder)
    assert recording.session["handshake_status"] is None
    assert recording.session["outcome"] == "failed"
    assert recording.session["end_reason"].startswith("cannot be reached: ")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 101 Sw"])
async def test_an_endpoint_that_speaks_no_http_is_answered_502(recorder: Recorder, answer: bytes) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with raw_endpoint(handle) as target, relayed(target, recorder) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime")
    assert refused.value.response.status_code == 502
    assert b"gave no answer" in (refused.value.response.body or b"")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Sec-WebSocket-Accept: c3R1Y2sgaW4gYSBjYWNoZQ==\r\n", "its Sec-WebSocket-Accept answers another key"),
        ("", "it has no Sec-WebSocket-Accept"),
    ],
)
async def test_a_101_that_answers_another_key_is_the_failure_and_not_that_the_client_left(
    recorder: Recorder, line: str, said: str
) -> None:
    # Of a cache in front of the endpoint.
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{line}\r\n"
        writer.write(head.encode())
        await reader.read()

    async with raw_endpoint(handle) as target, relayed(target, recorder) as origin:
        with pytest.raises(InvalidHandshake):
            await connect(f"{origin}/v1/realtime")
    (recording,) = recordings(recorder)
    assert recording.session["outcome"] == "failed"
    assert recording.session["first_error"] == f"handshake: 101 {said}"
    assert recording.session["failure_keys"] == [f"handshake||101|{said}"]


async def test_a_client_that_does_not_look_at_the_accept_header_goes_on_and_nothing_has_failed(
    recorder: Recorder,
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        created = b'{"type":"session.created"}'
        writer.write(bytes([0x81, len(created)]) + created)
        await reader.read()

    async with raw_endpoint(handle) as target, relayed(target, recorder) as origin:
        reader, writer = await open_raw(origin)
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        head = f"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n\r\n"
        writer.write(head.encode())
        await reader.readuntil(b'{"type":"session.created"}')
        asked = b'{"type":"session.update"}'
        writer.write(bytes([0x81, 0x80 | len(asked), 0, 0, 0, 0]) + asked)
        writer.close()
        await writer.wait_closed()
    (recording,) = recordings(recorder)
    assert contents(recording, "client", "event") == ['{"type":"session.update"}']
    assert (recording.session["outcome"], recording.session["failure_keys"]) == ("ok", [])


async def test_an_endpoint_that_stays_silent_is_answered_504(recorder: Recorder) -> None:
    async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    limits = RelayLimits(answer_s=0.05)
    async with raw_endpoint(handle) as target, relayed(target, recorder, limits=limits) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime")
    assert refused.value.response.status_code == 504


async def test_a_plain_request_is_one_recorded_exchange_with_the_targets_key(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", SECRET)
    minted = f'{{"value": "ek_{SECRET}", "expires_at": 1}}'
    asked: list[bytes] = []

    async def mint(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readexactly(2))
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(minted)}\r\n\r\n{minted}".encode())

    async with raw_endpoint(mint) as bare:
        target = Target("endpoint", f"{bare.url}/v1/realtime?model=m", api_key_env="TEST_KEY")
        async with relayed(target, recorder) as origin:
            head = "POST /v1/realtime/client_secrets HTTP/1.1\nHost: h\nAuthorization: Bearer theirs\nContent-Length: 2"
            answer = await request(origin, head, b"{}")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(minted.encode())
    assert asked == [b"{}"]
    [recording] = recordings(recorder)
    assert recording.session["handshake_status"] == 200
    assert recording.session["url"] == f"{bare.url}/v1/realtime/client_secrets"
    assert contents(recording, "client", "http") == ["{}"]
    assert contents(recording, "server", "http") == ['{"value": "[redacted]", "expires_at": 1}']


@pytest.mark.parametrize(
    ("head", "status"),
    [("nonsense", b"400"), ("GET / HTTP/1.1\nHost: h\nX: " + "a" * (64 << 10), b"431")],
)
async def test_a_client_that_speaks_no_http_is_told_and_nothing_is_recorded(
    recorder: Recorder, head: str, status: bytes
) -> None:
    async with relayed(Target("nowhere", "ws://127.0.0.1:1"), recorder) as origin:
        assert (await request(origin, head)).startswith(b"HTTP/1.1 " + status)
    assert recordings(recorder) == []


async def test_a_client_that_leaves_while_the_endpoint_is_being_reached_is_not_carried_on(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked.put(await reader.read())
        writer.close()

    class SlowUpstream(Upstream):
        async def connect(self) -> Gate:
            # A client that is killed with an answer unread, or gives up so.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await asyncio.sleep(0.1)
            return await super().connect()

    monkeypatch.setattr("capture.relay.Upstream", SlowUpstream)
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    target = Target("endpoint", f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, relayed(target, recorder) as origin:
        _, writer = await open_raw(origin)
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await asked.get() == b""
    assert recordings(recorder)[0].session["end_reason"] == "the client left before the endpoint had answered"


async def test_a_client_that_speaks_tls_is_let_go_at_once_and_the_operator_told(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    async with relayed(Target("nowhere", "ws://127.0.0.1:1"), recorder) as origin:
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
                await connect(f"{origin.replace('ws:', 'wss:')}/v1/realtime", ssl=ssl.create_default_context())
    assert recordings(recorder) == []
    told = [record.message for record in caplog.records if "speaks TLS" in record.message]
    assert len(told) == 1, "a client that tries again fills no log"
    assert "connect to ws://" in told[0]


async def test_an_endpoint_whose_head_is_too_long_is_said_to_be_so(recorder: Recorder) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 No\r\nX: " + b"a" * (70 << 10) + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    target = Target("endpoint", f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, relayed(target, recorder) as origin:
        with pytest.raises(InvalidStatus):
            await connect(f"{origin}/v1/realtime")
    assert recordings(recorder)[0].session["end_reason"] == "gave no answer: the head is over 64 KiB"


async def test_of_a_header_that_is_none_the_cookie_in_it_is_not_quoted(recorder: Recorder) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nSet-Cookie : session=S3CR3T\r\nContent-Length: 0\r\n\r\n")

    async with raw_endpoint(handle) as target, relayed(target, recorder) as origin:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{origin}/v1/realtime")
    assert b"S3CR3T" not in (refused.value.response.body or b"")
    assert recordings(recorder)[0].session["end_reason"] == "gave no answer: illegal header line"


async def test_a_client_that_never_ends_its_head_is_told_after_a_while(recorder: Recorder) -> None:
    target = Target("nowhere", "ws://127.0.0.1:1")
    async with relayed(target, recorder, limits=RelayLimits(head_s=0.05)) as origin:
        reader, writer = await open_raw(origin)
        writer.write(b"GET / HTTP/1.1\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
        writer.close()
        await writer.wait_closed()


# What must not break a call, and what must not reach the disk


async def test_a_call_without_a_recording_still_goes_through(root: Root, recorder: Recorder) -> None:
    recorder.close()
    async with (
        endpoint(echo) as target,
        relayed(target, recorder) as origin,
        connect(f"{origin}/v1/realtime") as client,
    ):
        await client.send("still there?")
        assert await client.recv() == "still there?"


async def test_no_secret_is_in_any_file_of_the_root(
    recorder: Recorder, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", f"target-{SECRET}")
    update = f'{{"type":"session.update","session":{{"tools":[{{"type":"mcp","authorization":"{SECRET}"}}]}}}}'
    seen: list[Request] = []

    async def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)
        await echo(connection)

    async with endpoint(answer, subprotocols=[Subprotocol("realtime")]) as bare:
        target = Target("endpoint", bare.url, api_key_env="TEST_KEY", auth="bearer", query={"sig": SECRET})
        async with (
            relayed(target, recorder) as origin,
            connect(
                f"{origin}/v1/realtime?model=m&api-key={SECRET}",
                additional_headers={"api-key": SECRET, "Cookie": f"session={SECRET}"},
                subprotocols=[Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{SECRET}")],
            ) as client,
        ):
            await client.send(update)
            assert await client.recv() == update
    assert seen[0].headers["Authorization"] == f"Bearer target-{SECRET}"
    [recording] = recordings(recorder)
    assert [message.redacted for message in recording.messages() if message.kind == "event"] == [True, True]
    files = [path for path in root.path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


async def test_the_row_says_where_the_call_went_and_how_the_relay_did(recorder: Recorder) -> None:
    async with endpoint(echo) as bare:
        url = f"{bare.url}/openai/v1/realtime"
        target = Target("eastus2", url, model="gpt-realtime", region="eastus2", provider="azure")
        async with (
            relayed(target, recorder, policy=RecordingPolicy(tags={"team": "voice"})) as origin,
            connect(f"{origin}/v1/realtime?model=theirs", user_agent_header="their client") as client,
        ):
            await client.send("{}")
            await client.recv()
    [recording] = recordings(recorder)
    row = recording.session
    assert row["target"] == row["region"] == "eastus2"
    assert row["provider"] == "azure"
    assert row["url"] == f"{url}?model=gpt-realtime"
    assert row["remote_ip"] == "127.0.0.1"
    assert row["user_agent"] == "their client"
    assert row["tags"] == {"team": "voice"}
    assert 0 < row["relay_lag_p50_us"] <= row["relay_lag_p99_us"] <= row["relay_lag_max_us"]


async def test_many_calls_at_once_each_get_their_own_recording(recorder: Recorder) -> None:
    async def talk(origin: str, name: str) -> None:
        async with connect(f"{origin}/v1/realtime") as client:
            for number in range(20):
                await client.send(f'{{"type":"{name}","n":{number}}}')
                await client.recv()

    async with endpoint(echo) as target, relayed(target, recorder) as origin, asyncio.TaskGroup() as tasks:
        for index in range(20):
            tasks.create_task(talk(origin, f"caller.{index}"))
    found = recordings(recorder)
    types = [{message.type for message in recording.messages() if message.kind == "event"} for recording in found]
    assert sorted(str(name) for [name] in types) == sorted(f"caller.{index}" for index in range(20))


async def test_a_live_call_is_closed_and_sealed_when_the_proxy_stops(recorder: Recorder) -> None:
    async with endpoint(echo) as target:
        async with relayed(target, recorder) as origin:
            client: ClientConnection = await connect(f"{origin}/v1/realtime")
            await client.send("hello")
            await client.recv()
        with pytest.raises(ConnectionClosedOK) as closed:
            await client.recv()
    assert closed.value.rcvd == Close(CloseCode.GOING_AWAY, "the recorder stops")
    [recording] = recordings(recorder)
    assert contents(recording, "client", "text") == ["hello"]
    assert recording.session["closed_by"] == "recorder"
    assert recording.session["end_reason"] == "the proxy was stopped"
    assert (recording.session["close_code"], recording.session["close_reason"]) == (1001, "the recorder stops")


class FullDisk:
    """Stands in for `os.writev`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.was_hit = threading.Event()
        monkeypatch.setattr(os, "writev", self.refuse)

    def refuse(self, *_: object) -> int:
        self.was_hit.set()
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_strict_recorder_lets_no_call_begin_that_it_cannot_record(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)

    async def hear_of_the_disk_first(_: ServerConnection, __: Request) -> None:
        await asyncio.to_thread(disk.was_hit.wait, 10)
        await asyncio.sleep(0.1)

    async with (
        endpoint(echo, process_request=hear_of_the_disk_first) as target,
        relayed(target, recorder, policy=RecordingPolicy(is_strict=True)) as origin,
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(origin)
    assert refused.value.response.status_code == 503
    assert b"strict: it could not be recorded: No space left" in (refused.value.response.body or b"")


async def test_a_strict_recorder_ends_the_call_that_it_can_record_no_further(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        endpoint(echo) as target,
        relayed(target, recorder, policy=RecordingPolicy(is_strict=True)) as origin,
    ):
        async with connect(origin) as client:
            await client.send("recorded")
            assert await client.recv() == "recorded"
            FullDisk(monkeypatch)
            with pytest.raises(ConnectionClosedOK):
                while True:
                    await client.send("not recorded")
                    await client.recv()
        monkeypatch.undo()
        async with connect(origin) as client:
            await client.send("there is room again")
            assert await client.recv() == "there is room again"
    ended = {recording.session["end_reason"]: recording.session for recording in recordings(recorder)}
    cut_short = ended["strict: it could not be recorded: No space left on device"]
    assert (cut_short["outcome"], cut_short["closed_by"], cut_short["complete"]) == ("incomplete", "recorder", False)
    assert cut_short["lost_bytes"] > 0
    told = f"{cut_short['session_id']}: recording falters, and --strict ends the call: No space left on device"
    assert told in caplog.text
    assert "the call goes on" not in caplog.text
    assert sorted(session["outcome"] for session in ended.values()) == ["incomplete", "ok"]
