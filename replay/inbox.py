"""Wait for an endpoint's next message or for a time, whichever comes first, without giving up a receive for it.

A receive that is cancelled at every due time costs more than the send it makes way for: one task receives all the time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from websockets.exceptions import ConnectionClosed

from replay.deadlines import Deadlines


class Receiver(Protocol):
    """What an inbox needs of a connection of `websockets`."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """Wait for the next message."""


class Inbox:
    """What has come over a connection and was not yet looked at; receives while the block lasts."""

    def __init__(self, connection: Receiver, deadlines: Deadlines) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._come: deque[str | bytes] = deque()
        self._closed: ConnectionClosed | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._receiving = self._tasks.create_task(self._receive(), name="receive")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiving.cancel()
        # The group is not told of an error in the block: it would hand it on in a group of errors.
        await self._tasks.__aexit__(None, None, None)

    async def next_message(self, within_ns: int) -> str | bytes | None:
        """Give the next message; None where the time came first.

        Raises `ConnectionClosed` once all that came has been given and nothing more can come.
        """
        if not self._come and self._closed is None:
            await self._wait(within_ns)
        if self._come:
            return self._come.popleft()
        if self._closed is not None:
            raise self._closed
        return None

    async def _wait(self, within_ns: int) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        deadline = self._deadlines.call_at(time.monotonic_ns() + within_ns, self._wake)
        try:
            await self._waiting
        finally:
            self._waiting = None
            deadline.cancel()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _receive(self) -> None:
        try:
            while True:
                self._come.append(await self._connection.recv(decode=False))
                self._wake()
        except ConnectionClosed as closed:
            self._closed = closed
            self._wake()
