"""What never reaches the disk: credentials in headers, URLs and messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from capture.literals import Edit, Literal, Path, Span, apart, apply_edits, decoded, literals, merged, spelled

REDACTED = "[redacted]"
"""Stands where a secret stood."""

_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "apikey", "token", "x-auth", "x-authorization"}
)
_SECRET_HEADER_ENDS = ("-key", "-apikey", "-token", "-secret", "-authorization", "-auth")
_URL_HEADERS = frozenset({"location", "content-location", "referer"})
_SECRET_QUERY_NAMES = frozenset(
    {"key", "apikey", "authorization", "auth", "token", "jwt", "sig", "signature", "password"}
)
# The whole of what others call a key: who is called cache_key is none, and goes on to the endpoint.
_SECRET_QUERY_ENDS = (
    *(f"{kind}{dash}key" for kind in ("api", "access", "auth", "ephemeral", "subscription") for dash in "-_"),
    *("apikey", "-token", "_token", "accesstoken", "authtoken", "secret", "-signature"),
)
# openai-insecure-api-key.KEY, and other vendors' subprotocols of the same kind.
_SUBPROTOCOL_WORDS = ("key", "secret", "token", "bearer")
# Before a credential that is a subprotocol of its own: Deepgram's `token, KEY`.
_SUBPROTOCOL_SCHEMES = frozenset({"token", "bearer", "authorization"})
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#@]*@")


def redact_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put `[redacted]` in place of credentials; names, order and everything else stay."""
    return [(name, _redact_header(name.lower(), value)) for name, value in headers]


def _redact_header(name: str, value: str) -> str:
    if name == "sec-websocket-protocol":
        return redact_text(_redact_subprotocols(value))
    if name in _URL_HEADERS:
        return redact_url(value)
    # Sec-WebSocket-Key is a nonce of the handshake, no credential.
    if name == "sec-websocket-key":
        return value
    return REDACTED if is_credential_header(name) else redact_text(value)


def _redact_subprotocols(value: str) -> str:
    tokens = value.split(",")
    names = ["", *(token.strip().lower() for token in tokens)]
    return ",".join(_redact_subprotocol(token, before) for token, before in zip(tokens, names, strict=False))


def _redact_subprotocol(token: str, before: str) -> str:
    if before in _SUBPROTOCOL_SCHEMES:
        return token.replace(token.strip(), REDACTED) if token.strip() else token
    plain = token.lower()
    words = [at for word in _SUBPROTOCOL_WORDS if (at := plain.find(word)) >= 0]
    dot = token.find(".", min(words)) if words else -1
    return token if dot < 0 or not token[dot + 1 :].strip() else f"{token[: dot + 1]}{REDACTED}"


def is_credential_header(name: str) -> bool:
    """Tell whether a header of this name, in lower case, holds a credential."""
    plain = name.replace("_", "-")
    return plain in _SECRET_HEADERS or plain.endswith(_SECRET_HEADER_ENDS)


def redact_url(url: str) -> str:
    """Put `[redacted]` in place of credentials in the query and before the host; takes a bare path too."""
    head, mark, fragment = _USERINFO.sub(rf"\1{REDACTED}@", url).partition("#")
    path, question, query = head.partition("?")
    pairs = "&".join(_redact_pair(pair) for pair in query.split("&"))
    return redact_text(f"{path}{question}{pairs}{mark}{fragment}")


def is_credential_name(query_name: str) -> bool:
    """Tell whether a query parameter of this name holds a credential."""
    plain = query_name.lower()
    return plain in _SECRET_QUERY_NAMES or plain.endswith(_SECRET_QUERY_ENDS)


def _redact_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={REDACTED}" if equals and is_credential_name(unquote_plus(name)) else pair


# --- free text: secrets that are told by their shape ----------------------------------------------------------

_QUOTE = r"(?:\\{0,7}[\"'])?"
_VALUE = r"[^\s\"'<>,;&#()\[\]{}]"


def _begins(literal: str, not_behind: str = "A-Za-z0-9") -> str:
    """Make the expression for the beginning of a word; what stands before it is looked at last, which is quicker."""
    # A tool's output is JSON within JSON: a line break in it is a backslash and an n, which is no part of the word.
    escaped = rf"(?<=\\[bfnrt]{literal})|(?<=\\u[0-9A-Fa-f]{{4}}{literal})"
    return rf"{literal}(?:(?<![{not_behind}]{literal})|{escaped})"


# Of each shape the group is the secret. Endpoints echo keys with their middle starred out; those go too. What stands
# before it stands in every text that has the shape, and is looked for first: that takes a hundredth of the time, and a
# message may be an image of many megabytes.
_SHAPES = (
    # OpenAI: keys and ephemeral keys.
    (("sk-",), re.compile(rf"({_begins('sk-')}[A-Za-z0-9_*…-]{{16,}})")),
    (("ek_",), re.compile(rf"({_begins('ek_')}[A-Za-z0-9_*…-]{{12,}})")),
    # A JSON Web Token: Entra's.
    (
        ("eyJ", "."),
        re.compile(rf"({_begins('eyJ', 'A-Za-z0-9_-')}[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]*)"),
    ),
    # Azure: keys of about 84 characters have this mark in their middle; those of 32 have no shape of their own. An
    # escape before one goes with it.
    (("JQQJ99",), re.compile(r"(?<![A-Za-z0-9])([A-Za-z0-9]{40,61}JQQJ99[A-Za-z0-9]{20,32})(?![A-Za-z0-9])")),
    *(
        ((rest,), re.compile(rf"{_begins('[Bb]', 'A-Za-z0-9_')}{rest}(?:\s|%20|\+)+([A-Za-z0-9._~+/=*%-]{{8,}})"))
        for rest in ("earer", "EARER")
    ),
    (("openai-insecure-api-key.",), re.compile(r"openai-insecure-api-key\.([^,\s\"']+)")),
    (("://", "@"), re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://([^/?#@\s\"'<>]{1,512})@")),
)
# "Incorrect API key provided: …", "api-key: …": a secret where what follows looks like a key and not like a word. That
# is asked of what was found: in the expression it would be asked of all the rest of a text, at each of its places.
_NAMED_VALUE = re.compile(
    r"(?:api[ _-]?key|authorization|(?:access|refresh)[ _-]?token|client[ _-]?secret)(?: provided)?"
    rf"{_QUOTE}\s*[:=]\s*{_QUOTE}(?:(?:basic|token)\s+)?({_VALUE}{{8,}}(?<![.:!?\\]))",
    re.IGNORECASE,
)
_LIKE_A_KEY = re.compile(r"[0-9*]")
_NAMED = (("api", "key"), ("access", "token"), ("refresh", "token"), ("client", "secret"))
_NAMES = (
    "authorization",
    *(f"{of}{dash}{thing}" for of, thing in _NAMED for dash in ("", " ", "_", "-")),
)
# A form's first pair has nothing before it.
_QUERY_PAIR = re.compile(rf"(?:[?&#]|\A(?=[^\s&]*&))([A-Za-z0-9_%.~-]{{1,64}})=({_VALUE}+)")
# One of these stands in every text that has a shape: looked for first, because it costs next to nothing.
_HINTS = (
    "sk-",
    "ek_",
    "eyJ",
    "JQQJ",
    "earer",
    "EARER",
    "://",
    ":\\/",
    "uthorization",
    "UTHORIZATION",
    "oken",
    "OKEN",
    "ecret",
    "ECRET",
    "key",
    "Key",
    "KEY",
    "ookie",
)


def redact_text(text: str) -> str:
    """Put `[redacted]` in place of what has the shape of a secret in a text for people: a message, a reason."""
    if not _hints_at_secret(text):
        return text
    return apply_edits(text, [(start, end, REDACTED) for start, end in _shapes_in(text)])


def _hints_at_secret(text: str) -> bool:
    for hint in _HINTS:
        if hint in text:
            return True
    return "=" in text


def _shapes_in(text: str) -> list[Span]:
    spans: list[Span] = []
    for needed, shape in _SHAPES:
        if all(part in text for part in needed):
            spans += [match.span(1) for match in shape.finditer(text)]
    if _may_name_a_key(text):
        spans += [value.span(1) for value in _NAMED_VALUE.finditer(text) if _LIKE_A_KEY.search(value[1])]
    if "=" in text:
        spans += [pair.span(2) for pair in _QUERY_PAIR.finditer(text) if is_credential_name(unquote_plus(pair[1]))]
    return [(start, end) for start, end in merged(spans) if REDACTED not in text[start - 1 : end + 1]]


def _may_name_a_key(text: str) -> bool:
    # Without regard to case some letters beyond ASCII are its letters too: ſ is an s.
    return not text.isascii() or any(map(text.lower().__contains__, _NAMES))


# --- messages -------------------------------------------------------------------------------------------------

_LITERALS_THAT_STAY = frozenset({"null", "true", "false"})
# Keys of JSON whose value is a credential wherever they stand, in lower case; every string of it, if it is an object.
_SECRET_KEYS = frozenset(
    {"authorization", "api-key", "api_key", "apikey", "x-api-key"}
    | {f"{of}{dash}token" for of in ("access", "refresh") for dash in ("_", "")}
)
# Where a client secret stands in the answer to who asked for one: at the top, beside its `expires_at`.
_MINTED: Path = [None, "value"]
# A key may be spelled with escapes; every letter of the keys is ASCII, so only these escapes matter.
_ASCII_ESCAPE = "\\u00"
_BEGINS_JSON = frozenset({"{", "[", '"'})


def redact_message(text: str) -> str | None:
    """Put `"[redacted]"` in place of every secret in a message; None when it holds none.

    Secrets are `client_secret` and its `value`, what stands beside an `expires_at` as one, the `credential` of an ICE
    server, the `authorization` and the `headers` of a tool (MCP), what is
    called `api_key` or `authorization` elsewhere, and whatever has the shape of a key. Only the secret's own
    characters change; the text around it stays as it was sent, also where it is no valid JSON.
    """
    edits = secret_edits(text)
    return apply_edits(text, edits) if edits else None


def redact_setting(path: str, value: str) -> str:
    """Redact the JSON of a value as if it stood at this path of a message: `session.tools`."""
    head = f"{{{json.dumps(path)}:"
    whole = f"{head}{value}}}"
    return (redact_message(whole) or whole)[len(head) : -1] if value else value


def secret_edits(text: str) -> list[Edit]:
    """List what `redact_message` replaces."""
    if not _may_hold_secret(text):
        return []
    # What an endpoint answers who asks for a client secret: OpenAI's begin with ek_, others' with nothing of their own.
    is_minted = '"expires_at"' in text
    edits = [edit for literal in literals(text) for edit in _edits_in(text, literal, is_minted=is_minted)]
    if text.lstrip()[:1] in _BEGINS_JSON:
        return edits
    loose = apart(_shapes_in(text), [(start, end) for start, end, _ in edits])
    return sorted([*edits, *((start, end, REDACTED) for start, end in loose)])


def redact_bytes(content: bytes) -> bytes | None:
    """Put as many `x` in place of every secret in bytes that are no text message; None when they hold none.

    Compressed bytes, and those of a client's frames that are still masked, cannot be searched.
    """
    # latin-1 reads any bytes, one character each; secrets are ASCII.
    text = content.decode("latin-1")
    edits = secret_edits(text)
    spans = merged([(start, end) for start, end, _ in edits] + _shapes_in(text) + _loose_secrets_in(text))
    if not spans:
        return None
    return apply_edits(text, [(start, end, "x" * (end - start)) for start, end in spans]).encode("latin-1")


# In a piece of a message nothing tells the path to a value; its key alone has to do.
_LOOSE_SECRETS = (
    re.compile(r'"client_secret"\s*:\s*"([^"]+)"'),
    re.compile(r'"client_secret"\s*:\s*\{[^{}]{0,200}?"value"\s*:\s*"([^"]+)"'),
    re.compile(r'"(?:authorization|api[-_]key|x-api-key|(?:access|refresh)_?token)"\s*:\s*"([^"]+)"', re.IGNORECASE),
)


def _loose_secrets_in(text: str) -> list[Span]:
    if not _hints_at_secret(text):
        return []
    return [match.span(1) for shape in _LOOSE_SECRETS for match in shape.finditer(text)]


def _may_hold_secret(text: str) -> bool:
    """Rule out nearly every message in about a microsecond: short strings are found at memory speed."""
    return (
        '"value"' in text
        or 'tools"' in text
        or 'ice_servers"' in text
        or _ASCII_ESCAPE in text
        or _hints_at_secret(text)
    )


def _edits_in(text: str, literal: Literal, *, is_minted: bool) -> list[Edit]:
    body = text[literal.start : literal.end]
    if not literal.is_key and _is_secret(literal, body, is_minted=is_minted):
        # Whatever was no string becomes one.
        return [(literal.start, literal.end, REDACTED if literal.is_string else f'"{REDACTED}"')]
    if not literal.is_string or not _may_have_shape(body):
        return []
    found = spelled(body, _shapes_in(decoded(body)))
    return [(literal.start + start, literal.start + end, REDACTED) for start, end in found]


def _may_have_shape(body: str) -> bool:
    return "\\" in body or _hints_at_secret(body)


def _is_secret(literal: Literal, body: str, *, is_minted: bool) -> bool:
    if (not body and literal.is_string) or (not literal.is_string and body in _LITERALS_THAT_STAY):
        return False
    path, name = literal.path, literal.name
    if "client_secret" in path:
        below = [key for key in path[path.index("client_secret") + 1 :] if key is not None]
        return not below or below[0] == "value" or literal.is_string
    if name is not None and name.lower() in _SECRET_KEYS:
        return True
    if name == "value" and (decoded(body).startswith("ek_") or (is_minted and path == _MINTED)):
        return True
    if name == "credential" and "ice_servers" in path:
        return True
    if name is not None and "headers" in path and is_credential_header(name.lower()):
        return True
    return _is_of_tool(path) or (literal.is_string and _is_below_secret_key(path))


def _is_below_secret_key(path: Path) -> bool:
    # The schema of a tool's arguments describes what is called so, and holds none.
    return "properties" not in path and any(key is not None and key.lower() in _SECRET_KEYS for key in path)


def _is_of_tool(path: Path) -> bool:
    if "authorization" not in path and "headers" not in path:
        return False
    for depth, key in enumerate(path):
        # An override is told by its whole path: session.tools.
        if (
            key is not None
            and key.rpartition(".")[2] == "tools"
            and path[depth + 2 : depth + 3] in (["authorization"], ["headers"])
        ):
            return True
    return False
