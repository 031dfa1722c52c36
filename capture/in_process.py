"""Record a connection of our own: a tap on a `websockets` client; call and replay record through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from capture import __version__
from capture.errors import EndpointRefused
from capture.handshake import BadRequest, parse_request, parse_response, take_head
from capture.recorder import SessionRecording
from capture.recording.facts import ClosedBy, HandshakeRequest, HandshakeResponse, SessionEnd
from capture.redaction import redact_headers, redact_url

USER_AGENT = f"wiretape/{__version__}"
_GOING_AWAY = 1001


@asynccontextmanager
async def connect_recorded(
    url: str,
    *,
    recording: SessionRecording,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    subprotocols: Sequence[str] | None = None,
    compression: str | None = None,
    open_timeout_s: float = 10,
) -> AsyncIterator[ClientConnection]:
    """Connect to a WebSocket endpoint, with every byte recorded; the recording ends with the connection.

    The caller may close the connection and end the recording itself, to say more in its `SessionEnd`.
    Raises `EndpointRefused` where the endpoint cannot be reached or refuses the upgrade, recorded as well.
    """
    closed_by: ClosedBy | None = None
    end_reason: str | None = None
    try:
        connection = await _open(url, recording, headers, subprotocols, compression, open_timeout_s)
        async with connection:
            try:
                yield connection
            except asyncio.CancelledError:
                # Left to `websockets` it would be 1011, as if something had failed here.
                await connection.close(_GOING_AWAY)
                raise
    except asyncio.CancelledError:
        closed_by, end_reason = "recorder", "interrupted"
        raise
    except Exception as error:
        end_reason = str(error) or type(error).__name__
        raise
    finally:
        recording.end(SessionEnd(offset_ns=recording.now_ns(), closed_by=closed_by, end_reason=end_reason))


async def _open(
    url: str,
    recording: SessionRecording,
    headers: Mapping[str, str] | Sequence[tuple[str, str]],
    subprotocols: Sequence[str] | None,
    compression: str | None,
    open_timeout_s: float,
) -> ClientConnection:
    try:
        return await _Connect(
            url,
            create_connection=cast("type[ClientConnection]", partial(_TappedConnection, recording=recording)),
            additional_headers=headers,
            user_agent_header=USER_AGENT,
            subprotocols=None if subprotocols is None else [Subprotocol(name) for name in subprotocols],
            compression=compression,
            open_timeout=open_timeout_s,
            # A message of the Realtime API may be far larger than the library's 1 MiB.
            max_size=None,
        )
    except InvalidStatus as refusal:
        status, body = refusal.response.status_code, refusal.response.body or b""
        recording.http_body("server", bytes(body))
        raise EndpointRefused(
            redact_url(url),
            f"refused the session with HTTP {status} {_phrase(status)}".rstrip(),
            status=status,
            body=bytes(body).decode("utf-8", "replace"),
        ) from refusal
    except TimeoutError as error:
        raise EndpointRefused(redact_url(url), f"gave no answer within {open_timeout_s:g} s") from error
    except OSError as error:
        raise EndpointRefused(redact_url(url), f"cannot be reached: {error}") from error
    except InvalidHandshake as error:
        raise EndpointRefused(redact_url(url), f"opened no WebSocket: {error}") from error


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


class _Connect(connect):
    """Follows no redirect: it would carry the credential to another host, and hide where the session was held."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _TappedConnection(ClientConnection):
    """Copies the bytes of both directions into a recording: the heads as facts, the rest as it went."""

    def __init__(self, *arguments: Any, recording: SessionRecording, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._recording = recording
        self._sent_head = bytearray()
        self._received_head = bytearray()
        self._is_upgraded = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast("asyncio.BaseTransport", _TappedTransport(transport, self)))

    def data_received(self, data: bytes) -> None:
        if self._is_upgraded:
            self._recording.bytes("server", data)
        else:
            # An answer that is no HTTP is for `websockets` to refuse, in its own words.
            with suppress(BadRequest, ValueError):
                self._take_answer(data)
        super().data_received(data)

    def sent(self, chunk: bytes) -> None:
        """Take a copy of bytes that were handed to the transport."""
        if self._is_upgraded:
            self._recording.bytes("client", chunk)
        else:
            self._take_request(chunk)

    def _take_request(self, chunk: bytes) -> None:
        self._sent_head += chunk
        head = take_head(self._sent_head)
        if head is None:
            return
        request = parse_request(head)
        self._recording.fact(
            HandshakeRequest(
                offset_ns=self._recording.now_ns(),
                method=request.method,
                path=redact_url(request.path),
                headers=redact_headers(request.headers),
                remote_ip=self._remote_ip,
            )
        )

    def _take_answer(self, chunk: bytes) -> None:
        self._received_head += chunk
        head = take_head(self._received_head)
        if head is None:
            return
        response = parse_response(head)
        self._recording.fact(
            HandshakeResponse(
                offset_ns=self._recording.now_ns(),
                status=response.status,
                headers=redact_headers(response.headers),
                remote_ip=self._remote_ip,
            )
        )
        # Of a refused upgrade the body is taken once `websockets` has it whole.
        self._is_upgraded = response.status == HTTPStatus.SWITCHING_PROTOCOLS
        if self._is_upgraded and self._received_head:
            self._recording.bytes("server", bytes(self._received_head))

    @property
    def _remote_ip(self) -> str | None:
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else None


class _TappedTransport:
    """Stands before a transport and shows what is written to it; all else goes straight through."""

    def __init__(self, transport: Any, connection: _TappedConnection) -> None:
        self._transport = transport
        self._connection = connection

    def write(self, chunk: Any) -> None:
        self._transport.write(chunk)
        self._connection.sent(bytes(chunk))

    def writelines(self, chunks: Any) -> None:
        whole = b"".join(chunks)
        self._transport.write(whole)
        self._connection.sent(whole)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
