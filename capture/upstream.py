"""Connect to the endpoint: directly, or through the proxy that the environment names for it."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import socket
import ssl
import urllib.request
from _thread import start_new_thread
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import aiohappyeyeballs

from capture.errors import UsageProblem
from capture.exchange import Gate
from capture.handshake import BadRequest, parse_response, take_head
from capture.plain_text import visible
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


class Way:
    """The way to one endpoint: straight, or through the forward proxy that the environment names."""

    def __init__(self, target: Target) -> None:
        """Read the environment, once; `UsageProblem` where the proxy that it names cannot be used."""
        self.proxy = find_proxy(target)
        """None where the target is reached directly."""
        self._target = target
        named = self.proxy or target
        self._addresses = _Addresses(named.host, named.port)

    async def open_socket(self) -> socket.socket:
        """Connect; OSError where the endpoint, or the proxy before it, cannot be reached."""
        try:
            self._target.host.encode("idna")
        except UnicodeError as error:
            # Of names that cannot be asked for: a part of them is empty or too long.
            raise ConnectionError(f"{self._target.host} is no name of a host: {error}") from error
        if self.proxy is None:
            return await self._addresses.open_socket()
        try:
            opened = await self._addresses.open_socket()
        except OSError as error:
            raise TunnelRefused(f"the proxy {self.proxy} cannot be reached: {error}") from error
        try:
            await self._ask_for_tunnel(opened, self.proxy)
        except BaseException:
            opened.close()
            raise
        return opened

    async def _ask_for_tunnel(self, opened: socket.socket, proxy: ForwardProxy) -> None:
        credential = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        authority = _authority(self._target.host, self._target.port)
        head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credential}\r\n"
        try:
            await asyncio.get_running_loop().sock_sendall(opened, head.encode("latin-1"))
            answer, rest = await _read_head(opened)
            status = parse_response(answer).status
        except (OSError, ValueError, BadRequest) as error:
            raise TunnelRefused(f"the proxy {proxy} gave no answer to CONNECT: {error}") from error
        if not 200 <= status < 300:
            # It goes on to the client, in our own words: escapes in it must not steer a terminal.
            said = visible(answer.partition(b"\n")[0].rstrip(b"\r").decode("latin-1").partition(" ")[2])
            raise TunnelRefused(f"the proxy {proxy} refused CONNECT with {said}")
        if rest:
            # Through a tunnel it is the client who speaks first.
            raise TunnelRefused(f"the proxy {proxy} answered CONNECT with more than its answer")


class Upstream:
    """Opens connections to one target."""

    def __init__(self, target: Target, *, shutdown_s: float) -> None:
        """Read the environment, once; `UsageProblem` where the proxy that it names cannot be used."""
        # Honours SSL_CERT_FILE and SSL_CERT_DIR.
        self._tls = ssl.create_default_context() if target.is_tls else None
        self._target = target
        self._shutdown_s = shutdown_s
        self._way = Way(target)

    @property
    def proxy(self) -> ForwardProxy | None:
        """Forward proxy before the target; None where it is reached directly."""
        return self._way.proxy

    async def connect(self) -> Gate:
        """Open a connection, TLS included; OSError where the target, or the proxy before it, cannot be reached."""
        opened = await self._way.open_socket()
        _, gate = await asyncio.get_running_loop().create_connection(
            Gate,
            sock=opened,
            ssl=self._tls,
            server_hostname=self._target.host if self._tls else None,
            ssl_shutdown_timeout=self._shutdown_s if self._tls else None,
        )
        return gate

    def remote_ip(self, server: Gate) -> str | None:
        """Address of the endpoint; None behind a proxy, which alone knows it."""
        return server.remote_ip if self.proxy is None else None


def find_proxy(target: Target) -> ForwardProxy | None:
    """Choose the proxy for a target, by the names that other programs read too.

    `wss_proxy` or `https_proxy` for wss targets; for ws targets `ws_proxy`, `https_proxy` or `http_proxy`; none for
    what `no_proxy` exempts. Either case. Raises `UsageProblem` for a proxy that speaks something else than HTTP.
    """
    named = urllib.request.getproxies()
    # As the library has it: an IPv6 address without brackets.
    if urllib.request.proxy_bypass(f"{target.host}:{target.port}") or any(
        _exempts(entry, target.host, target.port) for entry in re.split(r"[,\s]+", named.get("no", ""))
    ):
        return None
    schemes = ("wss", "socks", "https") if target.is_tls else ("ws", "socks", "https", "http")
    return next((_parse(named[scheme], scheme) for scheme in schemes if named.get(scheme)), None)


def _exempts(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of `no_proxy` is meant for a host, in the forms that only other programs know.

    Networks (curl, Go, requests), `*.corp.test` (Go), addresses in brackets (curl, Go).
    """
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    authority = _authority(host, port)
    if entry.startswith("*."):
        return host.endswith(entry[1:].lower()) or authority.endswith(entry[1:].lower())
    return entry.lower() == authority


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
        if not host or "@" in f"{parts.path}{parts.query}{parts.fragment}":
            # The latter: the password ended the host's part, and what came before is no host.
            raise ValueError("it names no host")
        host.encode("idna")
    except ValueError as error:
        raise UsageProblem(
            f"{variable} is no URL of a proxy: write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with"
            " / ? # @ of a password as %2F %3F %23 %40"
        ) from error
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
    # A password that is not UTF-8 is sent in the bytes in which the environment has it.
    return f"Basic {base64.b64encode(pair.encode(errors='surrogateescape')).decode()}"


async def _read_head(opened: socket.socket) -> tuple[bytes, bytes]:
    buffer, loop = bytearray(), asyncio.get_running_loop()
    searched = 0
    while (head := take_head(buffer, searched)) is None:
        searched = len(buffer)
        piece = await loop.sock_recv(opened, 4096)
        if not piece:
            raise ConnectionError("it hung up")
        buffer += piece
    return head, bytes(buffer)


class _Addresses:
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
            try:
                # No `Thread`: its `start` waits until it runs. Where memory is short it never does, and all calls stop.
                start_new_thread(self._ask, (self._asked,))
            except RuntimeError as error:
                self._asked.set_exception(OSError(f"{self._host} cannot be looked up: {error}"))
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
