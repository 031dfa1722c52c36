"""Intruders at the real proxy: what they are told, and what of theirs the endpoint never sees, by its own raw log."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from capture.policy import RelayLimits
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.targets import Target

TOKEN = "t0ken-of-the-pr0xy"
TARGET_KEY = "k3y-of-the-target"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@dataclass
class Endpoint:
    """Logs every byte that comes, answers every head, and keeps its connections open for more."""

    heard: bytearray = field(default_factory=bytearray)
    refuses: bool = False
    port: int = 0
    serving: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def requests(self) -> list[str]:
        """Request lines, as far as they were forwarded."""
        return re.findall(r"[A-Z]+ \S+ HTTP/1\.1(?=\r\n)", self.heard.decode("latin-1"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        with suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                self.heard += chunk
                if b"\r\n\r\n" in chunk and b" HTTP/1.1\r\n" in chunk:
                    answer = self._answer(chunk)
                    writer.write(answer)
                    if b" 101 " in answer:
                        writer.write_eof()
        await close(writer)

    def _answer(self, request: bytes) -> bytes:
        # Its own goodbye is said at once: what the client says stands in the log all the same.
        if b"Upgrade: websocket" not in request:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        if self.refuses:
            return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
        return b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x88\x02\x03\xe8"


@dataclass
class Site:
    """The proxy, and the endpoint behind it."""

    endpoint: Endpoint
    recorder: Recorder
    port: int

    async def say(self, *pieces: bytes) -> bytes:
        """Send bytes on one connection and read all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
        except ConnectionError:
            # Cut off while it was still sending: that is an answer too.
            return b""
        finally:
            await close(writer)

    async def serves_the_next(self, token: str = TOKEN) -> None:
        """Be an honest client: the proxy must not have suffered."""
        answer = await self.say(head("GET /honest", f"api-key: {token}"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert self.endpoint.requests[-1] == "GET /honest HTTP/1.1"


@asynccontextmanager
async def site(
    recorder: Recorder, *, token: str | None = None, limits: RelayLimits | None = None, key: str | None = "TEST_KEY"
) -> AsyncIterator[Site]:
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    target = Target("endpoint", f"ws://127.0.0.1:{endpoint.port}", api_key_env=key)
    try:
        async with (
            asyncio.timeout(10),
            serve_proxy(target, recorder, listen="127.0.0.1:0", client_token=token, limits=limits) as origin,
        ):
            yield Site(endpoint, recorder, int(origin.rpartition(":")[2]))
    finally:
        server.close()
        await asyncio.gather(*filter(None, endpoint.serving))
        recorder.close()


@pytest.fixture(autouse=True)
def target_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", TARGET_KEY)


def head(start: str, *lines: str) -> bytes:
    return "\r\n".join([f"{start} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode("latin-1")


def post(framing: str, body: bytes = b"") -> bytes:
    return head("POST /x", *framing.split("\r\n")) + body


# Nobody's relay


@pytest.mark.parametrize(
    "target",
    [
        "http:@127.0.0.2/x",
        "http:x",
        "@127.0.0.2/x",
        "127.0.0.2:443",
        "*",
        "ftp://127.0.0.2/x",
        "http:///x",
        "?x",
        "\\\\127.0.0.2\\x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_target_that_is_no_path_goes_nowhere(recorder: Recorder, method: str, target: str) -> None:
    async with site(recorder) as at:
        for more in ("", UPGRADE):
            asked = f"{method} {target} HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode()
            assert (await at.say(asked)).startswith(b"HTTP/1.1 400 ")
        assert at.endpoint.requests == []
        await at.serves_the_next()


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:1/x", "https://user@127.0.0.2/x", "ws://127.0.0.2/x", "//127.0.0.2/x", "/@127.0.0.2/x"]
)
@pytest.mark.parametrize("more", ["", UPGRADE])
async def test_whoever_the_request_names_the_target_gets_it(recorder: Recorder, target: str, more: str) -> None:
    async with site(recorder) as at:
        answer = await at.say(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.2\r\n{more}\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 101 " if more else b"HTTP/1.1 200 ")
        [line] = at.endpoint.requests
        assert line == f"GET {target if target.startswith('/') else '/x'} HTTP/1.1"
        assert f"Host: 127.0.0.1:{at.endpoint.port}\r\n".encode() in at.endpoint.heard
        await at.serves_the_next()


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"CONNECT 127.0.0.2:443 HTTP/1.1\r\nHost: h\r\n\r\n", b"405"),
        (b"CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n", b"405"),
        # An endpoint that echoes the request would tell the target's key.
        (b"TRACE /x HTTP/1.1\r\nHost: h\r\n\r\n", b"405"),
        (b"GET /x HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.0\r\nHost: h\r\n\r\n", b"505"),
        (b"GET /x\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET  /x HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"GET /\xc3\xbc HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_request_for_this_proxy_is_told_so(recorder: Recorder, asked: bytes, status: bytes) -> None:
    async with site(recorder) as at:
        assert (await at.say(asked)).startswith(b"HTTP/1.1 " + status)
        assert at.endpoint.heard == b""
        await at.serves_the_next()


@pytest.mark.parametrize(
    "lines",
    [
        ("Host: 127.0.0.1", "Origin: https://elsewhere.example"),
        ("Host: 127.0.0.1", "Origin: null"),
        ("Host: rebound.elsewhere.example", "Origin: http://rebound.elsewhere.example"),
        ("Host: rebound.elsewhere.example",),
    ],
)
async def test_a_web_page_from_elsewhere_does_not_get_the_targets_key(recorder: Recorder, lines: tuple[str]) -> None:
    async with site(recorder) as at:
        for more in (f"{UPGRADE}\r\n", "\r\n"):
            answer = await at.say("\r\n".join(["GET /x HTTP/1.1", *lines, more]).encode())
            assert answer.startswith(b"HTTP/1.1 403 ")
        assert at.endpoint.heard == b""
        await at.serves_the_next()


async def test_where_no_key_is_lent_a_page_calls_with_its_own(recorder: Recorder) -> None:
    async with site(recorder, key=None) as at:
        answer = await at.say(head("GET /x", "Origin: https://elsewhere.example", f"{UPGRADE}api-key: theirs"))
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"api-key: theirs\r\n" in at.endpoint.heard


# Smuggling


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: -1",
        "Content-Length: 5 5",
        "Content-Length: ",
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: folded\r\n line",
        "X: folded\r\n\tline",
        "X: bare\nContent-Length: 5",
        "X: bare\rContent-Length: 5",
        "X: nul\0",
        "X\0: nul",
        "X Y: space",
        ": nameless",
        "X",
        "\x7fX: y",
    ],
)
async def test_a_head_that_two_parsers_might_read_differently_is_refused(recorder: Recorder, framing: str) -> None:
    async with site(recorder) as at:
        answer = await at.say(post(framing, b"0\r\n\r\n" + SMUGGLED))
        assert answer[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")
        assert at.endpoint.heard == b""
        await at.serves_the_next()


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 5\r\nContent-Length: 5", b"hello"),
        ("Content-Length: 5, 5", b"hello"),
        ("Transfer-Encoding: ChUnKeD", b"5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding:\t chunked \t", b"5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"00005;a=b;c\r\nhello\r\n000\r\napi-key: in-a-trailer\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("Transfer_Encoding: chunked\r\nContent-Length: 5", b"hello"),
    ],
)
async def test_an_odd_spelling_that_is_allowed_reaches_the_endpoint_in_a_plain_one(
    recorder: Recorder, framing: str, body: bytes
) -> None:
    async with site(recorder) as at:
        answer = await at.say(post(framing, body + SMUGGLED))
        assert answer.startswith(b"HTTP/1.1 200 ")
        heard = bytes(at.endpoint.heard)
        assert heard.count(b"Content-Length: 5\r\n") + heard.count(b"Transfer-Encoding: chunked\r\n") == 1
        assert b"smuggled" not in heard
        assert b"in-a-trailer" not in heard
        await at.serves_the_next()


@pytest.mark.parametrize(
    "body",
    [
        b"0x5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"f" * 21 + b"\r\nhello",
        b"5\nhe",
    ],
)
async def test_chunks_in_a_spelling_of_their_own_take_the_request_back(recorder: Recorder, body: bytes) -> None:
    async with site(recorder) as at:
        await at.say(post("Transfer-Encoding: chunked", body + b"0\r\n\r\n" + SMUGGLED))
        assert b"smuggled" not in at.endpoint.heard
        assert not at.endpoint.heard.endswith(b"0\r\n\r\n")
        await at.serves_the_next()


# One request a connection


@pytest.mark.parametrize(
    "first",
    [
        head("GET /x"),
        post("Content-Length: 5", b"hello"),
        post("Transfer-Encoding: chunked", b"0\r\n\r\n"),
        head("HEAD /x"),
    ],
    ids=["get", "post", "chunked", "head"],
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_second_request_is_never_forwarded(recorder: Recorder, first: bytes, together: bool) -> None:
    async with site(recorder) as at:
        answer = await at.say(*([first + SMUGGLED] if together else [first, SMUGGLED]))
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"smuggled" not in at.endpoint.heard
        await at.serves_the_next()


async def test_a_second_request_behind_a_refused_upgrade_is_never_forwarded(recorder: Recorder) -> None:
    async with site(recorder) as at:
        at.endpoint.refuses = True
        answer = await at.say(head("GET /x", *UPGRADE.split("\r\n")[:-1]) + SMUGGLED)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"smuggled" not in at.endpoint.heard
        await at.serves_the_next()


async def test_what_is_behind_an_upgrade_goes_as_bytes_of_the_websocket(recorder: Recorder) -> None:
    async with site(recorder) as at:
        await at.say(head("GET /x", *UPGRADE.split("\r\n")[:-1]) + b"\x88\x80\0\0\0\0")
    before, _, after = bytes(at.endpoint.heard).partition(b"\r\n\r\n")
    assert before.startswith(b"GET /x HTTP/1.1\r\n")
    assert after == b"\x88\x80\0\0\0\0"


@pytest.mark.parametrize("framing", ["Content-Length: 35", "Transfer-Encoding: chunked"])
async def test_an_upgrade_with_a_body_is_refused(recorder: Recorder, framing: str) -> None:
    async with site(recorder) as at:
        answer = await at.say(head("GET /x", *UPGRADE.split("\r\n")[:-1], framing) + SMUGGLED)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert at.endpoint.heard == b""


# Too much, too slow


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /" + b"a" * (65 << 10),
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * (65 << 10),
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 20_000,
        b"\n" + b"\r" * (65 << 10),
        b"\x00" * (2 << 20),
    ],
    ids=["target", "value", "lines", "ends", "zeros"],
)
async def test_a_head_without_end_is_cut_off(recorder: Recorder, flood: bytes) -> None:
    async with site(recorder) as at:
        # A connection that is closed on who still sends may lose the answer on its way.
        assert (await at.say(flood))[:13] in (b"HTTP/1.1 431 ", b"")
        assert at.endpoint.heard == b""
        await at.serves_the_next()


async def test_thousands_of_header_lines_within_the_limit_pass(recorder: Recorder) -> None:
    async with site(recorder) as at:
        answer = await at.say(head("GET /x", *[f"X-{number}: y" for number in range(5000)]))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert at.endpoint.heard.count(b": y\r\n") == 5000


async def test_a_head_that_trickles_in_is_cut_off_after_the_time_for_all_of_it(recorder: Recorder) -> None:
    async with site(recorder, limits=RelayLimits(head_s=0.2)) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        answered = False

        async def listen() -> bytes:
            nonlocal answered
            answer = await reader.read()
            answered = True
            return answer

        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(listen())
            writer.write(b"GET / HTTP/1.1\r\nX: ")
            while not answered:
                writer.write(b"a")
                await asyncio.sleep(0.01)
        await close(writer)
        assert answer.result().startswith(b"HTTP/1.1 408 ")
        assert at.endpoint.heard == b""
        await at.serves_the_next()


async def test_clients_that_never_send_make_room_for_those_that_do(recorder: Recorder) -> None:
    async with site(recorder, limits=RelayLimits(waiting=5, waiting_s=0)) as at:
        idle = [await asyncio.open_connection("127.0.0.1", at.port) for _ in range(20)]
        # The first of them were let go, long before the ten seconds that a head may take.
        for reader, _ in idle[:15]:
            with suppress(ConnectionError):
                assert await reader.read() == b""
        await at.serves_the_next()
        for _, writer in idle:
            await close(writer)


async def test_clients_that_never_send_keep_no_place_that_a_caller_needs(recorder: Recorder) -> None:
    async with site(recorder, limits=RelayLimits(connections=4, waiting_s=0)) as at:
        idle = [await asyncio.open_connection("127.0.0.1", at.port) for _ in range(4)]
        await at.serves_the_next()
        for _, writer in idle:
            await close(writer)


async def test_beyond_all_places_and_those_who_are_told_so_nobody_is_held(recorder: Recorder) -> None:
    async with site(recorder, limits=RelayLimits(connections=2, refused=2)) as at:
        idle = [await asyncio.open_connection("127.0.0.1", at.port) for _ in range(3)]
        assert (await at.say(head("GET /too-many"))).startswith(b"HTTP/1.1 503 ")
        idle.append(await asyncio.open_connection("127.0.0.1", at.port))
        assert await at.say(head("GET /far-too-many")) == b""
        for _, writer in idle:
            await close(writer)
    assert at.endpoint.heard == b""


async def test_a_call_is_not_counted_among_those_that_wait(recorder: Recorder) -> None:
    async with site(recorder, limits=RelayLimits(waiting=1, waiting_s=0)) as at:
        reader, caller = await asyncio.open_connection("127.0.0.1", at.port)
        caller.write(head("GET /x", *UPGRADE.split("\r\n")[:-1]))
        await reader.readuntil(b"\x88\x02\x03\xe8")
        for _ in range(5):
            await at.say(b"GET / HT\r\n\r\n")
        caller.write(b"\x88\x80\0\0\0\0")
        caller.write_eof()
        assert await reader.read() == b""
        await close(caller)
    assert at.endpoint.heard.endswith(b"\x88\x80\0\0\0\0")


# The client token


@pytest.mark.parametrize(
    "place",
    [
        "Authorization: Bearer {}",
        "Authorization: bearer {}",
        "api-key: {}",
        "x-api-key: {}",
        "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{}",
        "?api-key={}",
        "?Authorization=Bearer%20{}",
        "Proxy-Authorization: Bearer {}",
        "Cookie: api-key={}",
        "",
    ],
)
@pytest.mark.parametrize("wrong", ["wr0ng", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "", " ", f"{TOKEN};{TOKEN}"])
async def test_without_the_token_nothing_is_forwarded_nor_recorded(
    recorder: Recorder, root: Root, place: str, wrong: str
) -> None:
    said = place.format(wrong)
    query, line = (said.replace(" ", "%20"), "X: y") if said.startswith("?") else ("", said or "X: y")
    async with site(recorder, token=TOKEN) as at:
        for more in UPGRADE, "":
            answer = await at.say(f"GET /x{query} HTTP/1.1\r\nHost: h\r\n{more}{line}\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 401 ")
        assert at.endpoint.heard == b""
    assert list_session_ids(root) == []


@pytest.mark.parametrize("key", [None, "TEST_KEY"])
async def test_the_token_reaches_neither_the_endpoint_nor_the_disk_nor_the_log(
    recorder: Recorder, root: Root, key: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    places = (
        f"Authorization: Bearer {TOKEN}",
        f"Proxy-Authorization: Bearer {TOKEN}",
        f"x-api-key: {TOKEN}",
        f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{TOKEN}",
        f"X-Wiretape-Tag-Api-Key: {TOKEN}",
    )
    async with site(recorder, token=TOKEN, key=key) as at:
        for start in f"GET /x?api-key={TOKEN}&a=b", f"GET /y?a=b&Authorization=Bearer%20{TOKEN}":
            for more in UPGRADE.split("\r\n")[:-1], []:
                answer = await at.say(head(start, *more, *places) + (b"\x88\x80\0\0\0\0" if more else b""))
                assert answer[:13] in (b"HTTP/1.1 101 ", b"HTTP/1.1 200 ")
        assert len(at.endpoint.requests) == 4
        assert TOKEN.encode() not in at.endpoint.heard
        assert b"Sec-WebSocket-Protocol: realtime\r\n" in at.endpoint.heard
    assert len(list_session_ids(root)) == 4
    for secret in TOKEN, TARGET_KEY:
        assert secret not in caplog.text
        assert not [path for path in root.path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
