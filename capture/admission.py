"""Who may call: clients with the token; without one, nobody whom a web page from elsewhere sends; pure."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Generic, TypeVar
from urllib.parse import unquote, unquote_plus, urlsplit

from capture.handshake import KEY_SUBPROTOCOL, BadRequest, RequestHead, header_values, query_pairs
from capture.redaction import is_credential_name

_BEARER = "bearer "
_KEY_IS_NOT_LENT = (
    "the target's key is not lent to web pages of other hosts; start the proxy with WIRETAPE_CLIENT_TOKEN,"
    " and have the client send that token as its API key"
)
# Nobody can register a name under these, nor one without a dot (RFC 6761, RFC 8375, ICANN's .internal).
_PRIVATE_DOMAINS = (".localhost", ".internal", ".local", ".home.arpa", ".test")


_Client = TypeVar("_Client")


class WaitingRoom(Generic[_Client]):
    """Clients whose request has not come, so that those that never send one use up nobody's files."""

    def __init__(self, places: int, patience_s: float) -> None:
        self._places = places
        self._patience_s = patience_s
        self._came_s: dict[_Client, float] = {}

    def enter(self, client: _Client, now_s: float, *, is_full: bool = False) -> _Client | None:
        """Let a client in; gives the one that has to go for it, where there is one.

        `is_full` says that there is no room for one more, however many of those that have it wait here.
        """
        self._came_s[client] = now_s
        oldest, came_s = next(iter(self._came_s.items()))
        is_crowded = is_full or len(self._came_s) > self._places
        # A burst of calls sends at once: only who has had the time to has to go.
        if not is_crowded or now_s - came_s < self._patience_s:
            return None
        self.leave(oldest)
        return oldest

    def leave(self, client: _Client) -> None:
        """Let a client out, as often as one likes."""
        self._came_s.pop(client, None)


def client_credentials(request: RequestHead) -> list[str]:
    """List every key that a client's request holds, wherever it may stand."""
    bearer = [_without_scheme(value) for value in header_values(request.headers, "authorization")]
    keys = header_values(request.headers, "api-key") + header_values(request.headers, "x-api-key")
    subprotocols = [
        token.strip().removeprefix(KEY_SUBPROTOCOL)
        for value in header_values(request.headers, "sec-websocket-protocol")
        for token in value.split(",")
        if token.strip().startswith(KEY_SUBPROTOCOL)
    ]
    query = [
        _without_scheme(unquote(value))
        for name, _, value in query_pairs(request.path)
        if is_credential_name(unquote_plus(name))
    ]
    return bearer + keys + subprotocols + query


def is_authorized(request: RequestHead, client_token: str) -> bool:
    """Tell whether a client's request holds the token, compared in constant time; an empty token admits nobody."""
    # One that is not UTF-8 is compared in the bytes in which the environment has it.
    expected = client_token.encode(errors="surrogateescape")
    return bool(expected) and any(
        hmac.compare_digest(spelled, expected) for key in client_credentials(request) for spelled in _spellings(key)
    )


def refuse_web_pages(request: RequestHead, reason: str = _KEY_IS_NOT_LENT) -> None:
    """Raise `BadRequest` with this reason where a web page that does not come from this machine sends the request.

    A browser lets any page open a WebSocket to this machine, and a page whose own name resolves to it (DNS
    rebinding) read every answer too: where no token is asked for, both would use the target's key.
    """
    host = _host(f"//{_first(request, 'host')}")
    page = _first(request, "origin")
    is_own_page = not page or (page.startswith("http") and (_host(page) == host or _is_loopback(_host(page))))
    if not (_is_private(host) and is_own_page):
        raise BadRequest(403, reason)


def _host(url: str) -> str:
    """Name the host; none for `null`, which any page can have as its origin."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_private(host: str) -> bool:
    # No page comes by the name of an address, nor by one that nobody can register.
    return bool(host) and ("." not in host or host.endswith(_PRIVATE_DOMAINS) or _address(host) is not None)


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _first(request: RequestHead, name: str) -> str:
    return next(iter(header_values(request.headers, name)), "").strip()


def _without_scheme(value: str) -> str:
    is_bearer = value[: len(_BEARER)].lower() == _BEARER
    return (value[len(_BEARER) :] if is_bearer else value).strip()


def _spellings(key: str) -> list[bytes]:
    # A header's bytes come as Latin-1 whatever they are; a query's have been decoded from UTF-8.
    return [key.encode("utf-8", "replace"), key.encode("latin-1", "replace")]
