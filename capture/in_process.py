"""Record a connection of our own: connect with a tap on the connection; call and replay record through it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from capture import __version__
from capture.connection import header_map
from capture.errors import EndpointRefused
from capture.recorder import SessionRecording
from capture.recording.facts import ClosedBy, SessionEnd, answer_words
from capture.redaction import redact_headers, redact_text, redact_url
from capture.tap import Tap, TappedConnection
from capture.targets import Target
from capture.upstream import Way

USER_AGENT = f"wiretape/{__version__}"
STALLED_S = 30.0
"""An endpoint that takes nothing of what was sent for so long is gone, though its connection stands."""
_LOOKS = 10
_GOING_AWAY = 1001
_GOODBYE_S = 10.0


@asynccontextmanager
async def connect_recorded(
    url: str,
    *,
    recording: SessionRecording,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    subprotocols: Sequence[str] | None = None,
    compression: str | None = None,
    open_timeout_s: float = 10,
) -> AsyncIterator[TappedConnection]:
    """Connect to a WebSocket endpoint, with every byte recorded; the recording ends with the connection.

    The caller may close the connection and end the recording itself, to say more in its `SessionEnd`. It is dropped
    where the endpoint takes nothing more for `STALLED_S`: sends would wait without end, and goodbyes as well.
    Raises `EndpointRefused` where the endpoint cannot be reached or refuses the upgrade, recorded as well.
    """
    closed_by: ClosedBy | None = None
    end_reason: str | None = None
    try:
        connection = await _open(url, recording, headers, subprotocols, compression, open_timeout_s)
        with _dropped_when_stalled(connection):
            async with connection:
                try:
                    yield connection
                except asyncio.CancelledError:
                    # Left to `websockets` it would be 1011, as if something had failed here.
                    await say_goodbye(connection, _GOING_AWAY)
                    raise
                finally:
                    closed_by = connection.let_go_by
    except asyncio.CancelledError:
        closed_by, end_reason = "recorder", "interrupted"
        raise
    except Exception as error:
        end_reason = str(error) or type(error).__name__
        raise
    finally:
        recording.end(SessionEnd(offset_ns=recording.now_ns(), closed_by=closed_by, end_reason=end_reason))


async def say_goodbye(connection: TappedConnection, code: int) -> None:
    """Close a connection; one whose other end takes nothing any more is dropped instead."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await connection.close(code)
    except TimeoutError:
        connection.transport.abort()


@contextmanager
def _dropped_when_stalled(connection: TappedConnection) -> Iterator[None]:
    watch = _Watch(connection)
    try:
        yield
    finally:
        watch.stop()


class _Watch:
    """Drops a connection whose other end takes nothing more.

    What counts is not how long a send takes: a message of many megabytes is long on its way over a slow line.
    """

    def __init__(self, connection: TappedConnection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._taken = -1
        self._looks_in_vain = 0
        self._look()

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        connection = self._connection
        if not connection.untaken_bytes or connection.taken_bytes != self._taken:
            self._taken, self._looks_in_vain = connection.taken_bytes, 0
        elif self._looks_in_vain < _LOOKS:
            # Counted and not measured: a machine that slept for an hour was not at it for an hour.
            self._looks_in_vain += 1
        else:
            connection.has_stalled = True
            connection.transport.abort()
            return
        self._timer = self._loop.call_later(STALLED_S / _LOOKS, self._look)


async def _open(
    url: str,
    recording: SessionRecording,
    headers: Mapping[str, str] | Sequence[tuple[str, str]],
    subprotocols: Sequence[str] | None,
    compression: str | None,
    open_timeout_s: float,
) -> TappedConnection:
    way = Way(Target(redact_url(url), url))
    # Who holds the connection may have more to say of its end than the tap.
    tap = Tap(lambda: recording, is_direct=way.proxy is None)
    try:
        async with asyncio.timeout(open_timeout_s):
            return await _connect(url, await way.open_socket(), tap, headers, subprotocols, compression)
    except InvalidStatus as refusal:
        recording.http_body("server", bytes(refusal.response.body or b""))
        raise _refused(url, refusal.response) from refusal
    except TimeoutError as error:
        through = "" if way.proxy is None else f" through the proxy {way.proxy}"
        raise EndpointRefused(redact_url(url), f"gave no answer{through} within {open_timeout_s:g} s") from error
    except ssl.SSLCertVerificationError as error:
        hint = "where an authority of your own signed it, name that one's certificate in SSL_CERT_FILE"
        reason = f"shows a certificate that is not trusted: {error.verify_message}; {hint}"
        raise EndpointRefused(redact_url(url), reason) from error
    except (OSError, UnicodeError) as error:
        # The latter of a host's name that cannot be asked for.
        reason = str(error) or "it hung up before the connection stood"
        raise EndpointRefused(redact_url(url), f"cannot be reached: {reason}") from error
    except InvalidHandshake as error:
        raise EndpointRefused(redact_url(url), f"opened no WebSocket: {error}") from error
    except ConnectionClosed as error:
        # Of one that hangs up before it is asked for anything.
        raise EndpointRefused(redact_url(url), "cannot be reached: it hung up before the connection stood") from error


async def _connect(
    url: str,
    opened: socket.socket,
    tap: Tap,
    headers: Mapping[str, str] | Sequence[tuple[str, str]],
    subprotocols: Sequence[str] | None,
    compression: str | None,
) -> TappedConnection:
    connection = await _Connect(
        url,
        # Not left to the library, whose look-ups nothing ends: who gives up would wait for the name server.
        sock=opened,
        create_connection=cast("type[ClientConnection]", partial(TappedConnection, tap=tap)),
        additional_headers=headers,
        user_agent_header=USER_AGENT,
        subprotocols=None if subprotocols is None else [Subprotocol(name) for name in subprotocols],
        compression=compression,
        open_timeout=None,
        # Who connects here waits for what is due by clocks of their own. An endpoint that answers no ping would be
        # closed with 1011, and the recording would lay that to the endpoint.
        ping_timeout=None,
        # A message of the Realtime API may be far larger than the library's 1 MiB.
        max_size=None,
    )
    return cast("TappedConnection", connection)


def _refused(url: str, response: Response) -> EndpointRefused:
    headers = header_map(redact_headers(response.headers.raw_items()))
    return EndpointRefused(
        redact_url(url),
        # No redirect is followed (see `_Connect`): where it leads is what a target has to be changed to.
        f"refused the session with {answer_words(response.status_code, headers)}",
        status=response.status_code,
        # Endpoints repeat the key that they refuse, and this is printed.
        body=redact_text(bytes(response.body or b"").decode("utf-8", "replace")),
        headers=headers,
    )


class _Connect(connect):
    """Follows no redirect: it would carry the credential to another host, and hide where the session was held."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc
