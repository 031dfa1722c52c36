"""Clients over TLS: their handshake is waited for like a request, and not by the loop's server, out of reach."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from capture.exchange import Gate


@dataclass(frozen=True)
class ServerTls:
    """What clients are met with."""

    context: Callable[[], ssl.SSLContext]
    """Gives the context for the next client: a certificate may be renewed."""
    handshake_s: float
    shutdown_s: float


class TlsDoor(asyncio.Protocol):
    """A connection that a server has accepted, handed on as a socket before a byte of it is read.

    A server with a context of its own tells of a client only once the handshake is done, and upgrading a transport
    loses on uvloop what came before.
    """

    def __init__(self, tls: ServerTls, on_client: Callable[[Gate], None]) -> None:
        self._tls = tls
        self._on_client = on_client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand it on; the transport lets go of it."""
        try:
            plain = transport.get_extra_info("socket").dup()
        except OSError as error:
            context = {"message": "a client's socket cannot be duplicated", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        else:
            self._on_client(TlsGate(plain, self._tls))
        finally:
            cast("asyncio.Transport", transport).abort()


class TlsGate(Gate):
    """A client's end whose TLS handshake is still to be made."""

    def __init__(self, plain: socket.socket, tls: ServerTls) -> None:
        super().__init__()
        self._plain = plain
        self._tls = tls
        self._has_begun = False

    async def open(self) -> None:
        """Shake hands; ConnectionError where that fails."""
        self._has_begun = True
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self,
                self._plain,
                ssl=self._tls.context(),
                ssl_handshake_timeout=self._tls.handshake_s,
                ssl_shutdown_timeout=self._tls.shutdown_s,
            )
        except BaseException as error:
            self.lost = True
            # It holds frames that hold it, and they 256 KB of asyncio's, until the collector comes, which is seldom.
            error.__traceback__ = None
            if isinstance(error, OSError):
                raise ConnectionError(f"no TLS handshake: {error}") from error
            raise

    async def finish(self, last_words: bytes = b"", *, linger_s: float = 2) -> None:
        """Finish as any gate does, and stay until the peer has said goodbye too or the loop gives it up.

        A client that never does has its socket until then, and is counted with all others.
        """
        await super().finish(last_words, linger_s=linger_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._tls.shutdown_s):
                # The end of a session is the splice's to see.
                while not self.lost and self.transport.get_protocol() is self:
                    await self._change()

    def abort(self) -> None:
        """Close without a word, also in the middle of the handshake."""
        if self.lost or hasattr(self, "transport"):
            super().abort()
            return
        # Once the handshake has begun the socket is the loop's: it sees the end, and closes it.
        with contextlib.suppress(OSError):
            self._plain.shutdown(socket.SHUT_RDWR)
        if not self._has_begun:
            self._plain.close()
