"""Record a connection of our own: connect with a tap on the connection; call and replay record through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from capture import __version__
from capture.errors import EndpointRefused
from capture.recorder import SessionRecording
from capture.recording.facts import ClosedBy, SessionEnd
from capture.redaction import redact_headers, redact_text, redact_url
from capture.tap import Tap, TappedConnection

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
    # Who holds the connection may have more to say of its end than the tap.
    tap = Tap(lambda: recording)
    try:
        return await _Connect(
            url,
            create_connection=cast("type[ClientConnection]", partial(TappedConnection, tap=tap)),
            additional_headers=headers,
            user_agent_header=USER_AGENT,
            subprotocols=None if subprotocols is None else [Subprotocol(name) for name in subprotocols],
            compression=compression,
            open_timeout=open_timeout_s,
            # Who connects here waits for what is due by clocks of their own. An endpoint that answers no ping would be
            # closed with 1011, and the recording would lay that to the endpoint.
            ping_timeout=None,
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
            # Endpoints repeat the key that they refuse, and this is printed.
            body=redact_text(bytes(body).decode("utf-8", "replace")),
            headers={name.lower(): value for name, value in redact_headers(refusal.response.headers.raw_items())},
        ) from refusal
    except TimeoutError as error:
        raise EndpointRefused(redact_url(url), f"gave no answer within {open_timeout_s:g} s") from error
    except (OSError, UnicodeError) as error:
        # The latter of a host's name that cannot be asked for.
        raise EndpointRefused(redact_url(url), f"cannot be reached: {error}") from error
    except InvalidHandshake as error:
        raise EndpointRefused(redact_url(url), f"opened no WebSocket: {error}") from error


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


class _Connect(connect):
    """Follows no redirect: it would carry the credential to another host, and hide where the session was held."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc
