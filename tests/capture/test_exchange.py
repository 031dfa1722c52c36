"""One HTTP exchange between two gates: the request up, the answer down, and nothing after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import pytest

from capture.exchange import Exchange, Gate, final_head, keep_body
from capture.handshake import RequestHead, parse_request
from capture.recording.facts import Sender

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Heard:
    """What the exchange told."""

    bodies: dict[Sender, bytes] = field(default_factory=lambda: {"client": b"", "server": b""})
    answers: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)

    def http_body(self, sender: Sender, body: bytes) -> None:
        self.bodies[sender] += body


@dataclass
class Ends:
    """The two gates, and the far ends that a test speaks for."""

    client: Gate
    server: Gate
    caller: Peer
    endpoint: Peer
    heard: Heard

    def exchange(self) -> Exchange:
        def note(status: int, headers: list[tuple[str, str]]) -> None:
            self.heard.answers.append((status, headers))

        return Exchange(self.client, self.server, self.heard, note)


async def connected() -> tuple[Gate, Peer]:
    accepted: asyncio.Future[Gate] = asyncio.get_running_loop().create_future()
    listening = await asyncio.get_running_loop().create_server(lambda: Gate(accepted.set_result), "127.0.0.1", 0)
    peer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    gate = await accepted
    listening.close()
    return gate, peer


@asynccontextmanager
async def ends() -> AsyncIterator[Ends]:
    (client, caller), (server, endpoint) = await connected(), await connected()
    try:
        async with asyncio.timeout(10):
            yield Ends(client, server, caller, endpoint, Heard())
    finally:
        for gate in (client, server):
            gate.transport.close()
        for _, writer in (caller, endpoint):
            writer.close()


def post(framing: str) -> RequestHead:
    return parse_request(f"POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{framing}\r\n\r\n".encode())


async def test_both_bodies_pass_and_are_told() -> None:
    async with ends() as at:
        request = post("Content-Length: 5")
        at.caller[1].write(b"hello")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(at.exchange().run(request, request))
            assert (await at.endpoint[0].readuntil(b"hello")).startswith(b"POST /x HTTP/1.1\r\n")
            at.endpoint[1].write(b"HTTP/1.1 201 Made\r\nX-Odd: 1\r\nContent-Length: 2\r\n\r\nok")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(at.client.finish())
            assert await at.caller[0].read() == (
                b"HTTP/1.1 201 Made\r\nX-Odd: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            )
            at.caller[1].close()
    assert at.heard.bodies == {"client": b"hello", "server": b"ok"}
    assert at.heard.answers == [(201, [("X-Odd", "1"), ("Content-Length", "2")])]


async def test_a_chunked_answer_is_told_without_its_framing() -> None:
    async with ends() as at:
        request = post("Transfer-Encoding: chunked")
        at.caller[1].write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        at.endpoint[1].write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n")
        await at.exchange().run(request, request)
    assert at.heard.bodies["server"] == b"wxyz"


async def test_a_second_request_on_the_connection_never_passes() -> None:
    async with ends() as at:
        request = post("Content-Length: 5")
        at.caller[1].write(b"helloGET /secret HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(at.exchange().run(request, request))
            await at.endpoint[0].readuntil(b"hello")
            at.endpoint[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        at.server.transport.close()
        assert await at.endpoint[0].read() == b""
    assert at.heard.bodies["client"] == b"hello"


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    async with ends() as at:
        request = parse_request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        at.endpoint[1].write(b"HTTP/1.1 200 OK\r\n\r\nto the very end")
        at.endpoint[1].write_eof()
        await at.exchange().run(request, request)
    assert at.heard.bodies["server"] == b"to the very end"


async def test_an_answer_before_the_body_is_whole_is_the_answer() -> None:
    async with ends() as at:
        request = post("Content-Length: 100000")
        at.endpoint[1].write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        exchange = at.exchange()
        await exchange.run(request, request)
    assert exchange.is_answered
    assert at.heard.answers[0][0] == 413


async def test_an_endpoint_that_breaks_off_is_an_error() -> None:
    async with ends() as at:
        request = parse_request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        at.endpoint[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        at.endpoint[1].write_eof()
        with pytest.raises(h11.RemoteProtocolError):
            await at.exchange().run(request, request)


async def test_an_endpoint_that_closes_without_an_answer_is_told_as_for_an_upgrade() -> None:
    # As a load balancer does with a connection that was idle for too long.
    async with ends() as at:
        request = post("Content-Length: 2")
        at.caller[1].write(b"{}")
        at.endpoint[1].write_eof()
        with pytest.raises(ConnectionError, match=r"^the connection ended before a whole HTTP head came$"):
            await at.exchange().run(request, request)


async def test_a_client_that_breaks_off_takes_its_request_back() -> None:
    async with ends() as at:
        request = post("Content-Length: 10")
        at.caller[1].write(b"half")
        at.caller[1].write_eof()
        exchange = at.exchange()
        with pytest.raises(ConnectionError):
            await exchange.run(request, request)
    assert not exchange.is_answered


async def test_an_endpoint_that_speaks_another_protocol_is_an_error() -> None:
    async with ends() as at:
        request = parse_request(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        at.endpoint[1].write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        with pytest.raises(h11.RemoteProtocolError):
            await at.exchange().run(request, request)


async def test_the_answer_to_an_upgrade_comes_behind_its_hints() -> None:
    hints, answer = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    async with ends() as at:
        at.endpoint[1].write(hints + hints + answer + b"\x88\x00")
        head, response = await final_head(at.server, at.client)
        assert (head, response.status, bytes(at.server.held)) == (answer, 101, b"\x88\x00")
        assert await at.caller[0].readexactly(2 * len(hints)) == hints + hints


@pytest.mark.parametrize(
    ("framing", "body", "kept"),
    [
        ("Content-Length: 5", b"helloGET /next", b"hello"),
        ("Transfer-Encoding: chunked", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        ("Transfer-Encoding: chunked", b"3\r\nabc\r\nnonsense\r\n", b"abc"),
        ("Content-Length: 50", b"half", b"half"),
        ("Content-Length: 5\r\nExpect: 100-continue", b"", b""),
        ("X: no body", b"", b""),
    ],
)
async def test_the_body_of_a_request_that_goes_nowhere_is_told(framing: str, body: bytes, kept: bytes) -> None:
    async with ends() as at:
        at.caller[1].write(body)
        await keep_body(at.client, post(framing), at.heard, within_s=0.1 if kept == b"half" else 10)
    assert at.heard.bodies["client"] == kept


async def test_a_gate_holds_a_bounded_amount_and_reads_on_when_asked() -> None:
    flood = bytes(8 << 20)
    async with ends() as at:
        at.caller[1].write(flood)
        seen = len(await at.client.read())
        while seen < len(flood):
            await asyncio.sleep(0)
            assert len(at.client.held) < 1 << 20
            seen += len(await at.client.read())


async def test_a_head_that_breaks_off_is_an_error() -> None:
    async with ends() as at:
        at.caller[1].write(b"GET / HT")
        at.caller[1].write_eof()
        with pytest.raises(ConnectionError):
            await at.client.head()
