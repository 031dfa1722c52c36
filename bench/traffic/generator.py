"""The clients: every session sends 20 ms of audio every 20 ms, and notes when deltas came.

`python -m bench.traffic.generator --to ws://HOST:PORT --sessions N [--loop uvloop] [--ca PEM]`. Says when all are
connected, then obeys `go WARM_UP_S SECONDS`, `sent`, `count` and `report FOLDER`.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from array import array
from time import monotonic_ns
from typing import Any, cast
from urllib.parse import urlsplit

from bench.traffic.frames import StampedFrame, StreamHash, appends, take_stamps
from bench.traffic.loops import DeadlineTimer, obey, run, save, say

PACE_NS = 20_000_000
_CONNECTING_AT_ONCE = 16
_SENDS_A_TURN = 16
_LEAD_NS = 100_000_000


class Clients:
    """All sessions of the generator, and when what went and came."""

    def __init__(self, tick_us: int) -> None:
        self.came = array("q")
        """Pairs: sent by the endpoint, received here."""
        self.went = array("q")
        self.hash_in, self.hash_out = StreamHash(), StreamHash()
        self.sessions: list[Session] = []
        self._late_ns = array("q")
        self._frames: list[StampedFrame] = appends()
        self._next = 0
        self._start_ns = self._end_ns = 0
        self._is_done = False
        self._timer = DeadlineTimer(self._send_due, tick_us)

    def go(self, warm_up_s: str, seconds: str) -> dict[str, Any]:
        """Start sending; tell the window in which to measure."""
        self._start_ns = monotonic_ns() + _LEAD_NS
        from_ns = self._start_ns + int(float(warm_up_s) * 1e9)
        self._end_ns = from_ns + int(float(seconds) * 1e9)
        self._timer.arm(self._start_ns)
        return {"from_ns": from_ns, "until_ns": self._end_ns}

    def sent(self) -> dict[str, Any]:
        """Tell how many messages went, whether all did, and how late the slowest hundredth was."""
        late_ns = sorted(self._late_ns)
        p99_ns = late_ns[len(late_ns) * 99 // 100] if late_ns else 0
        return {"sent": len(self.went), "done": self._is_done, "late_p99_us": p99_ns / 1000}

    def count(self) -> dict[str, Any]:
        """Tell how many messages came."""
        return {"received": len(self.came) // 2}

    def report(self, folder: str) -> dict[str, Any]:
        """Leave all times in a folder; tell the hashes."""
        save(folder, "up_sent", self.went)
        save(folder, "down_received", self.came)
        return {"up": self.hash_out.digests(), "down": self.hash_in.digests()}

    def _send_due(self) -> None:
        sessions = len(self.sessions)
        # A few at a time: what comes in must not wait for all that is due.
        for _ in range(_SENDS_A_TURN):
            due_ns = self._start_ns + self._next * PACE_NS // sessions
            now_ns = monotonic_ns()
            if due_ns >= self._end_ns:
                self._is_done = True
                return
            if due_ns > now_ns:
                break
            self._late_ns.append(now_ns - due_ns)
            self.sessions[self._next % sessions].say(self._frames[self._next % len(self._frames)])
            self._next += 1
        self._timer.arm(self._start_ns + self._next * PACE_NS // sessions)


class Session(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, clients: Clients, head: bytes, *, is_hashed: bool) -> None:
        self.upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clients = clients
        self._head = head
        self._rest = b""
        self._is_hashed = is_hashed
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        """Note when messages came."""
        now_ns = monotonic_ns()
        if not self._is_upgraded:
            self._rest += data
            head, end, data = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            self._rest = b""
            self._take_answer(head)
        stamps, self._rest = take_stamps(self._rest + data if self._rest else data)
        came = self._clients.came
        for sent_ns in stamps:
            came.append(sent_ns)
            came.append(now_ns)
        if self._is_hashed:
            self._clients.hash_in.add(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the connecting, where it was not over."""
        if not self.upgraded.done():
            self.upgraded.set_exception(exc or ConnectionError("closed before the upgrade"))

    def say(self, frame: StampedFrame) -> None:
        """Send an append now."""
        sent_ns = monotonic_ns()
        encoded = frame.at(sent_ns)
        self.transport.write(encoded)
        self._clients.went.append(sent_ns)
        if self._is_hashed:
            self._clients.hash_out.add(encoded)

    def _take_answer(self, head: bytes) -> None:
        self._is_upgraded = True
        if head.split()[1] != b"101":
            self.upgraded.set_exception(ConnectionError(f"refused: {head!r}"))
        elif not self.upgraded.done():
            self.upgraded.set_result(None)


def request_head(host: str, *, is_hashed: bool = False) -> bytes:
    """Compose an upgrade as a voice client sends it."""
    query = "model=gpt-realtime" + ("&hashed=yes" if is_hashed else "")
    lines = (
        f"GET /v1/realtime?{query} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join((*lines, "", "")).encode()


async def connect(clients: Clients, url: str, sessions: int, authority: str | None) -> None:
    """Connect all sessions, a few at a time."""
    parts = urlsplit(url)
    tls = ssl.create_default_context(cafile=authority) if parts.scheme == "wss" else None
    gate = asyncio.Semaphore(_CONNECTING_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(number: int) -> Session:
        head = request_head(parts.netloc, is_hashed=number == 0)
        async with gate:
            _, session = await loop.create_connection(
                lambda: Session(clients, head, is_hashed=number == 0), parts.hostname or "", parts.port or 0, ssl=tls
            )
            await session.upgraded
        return session

    clients.sessions = await asyncio.gather(*(one(number) for number in range(sessions)))


async def play(url: str, sessions: int, tick_us: int, authority: str | None) -> None:
    """Connect, then obey until the parent closes the pipe."""
    clients = Clients(tick_us)
    await connect(clients, url, sessions, authority)
    say({"connected": sessions})
    await obey({"go": clients.go, "sent": clients.sent, "count": clients.count, "report": clients.report})


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--to", required=True)
    options.add_argument("--sessions", type=int, required=True)
    options.add_argument("--tick-us", type=int, default=1000)
    options.add_argument("--loop", default="asyncio")
    options.add_argument("--ca", metavar="PEM")
    chosen = options.parse_args()
    run(play(chosen.to, chosen.sessions, chosen.tick_us, chosen.ca), chosen.loop)
