"""What each end sees with the real proxy in between is what it sees without: frames, closes, paths, plain HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from gzip import compress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.typing import Subprotocol

from capture.policy import RecordingPolicy
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.targets import Target
from tests.noise import noise

pytestmark = pytest.mark.codec

Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def only_recording(recorder: Recorder) -> Recording:
    """Wait until everything is sealed, and open it."""
    recorder.close()
    [session_id] = list_session_ids(recorder.root)
    return open_recording(recorder.root, session_id)


@asynccontextmanager
async def listening(handle: Streams) -> AsyncIterator[int]:
    serving: set[asyncio.Task[None] | None] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(ConnectionError):
            await handle(reader, writer)
        await close(writer)

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*filter(None, serving))


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def reached(port: int, recorder: Recorder | None, **options: str) -> AsyncIterator[int]:
    """Give the port by which a client comes to the endpoint at `port`: its own, or the proxy's."""
    if recorder is None:
        async with asyncio.timeout(20):
            yield port
        return
    target = Target("endpoint", f"ws://127.0.0.1:{port}", **options)  # type: ignore[arg-type]
    async with asyncio.timeout(20), serve_proxy(target, recorder, listen="127.0.0.1:0") as origin:
        yield int(origin.rpartition(":")[2])


# The whole stream


@dataclass
class Wire:
    """A length of wire between two ends, which keeps what passed."""

    to_port: int
    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pass(reader, there_writer, self.up))
            tasks.create_task(_pass(there_reader, writer, self.down))
        await close(there_writer)

    @property
    def hashes(self) -> list[str]:
        """Of all that went up behind the request's head, which names another host, and of all that came down."""
        return [hashlib.sha256(stream).hexdigest() for stream in (self.up.partition(b"\r\n\r\n")[2], self.down)]


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter, log: bytearray) -> None:
    with suppress(ConnectionError):
        while chunk := await source.read(1 << 16):
            log += chunk
            sink.write(chunk)
            await sink.drain()
        sink.write_eof()


DEFLATE = {
    "none": (None, None),
    "default": (ClientPerMessageDeflateFactory(), ServerPerMessageDeflateFactory()),
    "no takeover": (
        ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
        ServerPerMessageDeflateFactory(),
    ),
    "one takes over": (
        ClientPerMessageDeflateFactory(),
        ServerPerMessageDeflateFactory(server_no_context_takeover=True),
    ),
    "small windows": (
        ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=10),
        ServerPerMessageDeflateFactory(),
    ),
}


@pytest.mark.parametrize("deflate", DEFLATE)
async def test_every_byte_passes_as_it_came_whatever_is_negotiated(recorder: Recorder, deflate: str) -> None:
    asked, offered = DEFLATE[deflate]
    said: dict[str, list[str | bytes]] = {"client": [], "server": []}

    async def talk(connection: ClientConnection | ServerConnection, own: str, other: str) -> None:
        async def pieces() -> AsyncIterator[str]:
            for number in range(4):
                await connection.ping(f"{own} in between {number}".encode())
                yield f"piece {number} of {own} " * 50

        for message in (f'{{"type":"{own}"}}', "", "ünï" * 3000, os.urandom(70_000)):
            await connection.send(message)
        await connection.send(pieces())
        await (await connection.ping(f"ping of {own}".encode()))
        said[other] = [await connection.recv() for _ in range(5)]

    async def answer(connection: ServerConnection) -> None:
        await talk(connection, "server", "client")
        await connection.wait_closed()

    async with serve(
        answer, "127.0.0.1", 0, compression=None, extensions=[offered] if offered else None, ping_interval=None
    ) as server:
        behind = Wire(next(iter(server.sockets)).getsockname()[1])
        async with listening(behind.carry) as port, reached(port, recorder) as proxy:
            before = Wire(proxy)
            async with (
                listening(before.carry) as entry,
                connect(
                    f"ws://127.0.0.1:{entry}/v1/realtime",
                    compression=None,
                    extensions=[asked] if asked else None,
                    ping_interval=None,
                ) as client,
            ):
                await talk(client, "client", "server")
                negotiated = client.response.headers.get("Sec-WebSocket-Extensions") if client.response else None
    assert bool(negotiated) == (deflate != "none")
    assert before.hashes == behind.hashes
    assert len(before.up) > 70_000
    assert len(before.down) > 70_000
    recording = only_recording(recorder)
    assert recording.session["complete"]
    for sender, heard in said.items():
        recorded = [message for message in recording.messages() if message.sender == sender]
        assert [m.content for m in recorded if m.kind in ("event", "text", "binary")] == heard
        pings = [f"{sender} in between {number}".encode() for number in range(4)] + [f"ping of {sender}".encode()]
        assert [m.content for m in recorded if m.kind == "ping"] == pings


@pytest.mark.slow
async def test_messages_of_16_mib_pass_both_ways(recorder: Recorder) -> None:
    messages: list[str | bytes] = [noise(16 << 20), os.urandom(8 << 20).hex()]
    heard: list[str | bytes] = []

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            heard.append(message)
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, max_size=None, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with reached(port, recorder) as proxy:
            url = f"ws://127.0.0.1:{proxy}/"
            async with connect(url, max_size=None, compression=None) as client:
                echoed = []
                for message in messages:
                    await client.send(message)
                    echoed.append(await client.recv())
    assert heard == messages
    assert echoed == messages
    recording = only_recording(recorder)
    assert recording.session["complete"]
    assert [m.content for m in recording.messages() if m.kind in ("text", "binary")] == [
        content for message in messages for content in (message, message)
    ]


# Closing


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, ""), (1001, "going"), (1008, "policy"), (1009, "too big"), (1011, "ünï"), (3000, "key"), (4000, "x" * 123)],
)
@pytest.mark.parametrize("closer", ["client", "server"])
async def test_close_codes_and_reasons_reach_the_other_end(
    recorder: Recorder, closer: str, code: int, reason: str
) -> None:
    async def end(through: Recorder | None) -> list[tuple[str, int | None, str | None]]:
        seen: list[tuple[str, int | None, str | None]] = []

        async def answer(connection: ServerConnection) -> None:
            if closer == "server":
                await connection.close(code, reason)
            await connection.wait_closed()
            seen.append(("server", connection.close_code, connection.close_reason))

        async with serve(answer, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with reached(port, through) as entry:
                client = await connect(f"ws://127.0.0.1:{entry}/")
                if closer == "client":
                    await client.close(code, reason)
                with pytest.raises(ConnectionClosed):
                    await client.recv()
                seen.append(("client", client.close_code, client.close_reason))
        return sorted(seen)

    assert await end(recorder) == await end(None) == [("client", code, reason), ("server", code, reason)]
    row = only_recording(recorder).session
    assert (row["close_code"], row["close_reason"], row["closed_by"]) == (code, reason or None, closer)


EMPTY_CLOSE = {"client": b"\x88\x80\0\0\0\0", "server": b"\x88\x00"}
UPGRADE = b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ACCEPT = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def hang_up(writer: asyncio.StreamWriter, way: str, sender: str) -> None:
    """End a connection the rude way, or with a close frame that says nothing."""
    if way == "empty close":
        writer.write(EMPTY_CLOSE[sender])
        writer.write_eof()
    elif way == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        await close(writer)


async def hear_out(reader: asyncio.StreamReader) -> bytes | str:
    try:
        return await reader.read()
    except ConnectionResetError:
        return "reset"


@pytest.mark.parametrize(
    ("closer", "way", "code", "blamed", "outcome"),
    [
        ("client", "empty close", 1005, "client", "ok"),
        ("client", "end", 1006, "client", "ok"),
        # A client that is killed does one or the other, as it has something left to read or not.
        ("client", "reset", 1006, "client", "ok"),
        # It said goodbye, and had spoken.
        ("server", "empty close", 1005, "server", "ok"),
        ("server", "end", 1006, "server", "failed"),
        ("server", "reset", 1006, "network", "failed"),
    ],
)
async def test_an_end_without_a_word_is_the_same_end_on_the_other_side(
    recorder: Recorder, closer: str, way: str, code: int, blamed: str, outcome: str
) -> None:
    async def end(through: Recorder | None) -> bytes | str:
        heard: asyncio.Future[bytes | str] = asyncio.get_running_loop().create_future()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ACCEPT + b"\x81\x02hi")
            if closer == "client":
                heard.set_result(await hear_out(reader))
                return
            await reader.readexactly(8)
            await hang_up(writer, way, "server")

        async with listening(answer) as port, reached(port, through) as entry:
            reader, writer = await asyncio.open_connection("127.0.0.1", entry)
            writer.write(UPGRADE)
            await reader.readuntil(b"\x81\x02hi")
            if closer == "client":
                await hang_up(writer, way, "client")
            else:
                writer.write(b"\x81\x82\0\0\0\0yo")
                heard.set_result(await hear_out(reader))
            await close(writer)
            return await heard

    directly = await end(None)
    assert directly == {"empty close": EMPTY_CLOSE[closer], "end": b"", "reset": "reset"}[way]
    assert await end(recorder) == directly
    row = only_recording(recorder).session
    assert (row["close_code"], row["close_reason"], row["closed_by"], row["outcome"]) == (code, None, blamed, outcome)


# The handshake


@pytest.mark.parametrize("key", [None, "TEST_KEY"])
async def test_the_key_subprotocol_goes_with_the_clients_key_and_realtime_stays(
    recorder: Recorder, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "of-the-target")
    offered: list[str] = []

    async def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        offered.append(connection.request.headers["Sec-WebSocket-Protocol"])

    async with serve(answer, "127.0.0.1", 0, subprotocols=[Subprotocol("realtime")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with reached(port, recorder, **({"api_key_env": key} if key else {})) as entry:
            mine = Subprotocol("openai-insecure-api-key.of-the-client")
            async with connect(f"ws://127.0.0.1:{entry}/", subprotocols=[Subprotocol("realtime"), mine]) as client:
                assert client.subprotocol == "realtime"
    assert offered == ["realtime" if key else "realtime, openai-insecure-api-key.of-the-client"]
    row = only_recording(recorder).session
    assert "of-the-client" not in str(row)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?",
        "/v1/realtime?model=gpt-realtime&",
        "/v1/realtime?model=a%20b+c&x=%C3%BC%2f%2F&&=&y",
        "/a;b=c/d?e;f=g",
        "//double//slash/../dots/./",
        "/%00%0d%0a%7F",
        "/p?q=http://elsewhere.example/?x#y",
        '/[{|}]\\^`<>"',
        f"/long/{'x' * 30_000}?{'y' * 30_000}",
    ],
)
@pytest.mark.parametrize("more", ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"])
async def test_any_path_and_query_arrive_as_they_were_spelled(recorder: Recorder, path: str, more: str) -> None:
    lines: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    async with listening(answer) as port, reached(port, recorder) as entry:
        reader, writer = await asyncio.open_connection("127.0.0.1", entry)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
        await close(writer)
    assert lines == [f"GET {path} HTTP/1.1".encode()]
    recorder.close()


async def test_hints_ahead_of_the_101_pass_and_the_call_goes_on(recorder: Recorder) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ACCEPT + b"\x81\x02hi")

    async with listening(answer) as port, reached(port, recorder) as entry:
        reader, writer = await asyncio.open_connection("127.0.0.1", entry)
        writer.write(UPGRADE)
        assert await reader.read() == b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ACCEPT + b"\x81\x02hi"
        await close(writer)
    assert only_recording(recorder).session["handshake_status"] == 101


# HTTP without a WebSocket

Answer = tuple[int, str, list[tuple[str, str]], bytes]
# Of one connection only: the proxy ends it after each exchange, and frames a body without a length itself.
OF_ONE_CONNECTION = ("connection", "keep-alive", "transfer-encoding")
HTML = b"<html>no such page</html>"
THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nx-ratelimit-remaining-requests: 0\r\n"
GZIPPED = compress(b'{"answer": 42}')


async def ask(port: int, method: str, body: bytes | list[bytes] | None, headers: dict[str, str]) -> Answer:
    """Send a request with the standard library's client; a list is sent in chunks."""

    def call() -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(
            method, "/v1/realtime/client_secrets?a=b", body=body, headers=headers, encode_chunked=isinstance(body, list)
        )
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        kept = [pair for pair in answer.getheaders() if pair[0].lower() not in OF_ONE_CONNECTION]
        return answer.status, answer.reason, kept, read

    return await asyncio.to_thread(call)


async def take_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Read a request's body at the endpoint, as the head says it comes."""
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body
    length = lower.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length or 0))


JSON_BODY = b'{"session":{"type":"realtime"}}'
EXCHANGES: dict[str, tuple[str, bytes | list[bytes] | None, dict[str, str], bytes]] = {
    "json": (
        "POST",
        JSON_BODY,
        {"Content-Type": "application/json"},
        b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\nContent-Length: 2\r\n\r\n{}",
    ),
    "chunked both ways": (
        "POST",
        [b"one ", b"two ", b"three"],
        {"Transfer-Encoding": "chunked"},
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ),
    "204": ("DELETE", None, {}, b"HTTP/1.1 204 No Content\r\nX-Odd:  y\r\n\r\n"),
    "304": ("GET", None, {"If-None-Match": "x"}, b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'),
    "head": ("HEAD", None, {}, b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
    "gzip": (
        "GET",
        None,
        {"Accept-Encoding": "gzip"},
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(GZIPPED) + GZIPPED,
    ),
    "binary": ("PUT", bytes(range(256)) * 400, {}, b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\n\xff\x00\n"),
    "no length": ("GET", None, {}, b"HTTP/1.1 200 Fine\r\nContent-Type: text/plain\r\n\r\nto the end"),
    "redirect": ("GET", None, {}, b"HTTP/1.1 302 Found\r\nLocation: /y?z=1\r\nContent-Length: 0\r\n\r\n"),
    "500": ("POST", b"x", {}, b"HTTP/1.1 500 Oh no\r\nContent-Length: 2\r\n\r\nno"),
}


@pytest.mark.parametrize("case", EXCHANGES)
async def test_a_plain_exchange_looks_the_same_to_both_ends(recorder: Recorder, case: str) -> None:
    method, body, headers, answer = EXCHANGES[case]
    seen: list[tuple[bytes, bytes]] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append((head.partition(b"\r\n")[0], await take_body(reader, head)))
        writer.write(answer)

    async with listening(respond) as port:
        async with reached(port, None) as entry:
            directly = await ask(entry, method, body, headers)
        async with reached(port, recorder) as entry:
            assert await ask(entry, method, body, headers) == directly
    assert seen[0] == seen[1]
    recording = only_recording(recorder)
    assert recording.session["handshake_status"] == directly[0]
    sent = b"".join(body) if isinstance(body, list) else body or b""
    bodies = {m.sender: m.content for m in recording.messages() if m.kind == "http"}
    recorded = {sender: said.encode() if isinstance(said, str) else said for sender, said in bodies.items()}
    assert recorded == {sender: said for sender, said in (("client", sent), ("server", directly[3])) if said}


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n"
REFUSALS = {
    "401": b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 17\r\n\r\n{"error":{"x":1}}',
    "404": NOT_FOUND + b"\r\n19\r\n" + HTML + b"\r\n0\r\n\r\n",
    "429": THROTTLED + b"Content-Length: 4\r\n\r\nslow",
    "503": b"HTTP/1.1 503 Service Unavailable\r\n\r\nno length, but an end",
    "403 empty": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_upgrade_looks_the_same_with_its_body(recorder: Recorder, case: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REFUSALS[case])

    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    async with listening(refuse) as port:
        async with reached(port, None) as entry:
            directly = await ask(entry, "GET", None, headers)
        async with reached(port, recorder) as entry:
            assert await ask(entry, "GET", None, headers) == directly
    recording = only_recording(recorder)
    assert recording.session["handshake_status"] == int(case[:3]) == directly[0]
    assert recording.session["outcome"] == "failed"
    assert [m.content for m in recording.messages() if m.kind == "http"] == [directly[3].decode()][: len(directly[3])]


async def test_who_asks_before_sending_a_body_is_told_to_go_on_by_the_endpoint(recorder: Recorder) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + await reader.readexactly(5))

    async with listening(respond) as port, reached(port, recorder) as entry:
        reader, writer = await asyncio.open_connection("127.0.0.1", entry)
        writer.write(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"hello")
        assert (await reader.read()).endswith(b"\r\n\r\nhello")
        await close(writer)


async def test_a_streamed_answer_arrives_piece_by_piece(recorder: Recorder) -> None:
    has_arrived = asyncio.Event()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n")
        await has_arrived.wait()
        writer.write(b"7\r\ndata: 2\r\n0\r\n\r\n")

    async with listening(respond) as port, reached(port, recorder) as entry:
        reader, writer = await asyncio.open_connection("127.0.0.1", entry)
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        await reader.readuntil(b"data: 1")
        has_arrived.set()
        assert b"data: 2" in await reader.read()
        await close(writer)


@pytest.mark.parametrize(
    "framing", ["Content-Length: 31\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n1f\r\n{}\r\n0\r\n\r\n"]
)
async def test_a_body_for_a_target_that_cannot_be_reached_is_recorded(recorder: Recorder, framing: str) -> None:
    async with reached(1, recorder) as entry:
        reader, writer = await asyncio.open_connection("127.0.0.1", entry)
        writer.write(f"POST /x HTTP/1.1\r\nHost: h\r\n{framing.replace('{}', JSON_BODY.decode())}".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 502 ")
        await close(writer)
    recording = only_recording(recorder)
    assert [(m.sender, m.content) for m in recording.messages()] == [("client", JSON_BODY.decode())]
    assert recording.session["outcome"] == "failed"


async def test_who_waits_for_a_continue_that_never_comes_is_answered_at_once(recorder: Recorder) -> None:
    async with reached(1, recorder) as entry:
        reader, writer = await asyncio.open_connection("127.0.0.1", entry)
        writer.write(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 502 ")
        await close(writer)


# Tags


async def test_a_calls_own_tags_are_recorded_and_the_endpoint_never_sees_them(recorder: Recorder) -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ACCEPT + EMPTY_CLOSE["server"])

    policy = RecordingPolicy(tags={"team": "all", "env": "prod"}, conversation_tag="Call-Id")
    async with listening(answer) as port:
        target = Target("endpoint", f"ws://127.0.0.1:{port}")
        async with serve_proxy(target, recorder, listen="127.0.0.1:0", policy=policy) as origin:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(origin.rpartition(":")[2]))
            tags = b"X-Wiretape-Tag-Call-Id: 42\r\nx-wiretape-tag-team: voice\r\nX-Wiretape-Tag-Api-Key: s3cr3t\r\n"
            writer.write(UPGRADE.replace(b"Connection", tags + b"Connection"))
            await reader.read()
            await close(writer)
    assert b"wiretape" not in heads[0].lower()
    row = only_recording(recorder).session
    assert row["tags"] == {"team": "voice", "env": "prod", "call-id": "42"}
    assert row["conversation_key"] == "42"
    assert "wiretape-tag" not in str(row["request_headers"])
    assert "s3cr3t" not in str(row)
