"""One connection from its upgrade to its end: feeds the session, and sends what it says, when it is due."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from replay.simulator.clock import NS_PER_S, Clock
from replay.simulator.endpoint.connection import SimulatedConnection
from replay.simulator.faults.effects import Keepalive
from replay.simulator.protocol.admission import TurnedAway
from replay.simulator.session.session import Close, Drop, Output, Session


class Talk:
    """One session on one connection: a reader that feeds it, a pacer that wakes it when something is due."""

    def __init__(
        self, connection: ServerConnection, session: Session, clock: Clock, keepalive: Keepalive | None
    ) -> None:
        self._connection = connection
        self._session = session
        self._clock = clock
        self._keepalive = keepalive
        # Held from asking the session until all it said is sent: two tasks must not mix their events.
        self._speaking = asyncio.Lock()
        self._sleep: asyncio.Task[None] | None = None
        self._awake_at_ns = 0

    async def run(self) -> None:
        """Talk until either side closes."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._send(self._session.open())
                beside = [tasks.create_task(self._pace(tasks), name="simulator pacing")]
                if self._keepalive is not None:
                    pinging = self._keep_alive(self._keepalive, tasks)
                    beside.append(tasks.create_task(pinging, name="simulator keepalive"))
                try:
                    await self._read()
                finally:
                    for task in beside:
                        task.cancel()
        except* ConnectionClosed:
            # The client left; there is nobody to tell.
            pass

    async def _read(self) -> None:
        async for message in self._connection:
            async with self._speaking:
                await self._send(self._session.receive(message, self._clock.now_ns()))
            if self._sleep is not None and self._session.next_due_ns < self._awake_at_ns:
                self._sleep.cancel()

    async def _pace(self, tasks: asyncio.TaskGroup) -> None:
        while not self._session.closed:
            self._awake_at_ns = self._session.next_due_ns
            sleep = self._sleep = tasks.create_task(self._clock.sleep_until(self._awake_at_ns))
            try:
                # Woken early by the reader, the sleep ends cancelled, and the next one is planned afresh.
                await asyncio.wait([sleep])
            finally:
                sleep.cancel()
            async with self._speaking:
                await self._send(self._session.tick(self._clock.now_ns()))

    async def _keep_alive(self, keepalive: Keepalive, tasks: asyncio.TaskGroup) -> None:
        answered = True
        while answered:
            await self._clock.sleep_until(self._clock.now_ns() + round(keepalive.interval_s * NS_PER_S))
            pong = cast("asyncio.Future[float]", await self._connection.ping())
            due_ns = self._clock.now_ns() + round(keepalive.timeout_s * NS_PER_S)
            timeout = tasks.create_task(self._clock.sleep_until(due_ns))
            waiting: list[asyncio.Future[Any]] = [pong, timeout]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            timeout.cancel()
            answered = pong.done()
        await self._connection.close(1011, "keepalive ping timeout")

    async def _send(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Close):
                await self._connection.close(output.code, output.reason)
            elif isinstance(output, Drop):
                self._connection.transport.abort()
            else:
                await self._connection.send(msgspec.json.encode(output), text=True)


async def turn_away(connection: SimulatedConnection, admission: TurnedAway) -> None:
    """Tell what is wrong with the URL, and close."""
    error = {
        "type": "invalid_request_error",
        "code": admission.code,
        "message": admission.message,
        "param": None,
        "event_id": None,
    }
    event = {"type": "error", "event_id": connection.ids.make("event"), "error": error}
    try:
        await connection.send(msgspec.json.encode(event), text=True)
    except ConnectionClosed:
        return
    await connection.close(admission.close_code, admission.close_reason)
