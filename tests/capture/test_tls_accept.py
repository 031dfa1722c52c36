"""Clients over TLS at the door: those that never finish their handshake keep nobody out, and hold nothing up."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trustme

from capture.policy import RelayLimits
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.targets import Target
from capture.tls_accept import ServerTls, TlsDoor, TlsGate

NOWHERE = Target("nowhere", "ws://127.0.0.1:1")
HALF_A_HELLO = b"\x16\x03\x01\x02\x00"
REQUEST = b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\n\r\n"

Idle = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """A proxy that serves wss, and its clients."""

    def __init__(self, origin: str, authority: trustme.CA) -> None:
        self._port = int(origin.rpartition(":")[2])
        self._trusting = ssl.create_default_context()
        authority.configure_trust(self._trusting)

    async def idle(self) -> Idle:
        """Connect, and begin a handshake that goes no further."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(HALF_A_HELLO)
        return reader, writer

    async def secured(self) -> Idle:
        """Connect and shake hands."""
        return await asyncio.open_connection("127.0.0.1", self._port, ssl=self._trusting)

    def secured_by_hand(self) -> ssl.SSLSocket:
        """Connect and shake hands, as a client that answers no goodbye of its own accord; blocks."""
        plain = socket.create_connection(("127.0.0.1", self._port))
        return self._trusting.wrap_socket(plain, server_hostname="127.0.0.1")

    async def leave_without_tls(self, sent: bytes) -> None:
        """Connect, send something that is no TLS, and leave."""
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(sent)
        await close(writer)

    async def ask(self, request_head: bytes = REQUEST) -> bytes:
        """Be an honest client; give the answer's first line."""
        reader, writer = await self.secured()
        writer.write(request_head)
        answer = await reader.readline()
        await close(writer)
        return answer


@asynccontextmanager
async def serving(recorder: Recorder, **limits: Any) -> AsyncIterator[Proxy]:
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with (
        # A handshake may take longer than all of this.
        asyncio.timeout(20),
        serve_proxy(
            NOWHERE, recorder, listen="127.0.0.1:0", tls=lambda: context, limits=RelayLimits(head_s=60, **limits)
        ) as origin,
    ):
        yield Proxy(origin, authority)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def is_let_go(idle: Idle) -> bool:
    with suppress(ConnectionError):
        assert await idle[0].read() == b""
    return True


async def test_handshakes_that_are_never_finished_make_room_for_clients_that_call(recorder: Recorder) -> None:
    async with serving(recorder, waiting=1, waiting_s=0) as proxy:
        idle = [await proxy.idle() for _ in range(20)]
        for each in idle[:12]:
            assert await is_let_go(each)
        assert await proxy.ask() == b"HTTP/1.1 502 Bad Gateway\r\n"
        for _, writer in idle:
            await close(writer)


async def test_they_keep_no_place_that_a_client_needs(recorder: Recorder) -> None:
    async with serving(recorder, connections=3, waiting_s=0) as proxy:
        idle = [await proxy.idle(), await proxy.secured(), await proxy.idle()]
        assert await proxy.ask() == b"HTTP/1.1 502 Bad Gateway\r\n"
        assert await is_let_go(idle[0])
        for _, writer in idle:
            await close(writer)


async def test_those_who_can_only_be_refused_are_dropped_when_they_are_too_many(recorder: Recorder) -> None:
    async with serving(recorder, connections=1, refused=1) as proxy:
        first, second = await proxy.idle(), await proxy.secured()
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await proxy.secured()
        second[1].write(REQUEST)
        assert await second[0].readline() == b"HTTP/1.1 503 Service Unavailable\r\n"
        for _, writer in (first, second):
            await close(writer)


async def test_a_handshake_holds_no_stop_up(recorder: Recorder) -> None:
    async with serving(recorder) as proxy:
        idle = await proxy.idle()
        assert await proxy.ask() == b"HTTP/1.1 502 Bad Gateway\r\n"
    assert await is_let_go(idle)
    await close(idle[1])


@pytest.mark.parametrize(
    ("waiting_s", "answer"),
    [(60, b"HTTP/1.1 503 Service Unavailable\r\n"), (0, b"HTTP/1.1 502 Bad Gateway\r\n")],
    ids=["counted", "displaced"],
)
async def test_one_that_is_refused_and_does_not_leave_is_counted_as_long_as_it_stays(
    recorder: Recorder, waiting_s: float, answer: bytes
) -> None:
    async with serving(recorder, connections=1, waiting_s=waiting_s) as proxy:
        with await asyncio.to_thread(proxy.secured_by_hand) as stubborn:
            stubborn.sendall(b"NONSENSE\r\n\r\n")
            refusal = await asyncio.to_thread(stubborn.recv, 12)
            assert refusal == b"HTTP/1.1 400"
            # It has its answer, and does not close.
            assert await proxy.ask() == answer


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n\r\n"], ids=["a probe", "no TLS"])
async def test_a_handshake_that_failed_leaves_nothing_for_the_collector(
    recorder: Recorder, sent: bytes, no_collector: None
) -> None:
    async with serving(recorder) as proxy:
        await proxy.leave_without_tls(sent)
        await gates_are_gone()


@pytest.mark.parametrize("request_head", [b"NONSENSE\r\n\r\n", REQUEST], ids=["malformed", "no endpoint"])
async def test_a_request_that_failed_leaves_no_end_of_a_client_for_the_collector(
    recorder: Recorder, request_head: bytes, no_collector: None
) -> None:
    async with serving(recorder) as proxy:
        await proxy.ask(request_head)
        await gates_are_gone()


async def gates_are_gone() -> None:
    while any(isinstance(each, TlsGate) for each in gc.get_objects()):  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)


async def test_each_client_is_met_with_the_context_of_its_moment(recorder: Recorder) -> None:
    authority = trustme.CA()
    contexts = []
    for name in ("before.example", "after.example"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        contexts.append(context)
    upcoming = iter(contexts)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with (
        asyncio.timeout(20),
        serve_proxy(NOWHERE, recorder, listen="127.0.0.1:0", tls=lambda: next(upcoming)) as origin,
    ):
        port = int(origin.rpartition(":")[2])
        for name in ("before.example", "after.example"):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
            await close(writer)


def tls_of(context: Callable[[], ssl.SSLContext]) -> ServerTls:
    return ServerTls(context, handshake_s=60, shutdown_s=5)


async def test_a_client_that_finds_no_file_left_is_let_go_and_the_loop_told() -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    class NoFileLeft:
        def dup(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    class Accepted(asyncio.Transport):
        is_let_go = False

        def get_extra_info(self, *_: Any) -> Any:
            return NoFileLeft()

        def abort(self) -> None:
            self.is_let_go = True

    accepted, clients = Accepted(), list[Any]()
    TlsDoor(tls_of(ssl.create_default_context), clients.append).connection_made(accepted)
    assert (accepted.is_let_go, clients) == (True, [])
    assert [error.errno for error in told] == [errno.EMFILE]


async def test_a_client_that_is_turned_away_before_its_handshake_is_gone() -> None:
    let_go = asyncio.Event()

    class Peer(asyncio.Protocol):
        def connection_lost(self, _: Exception | None) -> None:
            let_go.set()

    def turn_away(client: Any) -> None:
        assert isinstance(client, TlsGate)
        client.abort()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: TlsDoor(tls_of(ssl.create_default_context), turn_away), "127.0.0.1", 0)
    async with asyncio.timeout(20):
        await loop.create_connection(Peer, "127.0.0.1", server.sockets[0].getsockname()[1])
        await let_go.wait()
    server.close()
