"""Listen as an endpoint of the Realtime API does: the subprotocol, long messages, and no noise about port probes."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from capture.errors import UsageProblem

_MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""15 MiB of audio in base64, and room around it."""
_SUBPROTOCOL = Subprotocol("realtime")
_FAREWELL_S = 2.0
"""How long clients may take to answer the close at the end."""
_logger = logging.getLogger(__name__)


class QuietHandshakes(logging.Filter):
    """Tells handshakes that came to nothing in one line: port probes are no faults of ours.

    A plain request that was answered is none of them: nothing is told of it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record of a failed handshake; pass all others on as they are."""
        if record.msg == "opening handshake failed" and record.exc_info:
            if getattr(getattr(record, "websocket", None), "was_plain", False):
                return False
            record.msg, record.args = "a handshake failed: %s", (record.exc_info[1],)
            record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        return True


_logger.addFilter(QuietHandshakes())


class ToldConnection(ServerConnection):
    """Tells the log that a handshake came to nothing, as websockets itself did before version 17."""

    async def handshake(self, *arguments: Any, **options: Any) -> None:
        """Perform the opening handshake."""
        await super().handshake(*arguments, **options)
        # Before, this was raised by now, and told.
        if self.protocol.handshake_exc is not None:
            self.logger.error("opening handshake failed", exc_info=self.protocol.handshake_exc)


@asynccontextmanager
async def listen(
    talk: Callable[[ServerConnection], Awaitable[None]],
    address: tuple[str, int],
    *,
    create_connection: Callable[..., ServerConnection] = ToldConnection,
    **options: Any,
) -> AsyncIterator[str]:
    """Have `talk` serve every client until the block is left; give the origin, `ws://HOST:PORT`.

    `options` are those of `websockets.serve`. Raises `UsageProblem` where the address cannot be listened on.
    """
    host, port = address
    # Noted here: a server of websockets tells only those that are open, and keeps all of them under another name in
    # each version.
    connected: weakref.WeakSet[ServerConnection] = weakref.WeakSet()

    def connect(*arguments: Any, **more: Any) -> ServerConnection:
        connection = create_connection(*arguments, **more)
        connected.add(connection)
        return connection

    listening = serve(
        talk,
        host,
        port,
        create_connection=cast("type[ServerConnection]", connect),
        select_subprotocol=_select_subprotocol,
        max_size=_MAX_MESSAGE_BYTES,
        logger=_logger,
        **options,
    )
    try:
        server = await listening
    except OSError as error:
        raise UsageProblem(f"cannot listen on {host}:{port} ({error.strerror}): take another --listen") from error
    except OverflowError as error:
        # Of several regions with ports of their own the last ones may lie beyond.
        raise UsageProblem(f"there is no port {port}: take a lower --listen") from error
    bound = next(iter(server.sockets)).getsockname()[1]
    try:
        yield f"ws://{f'[{host}]' if ':' in host else host}:{bound}"
    finally:
        await _end(server, connected)


async def _end(server: Server, connected: Iterable[ServerConnection]) -> None:
    # A client that stands at a breakpoint takes neither what is being sent nor a close, and one that has asked for
    # nothing yet has 10 s to do so: websockets waits on.
    server.close()
    try:
        async with asyncio.timeout(_FAREWELL_S):
            await server.wait_closed()
    except TimeoutError:
        for connection in list(connected):
            connection.transport.abort()
        await server.wait_closed()


def _select_subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # Browsers send their key as another subprotocol beside it; only this one is ever answered.
    return _SUBPROTOCOL if _SUBPROTOCOL in offered else None
