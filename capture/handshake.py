"""HTTP heads, pure: read a request or an answer, rewrite a request for its target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import unquote_plus, urlsplit

import h11

from capture.redaction import is_credential_name
from capture.tagging import is_tag_header
from capture.targets import Target

HEAD_LIMIT = 64 << 10
"""Bytes a request or response head may have."""

KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""Begins the subprotocol in which browsers, which can set no headers, send their key."""

Headers = Sequence[tuple[str, str]]

_LINE_END = re.compile(r"\r?\n")
_STATUS = re.compile(r"[1-9][0-9]{2}(?![0-9])")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
# What only some HTTP/1.1 parsers take for the end of a line, or for its continuation.
_ODD_LINES = re.compile(rb"(?<!\r)\n|\n[ \t]")
_AUTHORITY = re.compile(r"(?:https?|wss?)://[^/?#]+(?=[/?]|$)", re.IGNORECASE)
# How TLS begins: a handshake record.
_TLS = b"\x16\x03"
# A tunnel to anywhere; and an echo of the request, the target's key in it.
_UNSERVED_METHODS = frozenset({"CONNECT", "TRACE"})
# Of one connection only (RFC 9110, 7.6.1): a forwarded plain exchange names its own.
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "upgrade"})


class BadRequest(Exception):
    """A client's request that gets an answer of our own, with a status and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        """Give the sentence."""
        return self.reason


class TlsSpoken(BadRequest):
    """A client of this port begins with TLS: it can read no answer, and would wait for one."""

    def __init__(self) -> None:
        super().__init__(400, "TLS was spoken to a port that speaks none")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request line and its headers, order and spelling kept."""

    method: str
    path: str
    """Path and query."""
    headers: Headers

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return (
            self.method == "GET"
            and "upgrade" in _tokens(self.headers, "connection")
            and "websocket" in _tokens(self.headers, "upgrade")
        )

    @property
    def has_body(self) -> bool:
        """Whether a body follows the head."""
        return _has(self.headers, "transfer-encoding") or any(
            value.strip() != "0" for value in header_values(self.headers, "content-length")
        )

    def encode(self) -> bytes:
        """Give the bytes that go over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A status line and its headers, order and spelling kept."""

    status: int
    headers: Headers


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A client's request as its target gets it."""

    url: str
    """Absolute, with scheme; may hold credentials."""
    head: RequestHead


def take_head(buffer: bytearray, searched: int = 0) -> bytes | None:
    """Take a whole head, blank line included, off the front of the buffer; None while it is not all there.

    `searched` bytes were there the last time: a head that comes byte by byte is not searched anew with each.
    Raises `BadRequest` with status 431 over `HEAD_LIMIT` bytes, and `TlsSpoken` at once: what follows is no head.
    """
    if buffer.startswith(_TLS):
        raise TlsSpoken
    end = _HEAD_END.search(buffer, max(searched - 3, 0))
    if (end.end() if end else len(buffer)) > HEAD_LIMIT:
        raise BadRequest(431, f"the head is over {HEAD_LIMIT >> 10} KiB")
    if end is None:
        return None
    head = bytes(buffer[: end.end()])
    del buffer[: end.end()]
    return head


def parse_request(head: bytes, *, allows_http_1_0: bool = False) -> RequestHead:
    """Read a client's request head; `BadRequest` where it is no HTTP/1.1 request that can be forwarded."""
    if _ODD_LINES.search(head):
        raise BadRequest(400, "lines of a request head end with CR LF, and none is folded")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
    try:
        connection.receive_data(head)
        request = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise BadRequest(error.error_status_hint, f"no HTTP/1.1 request: {error}") from error
    if not isinstance(request, h11.Request):
        raise BadRequest(400, "no HTTP/1.1 request")
    if request.http_version != b"1.1" and not (allows_http_1_0 and request.http_version == b"1.0"):
        raise BadRequest(505, "only HTTP/1.1 is spoken here")
    method = request.method.decode("latin-1")
    if method in _UNSERVED_METHODS:
        raise BadRequest(405, f"{method} is not served here")
    path = _origin_form(request.target.decode("latin-1"))
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw_items()]
    parsed = RequestHead(method, path, headers)
    # h11 goes by one of the two, and what comes after us might go by the other (RFC 9112, 6.1).
    if _has(headers, "transfer-encoding") and _has(headers, "content-length"):
        raise BadRequest(400, "a request body has either a length or chunks")
    # A body would be a place to hide a second request that no rewriting sees.
    if parsed.is_upgrade and parsed.has_body:
        raise BadRequest(400, "an upgrade request takes no body")
    return parsed


def parse_response(head: bytes) -> ResponseHead:
    """Read an answer's head, leniently: the client is the one to judge it.

    Raises ValueError where it does not begin with an HTTP status line.
    """
    status_line, *lines = _LINE_END.split(head.decode("latin-1"))
    version, _, rest = status_line.partition(" ")
    if not (version.startswith("HTTP/1.") and _STATUS.match(rest)):
        raise ValueError(f"no HTTP answer: {status_line[:80]!r}")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return ResponseHead(int(rest[:3]), [(name.strip(), value.strip()) for name, _, value in pairs])


def header_values(headers: Headers, name: str) -> list[str]:
    """List a header's values; names compare without case."""
    return [value for known, value in headers if known.lower() == name]


def query_pairs(path: str) -> list[tuple[str, str, str]]:
    """Split a path's query into (name, `=` or nothing, value), all as they were spelled."""
    query = path.partition("?")[2]
    return [pair.partition("=") for pair in query.split("&")] if query else []


def rewrite_request(
    request: RequestHead,
    target: Target,
    credential: Sequence[tuple[str, str]],
    *,
    drop_credentials: bool = False,
) -> UpstreamRequest:
    """Address a client's request to the target.

    The target's credential replaces the client's, wherever that one stood: header, query or subprotocol. Where
    the target has none the client's passes, unless `drop_credentials`. An upgrade goes to the target's URL, any
    other request to the target's origin with the client's own path.
    """
    replaced = bool(credential) or drop_credentials or holds_credential(target)
    path = _without_credentials(request.path) if replaced else request.path
    # The target's own authority, whatever the client's path looks like; and the path as it came.
    url = target.request_url(path) if request.is_upgrade else f"{target.origin}{path}"
    ours = {name.lower() for name in target.headers} | {name.lower() for name, _ in credential}
    headers = _client_headers(request, replaced=replaced, replaced_names=ours)
    headers = [(name, urlsplit(target.url).netloc if name.lower() == "host" else value) for name, value in headers]
    if not request.is_upgrade:
        # One exchange a connection, so that no second request slips past this rewriting.
        headers = [pair for pair in headers if pair[0].lower() not in _HOP_BY_HOP] + [("Connection", "close")]
    headers += [*credential, *target.headers.items()]
    return UpstreamRequest(url, replace(request, path=url.removeprefix(target.origin), headers=headers))


def holds_credential(target: Target) -> bool:
    """Tell whether a target's URL holds a key."""
    return any(is_credential_name(unquote_plus(name)) for name, _, _ in query_pairs(target.request_url()))


def plain_response(status: int, text: str | bytes, content_type: str = "text/plain; charset=utf-8") -> bytes:
    """Compose an answer of our own: a line of text, or a body as it is."""
    body = text if isinstance(text, bytes) else f"{text}\n".encode()
    phrase = HTTPStatus(status).phrase
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body


def _client_headers(request: RequestHead, *, replaced: bool, replaced_names: set[str]) -> list[tuple[str, str]]:
    headers = [pair for pair in request.headers if pair[0].lower() not in replaced_names and not is_tag_header(pair[0])]
    if not replaced:
        return headers
    kept = (_without_key_subprotocol(pair) for pair in headers if not _is_credential_header(pair[0]))
    return [pair for pair in kept if pair is not None]


def _is_credential_header(name: str) -> bool:
    return name.lower() in ("authorization", "proxy-authorization", "api-key", "x-api-key")


def _without_key_subprotocol(pair: tuple[str, str]) -> tuple[str, str] | None:
    name, value = pair
    if name.lower() != "sec-websocket-protocol" or KEY_SUBPROTOCOL not in value:
        return pair
    # `realtime` stays: the endpoint picks it, and a browser refuses an answer that picks none it offered.
    kept = [token for token in value.split(",") if not token.strip().startswith(KEY_SUBPROTOCOL)]
    return (name, ",".join(kept).strip()) if kept else None


def _without_credentials(path: str) -> str:
    pairs = query_pairs(path)
    if not any(is_credential_name(unquote_plus(name)) for name, _, _ in pairs):
        return path
    kept = "&".join("".join(pair) for pair in pairs if not is_credential_name(unquote_plus(pair[0])))
    bare = path.partition("?")[0]
    return f"{bare}?{kept}" if kept else bare


def _origin_form(target: str) -> str:
    """Reduce an absolute request target to path and query; the authority is the target's, never the client's."""
    path = _AUTHORITY.sub("", target, count=1) if _AUTHORITY.match(target) else target
    if path.startswith("/"):
        return path
    # Anything else ("http:@elsewhere/", "*") would be read as a part of the authority it is put behind.
    if path == target:
        raise BadRequest(400, "the request target must be a path")
    return f"/{path}"


def _has(headers: Iterable[tuple[str, str]], name: str) -> bool:
    return any(known.lower() == name for known, _ in headers)


def _tokens(headers: Headers, name: str) -> set[str]:
    return {token.strip().lower() for value in header_values(headers, name) for token in value.split(",")}
