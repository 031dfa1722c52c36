"""A relay as one writes it with `websockets`: it takes every message and sends it on. It records nothing.

`python -m bench.traffic.message_relay --to ws://HOST:PORT [--loop uvloop]`. Prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.traffic.loops import obey, run, say


async def pump(source: Connection, sink: Connection) -> None:
    """Send every message on."""
    with suppress(ConnectionClosed):
        async for message in source:
            await sink.send(message)
    await sink.close()


async def relay(origin: str) -> None:
    """Relay every client until the parent closes the pipe."""

    async def carry(client: ServerConnection) -> None:
        path = client.request.path if client.request else "/"
        async with (
            connect(origin + path, compression=None, max_size=None, ping_interval=None, proxy=None) as server,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(pump(client, server))
            tasks.create_task(pump(server, client))

    async with serve(
        carry, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None, backlog=1024
    ) as server:
        say({"port": next(iter(server.sockets)).getsockname()[1]})
        await obey({})


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--to", required=True)
    options.add_argument("--loop", default="asyncio")
    chosen = options.parse_args()
    run(relay(chosen.to), chosen.loop)
