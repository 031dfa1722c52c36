"""How endpoints listen: what websockets logs of failed handshakes, the subprotocol, and where."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import SimpleNamespace

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.typing import Subprotocol

from capture.errors import UsageProblem
from replay.simulator.endpoint.listening import QuietHandshakes, listen

# How a server ends is not the same in any two versions of websockets.
pytestmark = pytest.mark.codec

LOOPBACK = ("127.0.0.1", 0)


@pytest.mark.parametrize(("was_plain", "told"), [(True, False), (False, True)])
def test_only_handshakes_that_came_to_nothing_are_told(was_plain: bool, told: bool) -> None:
    error = ValueError("no request")
    record = logging.LogRecord("n", logging.ERROR, "p", 1, "opening handshake failed", (), (ValueError, error, None))
    record.websocket = SimpleNamespace(was_plain=was_plain)

    assert QuietHandshakes().filter(record) is told
    if told:
        assert (record.getMessage(), record.levelname) == ("a handshake failed: no request", "INFO")


async def hang_up(connection: ServerConnection) -> None:
    await connection.close()


async def test_of_the_subprotocols_offered_only_realtime_is_answered() -> None:
    key = Subprotocol("openai-insecure-api-key.sk-1")
    async with listen(hang_up, LOOPBACK) as origin:
        async with connect(origin, subprotocols=[Subprotocol("realtime"), key]) as connection:
            assert connection.subprotocol == "realtime"
        async with connect(origin, subprotocols=[key]) as connection:
            assert connection.subprotocol is None


async def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(LOOPBACK) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageProblem, match=f"cannot listen on 127.0.0.1:{port} .*take another --listen"):
            async with asyncio.timeout(10), listen(hang_up, ("127.0.0.1", port)):
                pass


async def test_a_port_beyond_the_last_is_a_usage_problem() -> None:
    with pytest.raises(UsageProblem, match="there is no port 65536: take a lower --listen"):
        async with listen(hang_up, ("127.0.0.1", 65536)):
            pass


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end() -> None:
    ended = asyncio.Event()

    async def say_too_much(connection: ServerConnection) -> None:
        try:
            while True:
                await connection.send(b"\x00" * 1_000_000)
        finally:
            ended.set()

    async with asyncio.timeout(30):
        async with listen(say_too_much, LOOPBACK, ping_interval=None) as origin:
            client = await connect(origin, max_size=None, compression=None)
            client.transport.pause_reading()
            # Until the buffers of both ends are full.
            await asyncio.sleep(0.5)
            assert not ended.is_set()
        assert ended.is_set()
    client.transport.abort()


async def test_a_connection_that_asks_for_nothing_does_not_hold_up_the_end() -> None:
    async with asyncio.timeout(30):
        async with listen(hang_up, LOOPBACK, open_timeout=None) as origin:
            client = socket.create_connection((LOOPBACK[0], int(origin.rpartition(":")[2])))
            # Until it is accepted.
            await asyncio.sleep(0.1)
        with client:
            assert client.recv(1) == b""
