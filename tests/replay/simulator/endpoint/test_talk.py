"""Sessions over real sockets: when they end, and how."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from replay.simulator import load_scenario, serve
from replay.simulator.clock import NS_PER_S
from tests.replay.simulator.endpoint.sockets import hear, send, stage

HEALTHY = load_scenario("healthy")


class HandClock:
    """A clock that a test moves on by hand."""

    def __init__(self) -> None:
        self._now_ns = 1_700_000_000 * NS_PER_S
        self._moved = asyncio.Condition()

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._now_ns

    async def sleep_until(self, due_ns: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._now_ns >= due_ns)

    async def move(self, seconds: float) -> None:
        async with self._moved:
            self._now_ns += round(seconds * NS_PER_S)
            self._moved.notify_all()


async def test_a_session_ends_at_its_maximum_age() -> None:
    clock = HandClock()
    async with (
        serve([HEALTHY], clock=clock) as simulator,
        connect(simulator.url("eastus2", "gpt-realtime")) as socket,
    ):
        created = json.loads(await socket.recv())
        await clock.move(3600)
        expired = json.loads(await socket.recv())
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert created["session"]["expires_at"] == 1_700_003_600
    assert expired["error"]["code"] == "session_expired"
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        1001,
        "Your session hit the maximum duration of 60 minutes.",
    )


async def test_what_comes_due_earlier_wakes_the_pacer() -> None:
    clock = HandClock()
    async with (
        serve([HEALTHY], clock=clock) as simulator,
        connect(simulator.url("eastus2", "gpt-realtime")) as socket,
    ):
        await hear(socket, until="session.created")
        await send(socket, "response.create")
        await hear(socket, until="response.created")
        await clock.move(5)

        assert (await hear(socket, until="rate_limits.updated"))[-2]["type"] == "response.done"


async def hear_the_end(url: str, **options: Any) -> ConnectionClosed:
    """Connect, configure the session, and listen until the connection is over."""
    async with connect(url, **options) as socket:
        await send(socket, "session.update", session={"type": "realtime"})
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                await socket.recv()
    return ended.value


async def test_a_dropped_connection_has_no_close_frame() -> None:
    async with serve([stage({"drop": {"after_event": "session.updated"}}, region="eastus2")]) as simulator:
        ended = await hear_the_end(simulator.url("eastus2", "gpt-realtime"))
        async with connect(simulator.url("swedencentral", "gpt-realtime")) as socket:
            await send(socket, "session.update", session={"type": "realtime"})
            await hear(socket, until="session.updated")

    assert isinstance(ended, ConnectionClosedError)
    assert ended.rcvd is None


async def test_a_close_has_its_code_and_its_reason() -> None:
    close = {"code": 4001, "reason": "enough", "after_event": "session.updated"}
    async with serve([stage({"close": close})]) as simulator:
        ended = await hear_the_end(simulator.url("eastus2", "gpt-realtime"))

    assert ended.rcvd is not None
    assert (ended.rcvd.code, ended.rcvd.reason) == (4001, "enough")


async def test_a_client_that_does_not_pong_is_closed_1011() -> None:
    class Stalled(ClientConnection):
        def data_received(self, data: bytes) -> None:
            # A frame that begins so is a ping: this client never sees one.
            if data[:1] != b"\x89":
                super().data_received(data)

    async with serve([stage({"keepalive": {"interval_s": 0.05, "timeout_s": 0.05}})]) as simulator:
        url = simulator.url("eastus2", "gpt-realtime")
        ended = await hear_the_end(url, create_connection=Stalled)

    assert ended.rcvd is not None
    assert (ended.rcvd.code, ended.rcvd.reason) == (1011, "keepalive ping timeout")
