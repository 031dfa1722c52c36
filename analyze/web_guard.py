"""Who may open the browser's page and its socket: pure, over the headers of a request."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest


class Guard:
    """Decides who may come in: who has the token of the address, or the cookie that it was changed for.

    A loopback port is open to every page in the user's browser and to every user of the machine. A page from
    elsewhere has another origin, or (by DNS) another host; another user does not know the token.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        """Take the address that is listened on, as a URL spells it, and the token."""
        self.token = token
        self.host = f"{host}:{port}"
        """What is listened on, as the `Host` of a request has it."""
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", host)}
        # Browsers keep one jar of cookies for all ports of a host: two of these servers must not share one.
        self.cookie = f"wiretape-{port}"

    def refusal(self, headers: Mapping[str, str], token: str | None) -> str | None:
        """Say why a request is refused; None: it may come in."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if host not in self.hosts or (origin is not None and origin != f"http://{host}"):
            return "this page is for this machine only"
        known = token if token is not None else _cookie_in(headers.get("Cookie", ""), self.cookie)
        # What was no UTF-8 comes with surrogates.
        if not compare_digest(known.encode(errors="replace"), self.token.encode()):
            return "open the address that wiretape printed, with its token"
        return None


def _cookie_in(header: str, wanted: str) -> str:
    # Not with `http.cookies`: it reads none where one is odd, and a host's other servers put theirs here too.
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return next((value for name, _, value in pairs if name == wanted), "")
