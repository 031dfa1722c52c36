"""The tap on a `websockets` connection: a copy of the bytes of both directions, the heads as facts.

One tap, two shells: for connections of `websockets.asyncio`, and for those of `websockets.sync` (threads).
"""

from __future__ import annotations

import threading
import weakref
from _thread import start_new_thread
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from socket import SHUT_RDWR
from typing import Any, cast

from websockets.asyncio.client import ClientConnection
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.sync.client import ClientConnection as SyncClientConnection

from capture.errors import GuestLog, describe_fault
from capture.handshake import BadRequest, parse_request, parse_response, take_head
from capture.recorder import SessionRecording
from capture.recording.facts import ClosedBy, HandshakeRequest, HandshakeResponse, SessionEnd
from capture.redaction import redact_headers, redact_url
from capture.sealing import SealedSession

_log = GuestLog(__name__)

_LET_GO = "the program let go of the connection"
_GAVE_UP = "the program gave up before the connection was a WebSocket"

OnEnded = Callable[[Future[SealedSession]], None]
"""Takes what will hold the sealed session."""


class Tap:
    """Copies what goes over one connection into its recording. No method raises: the call comes first."""

    def __init__(
        self, begin: Callable[[], SessionRecording], on_ended: OnEnded | None = None, *, is_direct: bool = True
    ) -> None:
        """`begin` gives the recording once the connection stands.

        With `on_ended` it ends with the connection; without, somebody else ends it. Where it is not direct, its other
        end is a proxy, and the endpoint's address is not known.
        """
        self._begin = begin
        self._is_direct = is_direct
        self._on_ended = on_ended
        self._recording: SessionRecording | None = None
        self._has_failed = False
        self._remote_ip: str | None = None
        self._sent_head = bytearray()
        self._received_head = bytearray()
        # Two flags: with threads, the answer may be here before the thread that asked has told the tap.
        self._is_asked = False
        self._is_upgraded = False
        self.closed_by: ClosedBy | None = None
        self._end_reason: str | None = None
        # Of a connection with threads, more than one may close it.
        self._ending = threading.Lock()

    def connected(self, peer: Any) -> None:
        """Begin the recording; `peer` is the socket's address of the other end."""
        try:
            self._remote_ip = str(peer[0]) if self._is_direct and isinstance(peer, tuple) else None
            self._recording = self._begin()
        except Exception as error:  # noqa: BLE001 - the call goes on without a recording
            _log.error("a session is not recorded: %s", error)

    def sent(self, chunk: bytes) -> None:
        """Take a copy of bytes that were handed to the network."""
        recording = self._recording
        if recording is None or self._has_failed:
            return
        # A fault in taking the copy is the recording's loss, never the call's.
        try:
            if self._is_asked:
                recording.bytes("client", chunk)
            else:
                self._take_request(recording, chunk)
        except Exception as error:  # noqa: BLE001 - see above
            self._fail(error)

    def received(self, chunk: bytes) -> None:
        """Take a copy of bytes that came."""
        recording = self._recording
        if recording is None or self._has_failed:
            return
        try:
            if self._is_upgraded:
                recording.bytes("server", chunk)
            else:
                # An answer that is no HTTP is for `websockets` to refuse, in its own words.
                with suppress(BadRequest, ValueError):
                    self._take_answer(recording, chunk)
        except Exception as error:  # noqa: BLE001 - as in `sent`
            self._fail(error)

    def note_end(self, closed_by: ClosedBy, reason: str) -> None:
        """Note who let go of the connection; the first word counts, and a close frame counts more."""
        if self._end_reason is None:
            self.closed_by, self._end_reason = closed_by, reason

    def answered(self, event: Any) -> None:
        """Take an event of `websockets`: an answer that refuses the upgrade ends the recording, with its body."""
        if isinstance(event, Response) and event.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self.note_end("server", "the endpoint refused the upgrade")
            self.lost(refusal=event.body)

    def lost(self, error: BaseException | None = None, *, refusal: bytes | bytearray | None = None) -> None:
        """End the recording with its connection; `refusal` is the body of a refused upgrade."""
        with self._ending:
            recording, self._recording = self._recording, None
        if recording is None or self._on_ended is None:
            return
        try:
            if error is not None:
                self.note_end("network", f"connection to the server lost: {error}")
            # Nobody else let go: a program that drops its connection must not look like an endpoint that failed.
            self.note_end("client", _LET_GO if self._is_upgraded else _GAVE_UP)
            if refusal:
                recording.http_body("server", bytes(refusal))
            end = SessionEnd(offset_ns=recording.now_ns(), closed_by=self.closed_by, end_reason=self._end_reason)
            self._on_ended(recording.end(end))
        except Exception as fault:  # noqa: BLE001 - as in `sent`
            self._fail(fault)

    def _take_request(self, recording: SessionRecording, chunk: bytes) -> None:
        self._sent_head += chunk
        head = take_head(self._sent_head)
        if head is None:
            return
        self._is_asked = True
        request = parse_request(head)
        recording.fact(
            HandshakeRequest(
                offset_ns=recording.now_ns(),
                method=request.method,
                path=redact_url(request.path),
                headers=redact_headers(request.headers),
                remote_ip=self._remote_ip,
            )
        )

    def _take_answer(self, recording: SessionRecording, chunk: bytes) -> None:
        self._received_head += chunk
        head = take_head(self._received_head)
        if head is None:
            return
        response = parse_response(head)
        recording.fact(
            HandshakeResponse(
                offset_ns=recording.now_ns(),
                status=response.status,
                headers=redact_headers(response.headers),
                remote_ip=self._remote_ip,
            )
        )
        # Of a refused upgrade the body is taken once `websockets` has it whole.
        self._is_upgraded = response.status == HTTPStatus.SWITCHING_PROTOCOLS
        if self._is_upgraded and self._received_head:
            recording.bytes("server", bytes(self._received_head))

    def _fail(self, error: Exception) -> None:
        """Copy nothing more: behind a hole that no gap tells of, bytes could be read as messages nobody sent."""
        self._has_failed = True
        fault = describe_fault(error)
        _log.error("a session could not be recorded whole: %s", fault)
        with suppress(Exception):
            recording = self._recording
            if recording is not None:
                recording.lose_track(f"the tap failed: {fault}")


class TappedConnection(ClientConnection):
    """A connection of `websockets.asyncio` with a tap."""

    def __init__(self, *arguments: Any, tap: Tap, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tap = tap
        # One that a program leaves open when its loop ends is never told that it is lost.
        self._abandonment = weakref.finalize(self, _end_abandoned, tap)
        self._abandonment.atexit = False
        self.has_stalled = False
        """Whether it was dropped because the other end took nothing more."""

    @property
    def untaken_bytes(self) -> int:
        """Bytes that were handed over and that the network has not taken."""
        return int(self.transport.get_write_buffer_size())

    @property
    def let_go_by(self) -> ClosedBy | None:
        """Who let go of the connection first; None while it stands, and where it broke."""
        return self._tap.closed_by

    @property
    def taken_bytes(self) -> int:
        """Bytes that the network has taken so far."""
        return cast("_TappedTransport", self.transport).written_bytes - self.untaken_bytes

    def connection_made(self, transport: Any) -> None:
        """Stand before the transport."""
        self._tap.connected(transport.get_extra_info("peername"))
        super().connection_made(cast("Any", _TappedTransport(transport, self._tap)))

    def data_received(self, data: bytes) -> None:
        """Copy first, which neither waits nor raises: what the library answers to these bytes stands behind them."""
        self._tap.received(data)
        super().data_received(data)

    def eof_received(self) -> None:
        """Note that the server let go."""
        self._tap.note_end("server", "end of stream from the server")
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the recording."""
        super().connection_lost(exc)
        self._abandonment.detach()
        self._tap.lost(exc)

    def process_event(self, event: Event) -> None:
        """Show the tap the answer, its body included, once it is whole."""
        self._tap.answered(event)
        super().process_event(event)


def _end_abandoned(tap: Tap) -> None:
    # The garbage collector calls, in the midst of anything, locks held: another thread ends it. No object of
    # `threading`, which has locks of its own.
    with suppress(RuntimeError):
        start_new_thread(tap.lost, ())


class _TappedTransport:
    """Stands before a transport and shows what is written to it; all else goes straight through."""

    def __init__(self, transport: Any, tap: Tap) -> None:
        self._transport = transport
        self._tap = tap
        self.written_bytes = 0

    def write(self, chunk: Any) -> None:
        self._transport.write(chunk)
        self.written_bytes += len(chunk)
        self._tap.sent(bytes(chunk))

    def writelines(self, chunks: Any) -> None:
        self.write(b"".join(chunks))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class TappedSyncConnection(SyncClientConnection):
    """A connection of `websockets.sync` with a tap."""

    def __init__(self, socket: Any, *arguments: Any, tap: Tap, **options: Any) -> None:
        self._tap = tap
        tap.connected(_peer_of(socket))
        # Its thread reads as soon as this returns.
        super().__init__(cast("Any", _TappedSocket(socket, tap)), *arguments, **options)

    def close_socket(self) -> None:
        """End the recording."""
        super().close_socket()
        self._tap.lost()

    def process_event(self, event: Event) -> None:
        """Show the tap the answer, its body included, once it is whole."""
        self._tap.answered(event)
        super().process_event(event)


class _TappedSocket:
    """Stands before a socket and shows what goes through it; all else goes straight through."""

    def __init__(self, socket: Any, tap: Tap) -> None:
        self._socket = socket
        self._tap = tap
        self._is_closing = False

    def recv(self, size: int) -> Any:
        try:
            chunk = self._socket.recv(size)
        except OSError as error:
            if not self._is_closing:
                self._tap.note_end("network", f"connection to the server lost: {error}")
            raise
        if chunk:
            self._tap.received(chunk)
        elif not self._is_closing:
            self._tap.note_end("server", "end of stream from the server")
        return chunk

    def sendall(self, chunk: Any) -> None:
        # Copy first: the answer may come, on the thread that reads, before this returns.
        self._tap.sent(bytes(chunk))
        self._socket.sendall(chunk)

    def shutdown(self, how: int) -> None:
        # Half-closed, the server still has its say; closed both ways, what `recv` meets is our own doing.
        self._is_closing = how == SHUT_RDWR
        self._socket.shutdown(how)

    def close(self) -> None:
        self._is_closing = True
        self._socket.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _peer_of(socket: Any) -> Any:
    try:
        return socket.getpeername()
    except OSError:
        return None
