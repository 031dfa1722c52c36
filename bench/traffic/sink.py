"""The cheapest endpoint that replays can talk to: opens the session, echoes its update, and only counts what comes.

`python -m bench.traffic.sink [--loop uvloop]`. Prints its port, then obeys `count`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any, cast

from websockets.frames import Frame, Opcode

from bench.traffic.endpoint import accept_upgrade
from bench.traffic.frames import TEXT, frame_at, unmask
from bench.traffic.loops import obey, run, say

_SESSION = {
    "type": "realtime",
    "id": "sess_sink",
    "object": "realtime.session",
    "model": "sink",
    "output_modalities": ["audio"],
    "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None}},
}
_NORMAL_CLOSE = (1000).to_bytes(2, "big")


def _event(kind: str) -> bytes:
    text = json.dumps({"type": kind, "event_id": f"event_{kind}", "session": _SESSION})
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


CREATED, UPDATED = _event("session.created"), _event("session.updated")


class Sink:
    """What came over all connections."""

    def __init__(self) -> None:
        self.messages = 0

    def count(self) -> dict[str, Any]:
        """Tell how many messages came, the updates among them."""
        return {"received": self.messages}


class Listener(asyncio.Protocol):
    """One connection; messages are not read, only their lengths."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._rest = b""
        self._is_upgraded = False
        self._is_configured = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the upgrade, then count; the first message is the client's session.update, the last its close."""
        data = self._rest + data
        if not self._is_upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._is_upgraded = True
            self._transport.write(accept_upgrade(head) + CREATED)
        at, size = 0, len(data)
        while (frame := frame_at(data, at, size)) is not None:
            payload_at, frame_end, key = frame
            if data[at] & 0x0F == TEXT:
                self._take_message()
            else:
                self._answer(data[at] & 0x0F, unmask(data[payload_at:frame_end], key))
            at = frame_end
        self._rest = data[at:]

    def _take_message(self) -> None:
        self._sink.messages += 1
        if not self._is_configured:
            self._is_configured = True
            self._transport.write(UPDATED)

    def _answer(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            self._transport.write(Frame(Opcode.PONG, payload).serialize(mask=False))
        elif opcode == Opcode.CLOSE:
            self._transport.write(Frame(Opcode.CLOSE, _NORMAL_CLOSE).serialize(mask=False))
            self._transport.close()


async def serve() -> None:
    """Serve until the parent closes the pipe."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: Listener(sink), "127.0.0.1", 0, backlog=1024)
    say({"port": server.sockets[0].getsockname()[1]})
    await obey({"count": sink.count})


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--loop", default="asyncio")
    run(serve(), options.parse_args().loop)
