"""Connect to the endpoint: directly, or through the proxy that the environment names for it."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

import aiohappyeyeballs

from capture.errors import UsageProblem
from capture.exchange import Gate
from capture.handshake import BadRequest, parse_response
from capture.targets import Target

_OTHER_FAMILY_AFTER_S = 0.25
"""How long one address family may take before the other is tried too (RFC 8305)."""
_ASKED_AGAIN_AFTER_S = 1.0
"""How long those who want a host's addresses wait for the same answer; who comes later asks anew."""


@dataclass(frozen=True)
class ForwardProxy:
    """An HTTP proxy that opens tunnels (`CONNECT`)."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    """Value of `Proxy-Authorization`; never logged, never recorded."""

    def __str__(self) -> str:
        return _authority(self.host, self.port)


class TunnelRefused(ConnectionError):
    """The forward proxy opens no tunnel to the endpoint."""


class Upstream:
    """Opens connections to one target."""

    def __init__(self, target: Target, *, shutdown_s: float) -> None:
        """Read the environment, once; `UsageProblem` where the proxy that it names cannot be used."""
        self.proxy = find_proxy(target)
        """None where the target is reached directly."""
        # Honours SSL_CERT_FILE and SSL_CERT_DIR.
        self._tls = ssl.create_default_context() if target.is_tls else None
        self._target = target
        self._shutdown_s = shutdown_s
        named = self.proxy or target
        self._addresses = Addresses(named.host, named.port)

    async def connect(self) -> Gate:
        """Open a connection, TLS included; OSError where the target, or the proxy before it, cannot be reached."""
        try:
            return await (self._straight() if self.proxy is None else self._tunnel(self.proxy))
        except UnicodeError as error:
            # Of names that cannot be asked for: a part of them is empty or too long.
            raise ConnectionError(f"{self._target.host} is no name of a host: {error}") from error

    async def _straight(self) -> Gate:
        found = await self._addresses.open_socket()
        _, gate = await asyncio.get_running_loop().create_connection(
            Gate,
            sock=found,
            ssl=self._tls,
            server_hostname=self._target.host if self._tls else None,
            ssl_shutdown_timeout=self._shutdown_s if self._tls else None,
        )
        return gate

    def remote_ip(self, server: Gate) -> str | None:
        """Address of the endpoint; None behind a proxy, which alone knows it."""
        return server.remote_ip if self.proxy is None else None

    async def _tunnel(self, proxy: ForwardProxy) -> Gate:
        try:
            found = await self._addresses.open_socket()
        except OSError as error:
            raise TunnelRefused(f"the proxy {proxy} cannot be reached: {error}") from error
        _, gate = await asyncio.get_running_loop().create_connection(Gate, sock=found)
        try:
            await self._ask_for_tunnel(gate, proxy)
            return gate if self._tls is None else await self._start_tls(gate, self._tls)
        except BaseException:
            gate.transport.abort()
            raise

    async def _ask_for_tunnel(self, gate: Gate, proxy: ForwardProxy) -> None:
        authority = _authority(self._target.host, self._target.port)
        credential = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        gate.transport.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credential}\r\n".encode("latin-1"))
        try:
            answer = await gate.head()
            status = parse_response(answer).status
        except (ConnectionError, ValueError, BadRequest) as error:
            raise TunnelRefused(f"the proxy {proxy} gave no answer to CONNECT: {error}") from error
        if not 200 <= status < 300:
            said = answer.split(b"\r\n")[0].decode("latin-1").partition(" ")[2]
            raise TunnelRefused(f"the proxy {proxy} refused CONNECT with {said}")

    async def _start_tls(self, plain: Gate, tls: ssl.SSLContext) -> Gate:
        gate = Gate()
        transport = await asyncio.get_running_loop().start_tls(
            plain.transport,
            gate,
            tls,
            server_hostname=self._target.host,
            ssl_shutdown_timeout=self._shutdown_s,
        )
        gate.connection_made(cast("asyncio.BaseTransport", transport))
        return gate


def find_proxy(target: Target) -> ForwardProxy | None:
    """Choose the proxy for a target as `websockets` does, so that calls and replays take the same way.

    `wss_proxy` or `https_proxy` for wss targets; for ws targets `ws_proxy`, `https_proxy` or `http_proxy`; none for
    the hosts in `no_proxy`. Either case. Raises `UsageProblem` for a proxy that speaks something else than HTTP.
    """
    # The library's own function moved between its releases and is not public.
    # As it does: an IPv6 address without brackets.
    if urllib.request.proxy_bypass(f"{target.host}:{target.port}"):
        return None
    named = urllib.request.getproxies()
    schemes = ("wss", "socks", "https") if target.is_tls else ("ws", "socks", "https", "http")
    return next((_parse(named[scheme], scheme) for scheme in schemes if named.get(scheme)), None)


def check_way(target: Target) -> None:
    """Raise `UsageProblem` where no call to a target can come about: its key is not set, or its proxy is of no use."""
    target.credential_headers()
    find_proxy(target)


def _parse(url: str, scheme: str) -> ForwardProxy:
    # The URL may hold a password: it is never quoted.
    variable = f"{scheme}_proxy".upper()
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
        if not host:
            raise ValueError("it names no host")
        host.encode("idna")
    except ValueError as error:
        raise UsageProblem(f"{variable} is no URL of a proxy: write http://HOST:PORT") from error
    if scheme == "socks" or parts.scheme != "http":
        raise UsageProblem(
            f"{variable} names a proxy of kind {parts.scheme or scheme}, and only http://HOST:PORT is spoken here;"
            " name such a one, or exempt the endpoint with NO_PROXY"
        )
    return ForwardProxy(host, port, _basic(parts))


def _basic(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


class Addresses:
    """The addresses of a host, asked for with each connection, on threads that nobody waits for.

    A name server that does not answer takes half a minute. The loop's own threads would be waited for at its end: a
    proxy or a replay that is to end would go on until it is killed.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._asked: asyncio.Future[list[Any]] | None = None
        self._asked_at_s = 0.0

    async def open_socket(self) -> socket.socket:
        """Connect to the first of them that answers; OSError where none does."""
        # Not left to `create_connection`: uvloop's tries one address family only after the other has failed.
        addresses = await asyncio.shield(self._look_up())
        return await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_OTHER_FAMILY_AFTER_S)

    def _look_up(self) -> asyncio.Future[list[Any]]:
        loop = asyncio.get_running_loop()
        # A burst of calls asks once.
        if self._asked is None or self._asked.done() or loop.time() - self._asked_at_s > _ASKED_AGAIN_AFTER_S:
            self._asked, self._asked_at_s = loop.create_future(), loop.time()
            threading.Thread(target=self._ask, args=(self._asked,), name="wiretape lookup", daemon=True).start()
        return self._asked

    def _ask(self, asked: asyncio.Future[list[Any]]) -> None:
        try:
            settle = partial(asked.set_result, socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
            settle = partial(asked.set_exception, error)
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            asked.get_loop().call_soon_threadsafe(settle)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
