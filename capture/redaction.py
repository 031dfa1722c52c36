"""What never reaches the disk: credentials in headers, URLs and messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_plus

REDACTED = "[redacted]"
"""Stands where a secret stood."""

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_SECRET_HEADER_ENDS = ("-key", "-token", "-secret", "-authorization")
_URL_HEADERS = frozenset({"location", "content-location", "referer"})
_SECRET_QUERY_NAMES = frozenset({"key", "apikey", "authorization", "token", "sig", "signature", "password"})
_SECRET_QUERY_ENDS = ("api-key", "api_key", "access_token", "-token", "_token", "secret")
# openai-insecure-api-key.KEY, and other vendors' subprotocols of the same kind.
_SECRET_SUBPROTOCOL = re.compile(r"([^,\s]*?(?:key|secret|token)[^,\s.]*)\.[^,\s]+", re.IGNORECASE)
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#@]*@")


def redact_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put `[redacted]` in place of credentials; names, order and everything else stay."""
    return [(name, _redact_header(name.lower(), value)) for name, value in headers]


def _redact_header(name: str, value: str) -> str:
    if name == "sec-websocket-protocol":
        return _SECRET_SUBPROTOCOL.sub(rf"\1.{REDACTED}", value)
    if name in _URL_HEADERS:
        return redact_url(value)
    # Sec-WebSocket-Key is a nonce of the handshake, no credential.
    if name in _SECRET_HEADERS or (name.endswith(_SECRET_HEADER_ENDS) and name != "sec-websocket-key"):
        return REDACTED
    return value


def redact_url(url: str) -> str:
    """Put `[redacted]` in place of credentials in the query and before the host; takes a bare path too."""
    head, mark, fragment = _USERINFO.sub(rf"\1{REDACTED}@", url).partition("#")
    path, question, query = head.partition("?")
    pairs = "&".join(_redact_pair(pair) for pair in query.split("&"))
    return f"{path}{question}{pairs}{mark}{fragment}"


def is_credential_name(query_name: str) -> bool:
    """Tell whether a query parameter of this name holds a credential."""
    plain = query_name.lower()
    return plain in _SECRET_QUERY_NAMES or plain.endswith(_SECRET_QUERY_ENDS)


def _redact_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={REDACTED}" if equals and is_credential_name(unquote_plus(name)) else pair


# One token of JSON text. A string that never ends runs to the end of the text: broken JSON may hold a secret too.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]++', re.DOTALL)
_LITERALS_THAT_STAY = frozenset({"null", "true", "false"})
# A key may be spelled with escapes; every letter of the keys below is ASCII, so only these escapes matter.
_ASCII_ESCAPE = "\\u00"

_Path = list[str | None]
"""Keys from the top of a message to a value; None stands for a place in an array."""


def redact_message(text: str) -> str | None:
    """Put `"[redacted]"` in place of every secret in a message; None when it holds none.

    Secrets are `client_secret` and its `value`, the `authorization` and the `headers` of a tool (MCP), and a
    `value` that is an ephemeral key (`ek_…`). Only the secret's own literal changes; the text around it stays
    as it was sent, also where it is no valid JSON.
    """
    if not _may_hold_secret(text):
        return None
    pieces: list[str] = []
    kept_to = 0
    for start, end in _secret_spans(text):
        pieces += (text[kept_to:start], f'"{REDACTED}"')
        kept_to = end
    if not pieces:
        return None
    return "".join((*pieces, text[kept_to:]))


# A flat message longer than this is audio: what lies between its head and its tail is one base64 value.
_HEAD, _TAIL = 300, 100


def _may_hold_secret(text: str) -> bool:
    """Rule out nearly every message in about a microsecond: single characters are found at memory speed."""
    if text.find("{", 1) < 0 and "\\" not in text:
        length = len(text)
        if length > _HEAD + _TAIL and text.find('"', _HEAD, length - _TAIL) < 0:
            text = text[:_HEAD] + text[length - _TAIL :]
        return '"value"' in text or '"client_secret"' in text
    return "ek_" in text or '"client_secret"' in text or '"tools"' in text or _ASCII_ESCAPE in text


def _secret_spans(text: str) -> Iterator[tuple[int, int]]:
    """Find where secret literals start and end, by their path; keys given twice count twice."""
    path: _Path = []
    key: str | None = None
    for token in _TOKEN.finditer(text):
        literal = token.group()
        if literal in ("{", "["):
            path.append(key)
            key = None
        elif literal in ("}", "]"):
            if path:
                path.pop()
            key = None
        elif literal == ",":
            key = None
        elif literal == ":":
            continue
        elif literal[0] == '"' and _is_key(text, token.end()):
            key = _plain(literal)
        elif literal not in _LITERALS_THAT_STAY and _is_secret([*path, key], literal):
            yield token.span()


_COLON = re.compile(r"\s*:")


def _is_key(text: str, end: int) -> bool:
    return _COLON.match(text, end) is not None


def _is_secret(path: _Path, literal: str) -> bool:
    if "client_secret" in path:
        below = [key for key in path[path.index("client_secret") + 1 :] if key is not None]
        return not below or below[0] == "value"
    if path[-1] == "value" and _plain(literal).startswith("ek_"):
        return True
    for depth, key in enumerate(path):
        if key == "tools" and path[depth + 2 : depth + 3] in (["authorization"], ["headers"]):
            return True
    return False


def _plain(literal: str) -> str:
    """Read a JSON string literal, as far as it is one."""
    if "\\" not in literal:
        return literal.strip('"')
    try:
        value = json.loads(literal, strict=False)
    except ValueError:
        return literal.strip('"')
    return str(value)
