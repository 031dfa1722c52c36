"""The endpoint: takes every upgrade, notes when each message came, and says audio in bursts to every session.

`python -m bench.traffic.endpoint --sessions N [--loop uvloop] [--tls PEM]`. Prints its port, then obeys `stop`,
`count` and `report FOLDER`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import heapq
import re
import ssl
from array import array
from time import monotonic_ns
from typing import Any, cast

from bench.traffic.frames import StampedFrame, StreamHash, deltas, take_stamps
from bench.traffic.loops import DeadlineTimer, obey, run, save, say

_KEY = re.compile(rb"(?i)\r\nSec-WebSocket-Key: *([^\r]+)\r\n")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HASHED = b"hashed=yes"
"""In the query of the one session whose bytes are compared."""
BURST_EVERY_NS, BURST_DELTAS, DELTA_EVERY_NS = 2_000_000_000, 25, 4_000_000
_SENDS_A_TURN = 16


class Endpoint:
    """All sessions of the endpoint, and when what came and went."""

    def __init__(self, sessions: int, tick_us: int) -> None:
        self.came = array("q")
        """Pairs: sent by the client, received here."""
        self.went = array("q")
        self.hash_in, self.hash_out = StreamHash(), StreamHash()
        self._sessions = sessions
        self._begun = 0
        self._due: list[tuple[int, int, int, Session]] = []
        self._frames: list[StampedFrame] = deltas()
        self._timer = DeadlineTimer(self._send_due, tick_us)

    def begin(self, session: Session) -> None:
        """Let the bursts of a session start, spread over the first period."""
        number, self._begun = self._begun, self._begun + 1
        first_ns = monotonic_ns() + BURST_EVERY_NS * (number % self._sessions) // self._sessions
        heapq.heappush(self._due, (first_ns, number, 0, session))
        self._timer.arm(self._due[0][0])

    def stop(self) -> dict[str, Any]:
        """Say nothing more."""
        self._due.clear()
        return {"sent": len(self.went)}

    def count(self) -> dict[str, Any]:
        """Tell how many messages came."""
        return {"received": len(self.came) // 2}

    def report(self, folder: str) -> dict[str, Any]:
        """Leave all times in a folder; tell the hashes."""
        save(folder, "up_received", self.came)
        save(folder, "down_sent", self.went)
        return {"up": self.hash_in.digests(), "down": self.hash_out.digests()}

    def _send_due(self) -> None:
        # A few at a time: what comes in must not wait for a whole burst.
        for _ in range(_SENDS_A_TURN):
            if not self._due or self._due[0][0] > monotonic_ns():
                break
            due_ns, number, sent, session = self._due[0]
            session.say(self._frames[(number + sent) % len(self._frames)])
            sent += 1
            pause_ns = DELTA_EVERY_NS
            if sent % BURST_DELTAS == 0:
                pause_ns = BURST_EVERY_NS - DELTA_EVERY_NS * (BURST_DELTAS - 1)
            if session.transport.is_closing():
                heapq.heappop(self._due)
            else:
                heapq.heapreplace(self._due, (due_ns + pause_ns, number, sent, session))
        if self._due:
            self._timer.arm(self._due[0][0])


class Session(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._rest = b""
        self._is_upgraded = False
        self._is_hashed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Note when messages came; before the upgrade, wait for the request head."""
        now_ns = monotonic_ns()
        if not self._is_upgraded:
            self._rest += data
            self._upgrade()
            return
        stamps, self._rest = take_stamps(self._rest + data if self._rest else data)
        came = self._endpoint.came
        for sent_ns in stamps:
            came.append(sent_ns)
            came.append(now_ns)
        if self._is_hashed:
            self._endpoint.hash_in.add(data)

    def say(self, frame: StampedFrame) -> None:
        """Send a delta now."""
        sent_ns = monotonic_ns()
        encoded = frame.at(sent_ns)
        self.transport.write(encoded)
        self._endpoint.went.append(sent_ns)
        if self._is_hashed:
            self._endpoint.hash_out.add(encoded)

    def _upgrade(self) -> None:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return
        self._rest = b""
        self._is_upgraded = True
        self._is_hashed = HASHED in head
        self.transport.write(accept_upgrade(head))
        self._endpoint.begin(self)
        if rest:
            self.data_received(rest)


def accept_upgrade(head: bytes) -> bytes:
    """Compose the answer to an upgrade."""
    found = _KEY.search(head + b"\r\n")
    if found is None:
        raise ValueError(f"no upgrade: {head!r}")
    accept = base64.b64encode(hashlib.sha1(found[1].strip() + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


async def serve(sessions: int, tick_us: int, certificate: str | None) -> None:
    """Serve until the parent closes the pipe."""
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    endpoint = Endpoint(sessions, tick_us)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(endpoint), "127.0.0.1", 0, ssl=tls, backlog=1024)
    say({"port": server.sockets[0].getsockname()[1]})
    await obey({"stop": endpoint.stop, "count": endpoint.count, "report": endpoint.report})


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--sessions", type=int, required=True)
    options.add_argument("--tick-us", type=int, default=1000)
    options.add_argument("--loop", default="asyncio")
    options.add_argument("--tls", metavar="PEM")
    chosen = options.parse_args()
    run(serve(chosen.sessions, chosen.tick_us, chosen.tls), chosen.loop)
