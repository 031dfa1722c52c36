"""The hot path: two transports joined, each piece forwarded at once, then copied into the recording."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from array import array
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from websockets.frames import Close, CloseCode, Frame, Opcode

from capture.errors import describe_fault
from capture.recording.facts import ClosedBy, Sender, SessionEnd

_log = logging.getLogger(__name__)

_GOODBYE = Close(CloseCode.GOING_AWAY, "the recorder stops")
_GOING_AWAY = Frame(Opcode.CLOSE, _GOODBYE.serialize())
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Tap(Protocol):
    """What takes the copies: a session's recording."""

    @property
    def monotonic_ns(self) -> Callable[[], int]:
        """What tells when pieces come."""

    def now_ns(self) -> int:
        """Read the session's clock."""

    def taker(self, sender: Sender) -> Callable[[bytes, int], None]:
        """Give what takes one end's pieces, each with the `monotonic_ns` at which it came."""

    def may_send(self, sender: Sender) -> bool:
        """Whether a frame could be sent in this sender's name."""


class End(Protocol):
    """One end of a connection as the splice finds it: its transport, and what came over it so far."""

    transport: asyncio.Transport
    held: bytearray
    eof: bool
    lost: bool


_FINE_NS_SHIFT, _FINE_BUCKETS = 8, 256
_FINE_NS = _FINE_BUCKETS << _FINE_NS_SHIFT
_UNDER_WAY_S = 0.1


class LagHistogram:
    """Durations counted in buckets of 256 ns, of about 3 % beyond 65 µs: one addition a piece, 1 KiB a session."""

    __slots__ = ("_coarse", "_fine", "_max_ns")

    def __init__(self) -> None:
        self._fine = array("I", bytes(_FINE_BUCKETS * array("I").itemsize))
        self._coarse: Counter[int] = Counter()
        """By the longest duration that each holds."""
        self._max_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration."""
        if duration_ns < _FINE_NS:
            self._fine[duration_ns >> _FINE_NS_SHIFT] += 1
        else:
            self._coarse[_bucket(duration_ns)] += 1
        if duration_ns > self._max_ns:
            self._max_ns = duration_ns

    @property
    def max_us(self) -> float | None:
        """Longest duration; None when none was counted."""
        return self._max_ns / 1000 if any(self._buckets()) else None

    def quantile_us(self, quantile: float) -> float | None:
        """Give the duration in microseconds that this share of all stayed within; None when none was counted."""
        buckets = self._buckets()
        rank = quantile * sum(buckets.values())
        for longest_ns, count in buckets.items():
            rank -= count
            if rank <= 0:
                return min(longest_ns, self._max_ns) / 1000
        return None

    def _buckets(self) -> dict[int, int]:
        """Give the counts by the longest duration that each holds, the shortest first."""
        fine = {(at + 1 << _FINE_NS_SHIFT) - 1: count for at, count in enumerate(self._fine) if count}
        return fine | dict(sorted(self._coarse.items()))


def _bucket(duration_ns: int) -> int:
    """Give the longest duration whose six leading bits are the same: no bucket is wider than 1/32 of its value."""
    return duration_ns | (1 << duration_ns.bit_length() - 6) - 1


class Side(asyncio.Protocol):
    """One end of a splice: what it receives goes out at the other end at once, then into the recording."""

    __slots__ = (
        "_count_lag",
        "_loop",
        "_monotonic_ns",
        "_paused_at_s",
        "_splice",
        "_take",
        "_write",
        "backpressure_s",
        "eof",
        "last_ns",
        "lost",
        "peer",
        "sender",
        "transport",
    )
    peer: Side

    def __init__(self, sender: Sender, transport: asyncio.Transport, sink: asyncio.Transport, splice: Splice) -> None:
        self.sender: Sender = sender
        self.transport = transport
        self.eof = False
        self.lost = False
        self.last_ns = 0
        """When the last piece came."""
        self.backpressure_s = 0.0
        """How long the other end had to wait because this one took no more."""
        self._loop = asyncio.get_running_loop()
        self._paused_at_s = 0.0
        self._splice = splice
        self._take = splice.tap.taker(sender)
        self._monotonic_ns = splice.tap.monotonic_ns
        self._count_lag = splice.lag.add
        self._write: Callable[[bytes], None] = sink.write

    def data_received(self, data: bytes) -> None:
        """Forward a piece, then keep a copy."""
        # From their slots first: to call what a slot holds by its name there costs as much as the call.
        monotonic_ns, write, count_lag, take = self._monotonic_ns, self._write, self._count_lag, self._take
        self.last_ns = arrived_ns = monotonic_ns()
        write(data)
        # The call comes first: the copy is taken when the bytes are on their way, and a fault in taking it is
        # the recording's loss, never the call's.
        try:
            count_lag(monotonic_ns() - arrived_ns)
            take(data, arrived_ns)
        except Exception as error:  # noqa: BLE001 - see above
            self._splice.recording_failed(error)

    def pause_writing(self) -> None:
        """Stop reading at the other end: this one takes no more."""
        self._paused_at_s = self._loop.time()
        if not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on at the other end."""
        self.backpressure_s += self._loop.time() - self._paused_at_s
        if not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def eof_received(self) -> bool:
        """Pass a half-close on; over TLS, which has none here, drain the other direction and close."""
        self.eof = True
        self._splice.note_end(self.sender, None)
        sink = self.peer.transport
        if self.peer.eof or self.peer.lost:
            _close(self.transport)
            _close(sink)
        elif sink.can_write_eof():
            sink.write_eof()
            # Whoever has gone behind its half-close waits for nothing; a peer that neither reads nor speaks would
            # keep such a session for ever.
            self._splice.close_when_quiet(self.peer)
        elif self.sender == "server":
            # An endpoint that has ended its side hears no more. The client waits for this close, after its own
            # goodbye: only what it has under way is still taken.
            self._splice.close_when_quiet(self.peer, _UNDER_WAY_S)
        else:
            self._splice.close_when_quiet(self.peer)
        # Over TLS asyncio closes the transport whatever is returned, and warns about True.
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end of the connection on as what it was: a close or a reset."""
        self.lost = True
        self._splice.note_end(self.sender, exc)
        peer = self.peer
        peer.sink_is_gone()
        if peer.lost:
            self._splice.finished()
        elif exc is not None:
            _reset(peer.transport)
        elif peer.eof or not peer.transport.can_write_eof():
            _close(peer.transport)
        else:
            # The peer may be in the middle of its own goodbye: let it end by itself.
            peer.transport.write_eof()
            self._splice.close_when_quiet(peer)

    def sink_is_gone(self) -> None:
        """Go on recording what this end says, though nobody hears it."""
        self._write = _discard
        if not self.transport.is_closing():
            self.transport.resume_reading()


def _discard(_: bytes) -> None:
    """Take bytes for which there is no peer any more."""


def _close(transport: asyncio.Transport) -> None:
    # A TLS transport of asyncio that is closed twice raises at the next touch.
    if not transport.is_closing():
        transport.close()


def _reset(transport: asyncio.Transport) -> None:
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class Splice:
    """Two transports joined: bytes, back-pressure, half-closes and resets pass from either to the other."""

    def __init__(self, client: End, server: End, tap: Tap, *, linger_s: float) -> None:
        self.tap = tap
        self.lag = LagHistogram()
        self.client = Side("client", client.transport, server.transport, self)
        self.server = Side("server", server.transport, client.transport, self)
        self.client.peer, self.server.peer = self.server, self.client
        self._ends = ((self.server, server), (self.client, client))
        self._linger_s = linger_s
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._closed_by: ClosedBy | None = None
        self._end_reason: str | None = None
        self._has_said_goodbye = False
        self._failed = False

    async def run(self) -> SessionEnd:
        """Take both ends over, with all they hold, and wait until both are closed."""
        for side, _ in self._ends:
            side.transport.set_protocol(side)
            side.transport.resume_reading()
        for side, end in self._ends:
            _catch_up(side, end)
        await self._done
        for timer in self._timers:
            timer.cancel()
        return self._end()

    def stop(self, reason: str = "the proxy was stopped") -> None:
        """Close both ends on behalf of the recorder: with a close frame 1001 wherever no other frame is cut by it.

        That frame is nobody's message: the recording's end tells of it.
        """
        self._note("recorder", reason)
        for side in (self.client, self.server):
            if self._may_say_goodbye(side):
                # Each end hears it in the other's name: only clients mask.
                side.transport.write(_GOING_AWAY.serialize(mask=side.sender == "server"))
                self._has_said_goodbye = True
            _close(side.transport)
            self._timers.append(self._loop.call_later(self._linger_s, side.transport.abort))

    def _may_say_goodbye(self, side: Side) -> bool:
        peer = side.peer
        return not (side.transport.is_closing() or peer.eof or peer.lost) and self.tap.may_send(peer.sender)

    def note_end(self, sender: Sender, error: Exception | None) -> None:
        """Note who let go of the connection first; the close frames tell who ended the session."""
        if error is None:
            self._note(sender, f"end of stream from the {sender}")
        else:
            # A client that dies resets where it had something left to read, and ends its stream where it had not: who
            # let go is the same. What else breaks a connection (it timed out, no route) is nobody's.
            is_clients = sender == "client" and isinstance(error, ConnectionError)
            self._note("client" if is_clients else "network", f"connection to the {sender} lost: {error}")

    def close_when_quiet(self, side: Side, quiet_s: float | None = None) -> None:
        """Close a side once nothing has come from it for that long; without a time given, for `linger_s`."""
        seen_ns = side.last_ns

        def check() -> None:
            if side.last_ns == seen_ns:
                _close(side.transport)
                # Closing waits until all is written, and a peer that reads nothing lets it wait.
                self._timers.append(self._loop.call_later(self._linger_s, side.transport.abort))
            else:
                self.close_when_quiet(side, quiet_s)

        self._timers.append(self._loop.call_later(self._linger_s if quiet_s is None else quiet_s, check))

    def recording_failed(self, error: Exception) -> None:
        """Say once that this recording has a hole."""
        if not self._failed:
            self._failed = True
            _log.error("a session could not be recorded whole: %s", describe_fault(error))

    def finished(self) -> None:
        """Wake `run`: both ends are closed."""
        if not self._done.done():
            self._done.set_result(None)

    def _note(self, closed_by: ClosedBy | None, reason: str) -> None:
        if self._end_reason is None:
            self._closed_by, self._end_reason = closed_by, reason

    def _end(self) -> SessionEnd:
        is_told = self._closed_by == "recorder" and self._has_said_goodbye
        return SessionEnd(
            offset_ns=self.tap.now_ns(),
            closed_by=self._closed_by,
            end_reason=self._end_reason,
            close_code=_GOODBYE.code if is_told else None,
            close_reason=_GOODBYE.reason if is_told else None,
            relay_lag_p50_us=self.lag.quantile_us(0.5),
            relay_lag_p99_us=self.lag.quantile_us(0.99),
            relay_lag_max_us=self.lag.max_us,
            backpressure_client_ms=self.client.backpressure_s * 1000,
            backpressure_server_ms=self.server.backpressure_s * 1000,
        )


def _catch_up(side: Side, end: End) -> None:
    """Let a side live through what its end had seen before the splice."""
    if end.held:
        side.data_received(bytes(end.held))
    if end.lost:
        side.connection_lost(None)
    elif end.eof:
        side.eof_received()
