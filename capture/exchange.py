"""HTTP on a connection: a gate that holds what came until it is read, and one exchange by h11's rules."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, cast

import h11

from capture.handshake import HEAD_LIMIT, RequestHead, ResponseHead, parse_response, take_head
from capture.recording.facts import Sender

_NO_WHOLE_HEAD = "the connection ended before a whole HTTP head came"


class BodyTap(Protocol):
    """What takes the bodies: a session's recording."""

    def http_body(self, sender: Sender, body: bytes) -> None:
        """Take a piece of a body."""


class Gate(asyncio.Protocol):
    """One end of a connection while HTTP is spoken: it holds what came until somebody reads it."""

    transport: asyncio.Transport

    def __init__(self, on_connected: Callable[[Gate], None] | None = None) -> None:
        self.held = bytearray()
        self.eof = False
        self.lost = False
        self.on_lost: Callable[[], None] | None = None
        """Called when the connection is gone, whoever ended it."""
        self._on_connected = on_connected
        self._is_writable = True
        self._changed: asyncio.Event | None = None
        """While somebody waits: a gate lives as long as its session, and two events in it would be 3 KB of each."""

    @property
    def remote_ip(self) -> str | None:
        """Address of the peer."""
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; TCP_NODELAY is asyncio's own default."""
        self.transport = cast("asyncio.Transport", transport)
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._on_connected is not None:
            self._on_connected(self)

    async def open(self) -> None:
        """Get ready to be read; ConnectionError where the peer and we do not come to that."""

    def data_received(self, data: bytes) -> None:
        """Hold what came; what is held is bounded."""
        self.held += data
        if len(self.held) > HEAD_LIMIT:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Note the peer's half-close; the answer can still go out."""
        self.eof = True
        self._wake()
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Wake whoever waits."""
        self.lost = True
        self._wake()
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        """Make `write` wait."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Let `write` go on."""
        self._is_writable = True
        self._wake()

    async def head(self) -> bytes:
        """Wait for a whole HTTP head; ConnectionError where the peer leaves before."""
        searched = 0
        while (head := take_head(self.held, searched)) is None:
            if self.eof or self.lost:
                raise ConnectionError(_NO_WHOLE_HEAD)
            searched = len(self.held)
            await self._change()
        return head

    async def read(self) -> bytes:
        """Wait for bytes; empty at the end."""
        while not self.held and not self.eof and not self.lost:
            if not self.transport.is_closing():
                self.transport.resume_reading()
            await self._change()
        chunk = bytes(self.held)
        self.held.clear()
        return chunk

    async def write(self, chunk: bytes | None) -> None:
        """Write, and wait while the peer is slow."""
        if chunk:
            self.transport.write(chunk)
        while not self._is_writable and not self.lost:
            await self._change()

    async def finish(self, last_words: bytes = b"", *, linger_s: float = 2) -> None:
        """Write the last bytes and close, once the peer has had the chance to read them.

        Closing a socket with unread bytes in it resets the connection, and a reset takes the answer with it.
        """
        if self.lost or self.transport.is_closing():
            return
        self.transport.write(last_words)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(linger_s):
                    while await self.read():
                        pass
        self.close()

    def close(self) -> None:
        """Close, once: a TLS transport of asyncio that is closed twice raises at the next touch."""
        if not self.lost and not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        """Close without a word."""
        if not self.lost:
            self.transport.abort()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


async def final_head(server: Gate, client: Gate) -> tuple[bytes, ResponseHead]:
    """Wait for the head that answers an upgrade; hints that come ahead of it go to the client.

    Raises ConnectionError, ValueError or `BadRequest` where none comes that can be read.
    """
    while True:
        answer = await server.head()
        response = parse_response(answer)
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS or response.status >= HTTPStatus.OK:
            return answer, response
        client.transport.write(answer)


async def keep_body(client: Gate, asked: RequestHead, tap: BodyTap, *, within_s: float) -> None:
    """Record the body of a request that goes nowhere, as far as it comes in time; `asked` is its head."""
    inbound = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
    inbound.receive_data(asked.encode())
    inbound.next_event()
    # Who waits for a 100 Continue sends nothing before it, and shall not.
    if inbound.they_are_waiting_for_100_continue:
        return
    with contextlib.suppress(h11.RemoteProtocolError, TimeoutError):
        async with asyncio.timeout(within_s):
            while isinstance(event := await _next_event(inbound, client), h11.Data):
                tap.http_body("client", bytes(event.data))


class Exchange:
    """One request and its answer: no second request passes, whatever the bytes say."""

    def __init__(
        self,
        client: Gate,
        server: Gate,
        tap: BodyTap,
        on_answer: Callable[[int, list[tuple[str, str]]], None],
    ) -> None:
        """Take both ends, what keeps the bodies, and what is told the answer's status and headers."""
        self.is_answered = False
        """Whether the answer's head has come."""
        self._on_answer = on_answer
        self._client = client
        self._server = server
        self._tap = tap
        self._inbound = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._outbound = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)

    async def run(self, asked: RequestHead, rewritten: RequestHead, *, is_sent: bool = False) -> None:
        """Carry the request up and the answer down; `is_sent` where the rewritten head has gone already.

        Raises ConnectionError or `h11.ProtocolError` where the answer does not come whole.
        """
        self._inbound.receive_data(asked.encode())
        self._inbound.next_event()
        head = self._outbound.send(_as_h11(rewritten))
        if not is_sent:
            await self._server.write(head)
        try:
            async with asyncio.TaskGroup() as tasks:
                upload = tasks.create_task(self._upload(), name="wiretape upload")
                await self._download()
                # An answer that came early makes the rest of the body pointless.
                upload.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _upload(self) -> None:
        try:
            while True:
                event = await _next_event(self._inbound, self._client)
                if isinstance(event, h11.Data):
                    self._tap.http_body("client", bytes(event.data))
                    await self._server.write(self._outbound.send(event))
                else:
                    # The end of the body; what follows on this connection is nobody's.
                    if isinstance(event, h11.EndOfMessage):
                        # Without trailers: they would be headers that no rewriting has seen.
                        await self._server.write(self._outbound.send(h11.EndOfMessage()))
                    return
        except h11.RemoteProtocolError:
            # The body broke off: the endpoint must not take what there is for the whole.
            self._server.transport.abort()

    async def _download(self) -> None:
        while True:
            event = await _next_event(self._outbound, self._server)
            if event is h11.PAUSED:
                raise h11.RemoteProtocolError("the endpoint speaks another protocol")
            if isinstance(event, h11.Data):
                self._tap.http_body("server", bytes(event.data))
            elif isinstance(event, h11.Response):
                event = self._answered(event)
            if isinstance(event, h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage):
                await self._client.write(self._inbound.send(event))
            if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return

    def _answered(self, answer: h11.Response) -> h11.Response:
        raw = answer.headers.raw_items()
        self.is_answered = True
        self._on_answer(answer.status_code, [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
        kept = [pair for pair in raw if pair[0].lower() not in (b"connection", b"keep-alive")]
        return h11.Response(
            status_code=answer.status_code,
            headers=[*kept, (b"Connection", b"close")],
            reason=answer.reason,
        )


async def _next_event(connection: h11.Connection, gate: Gate) -> h11.Event | type[h11.PAUSED]:
    """Give the next event of one end, and read what it takes; ConnectionError where no whole answer's head comes."""
    while (event := connection.next_event()) is h11.NEED_DATA:
        chunk = await gate.read()
        if not chunk and connection.their_state is h11.SEND_RESPONSE:
            raise ConnectionError(_NO_WHOLE_HEAD)
        connection.receive_data(chunk)
    return cast("h11.Event | type[h11.PAUSED]", event)


def _as_h11(head: RequestHead) -> h11.Request:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
    return h11.Request(method=head.method, target=head.path, headers=headers)
