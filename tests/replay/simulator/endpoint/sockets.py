"""A client of a few lines, for tests over real sockets."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection

from replay.simulator import Scenario
from replay.simulator.faults.faults import Fault
from replay.simulator.scenario import Server

Event = dict[str, Any]


def stage(then: dict[str, Any], **when: Any) -> Scenario:
    """Stage one fault."""
    return Scenario("staged", "one fault", Server(faults=(msgspec.convert({"then": then, "when": when}, Fault),)))


async def send(socket: ClientConnection, event_type: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": event_type, **fields}))


async def hear(socket: ClientConnection, *, until: str) -> list[Event]:
    events: list[Event] = []
    while not events or events[-1]["type"] != until:
        events.append(json.loads(await socket.recv()))
    return events
