"""An inbox: messages in their order, the time where none came, and the end of the connection after the last one."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from replay.deadlines import Deadlines
from replay.inbox import Inbox

SECOND_NS = 1_000_000_000
LONG_NS = 60 * SECOND_NS


async def test_messages_come_in_order_between_times_that_pass_and_then_the_end() -> None:
    asked = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        await connection.send("one")
        await connection.send(b"two")
        await asked.wait()
        await connection.send("three")
        await connection.close(1000)

    async with serve(talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with Deadlines() as deadlines:
            async with connect(f"ws://127.0.0.1:{port}") as connection, Inbox(connection, deadlines) as inbox:
                assert await inbox.next_message(LONG_NS) == b"one"
                assert await inbox.next_message(LONG_NS) == b"two"
                assert [await inbox.next_message(SECOND_NS // 500) for _ in range(3)] == [None, None, None]
                # A time that has passed does not wait, and gives other tasks their turn.
                assert await inbox.next_message(-SECOND_NS) is None
                asked.set()
                assert await inbox.next_message(LONG_NS) == b"three"
                for _ in range(2):
                    with pytest.raises(ConnectionClosedOK):
                        await inbox.next_message(LONG_NS)


class Silent:
    """A connection over which nothing comes."""

    def __init__(self) -> None:
        self.receiving = 0
        self.is_asked = asyncio.Event()

    async def recv(self, decode: bool | None = None) -> str | bytes:  # noqa: ARG002 - as a connection has it
        self.receiving += 1
        self.is_asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.receiving -= 1
        return ""


async def test_nobody_receives_any_more_once_the_block_is_left() -> None:
    silent = Silent()
    with Deadlines() as deadlines:
        async with Inbox(silent, deadlines) as inbox:
            assert await inbox.next_message(0) is None
            assert silent.receiving == 1
        assert silent.receiving == 0


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    with Deadlines() as deadlines:
        with pytest.raises(KeyError):
            async with Inbox(Silent(), deadlines):
                raise KeyError("a bug")
        with pytest.raises(ConnectionClosed):
            async with Inbox(Silent(), deadlines):
                raise ConnectionClosed(None, None)


async def test_who_waits_can_be_cancelled_and_nothing_is_left_behind() -> None:
    silent = Silent()

    async def wait() -> None:
        with Deadlines() as deadlines:
            async with Inbox(silent, deadlines) as inbox:
                await inbox.next_message(LONG_NS)

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(wait(), name="wait")
        await silent.is_asked.wait()
        waiting.cancel()
    assert waiting.cancelled()
    assert silent.receiving == 0
