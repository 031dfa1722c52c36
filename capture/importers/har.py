"""Read HAR files with `_webSocketMessages`: Chrome DevTools, mitmproxy, Playwright, HTTP Toolkit; pure.

Each message is `{type: send|receive, time: seconds since 1970, opcode, data}`; `data` is text for opcode 1 and base64
for the others. HTTP Toolkit adds `_webSocketClose`, Chrome messages of the type `error`. The file is never parsed as a
whole: entries and messages are slices of it until they are asked for.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pybase64

from capture.importers.close_frames import close_code, close_payload
from capture.importers.damaged import Buffer, elements, member, object_of, read_leniently
from capture.importers.source import Headers, Item, SourceEnd, SourceMessage, SourceSession, Unreadable
from capture.importers.times import Moment, read_time
from capture.recording.facts import Sender
from capture.wire import WireKind

_MESSAGES, _CLOSE, _RESOURCE_TYPE = "_webSocketMessages", "_webSocketClose", "_resourceType"
_SENDERS: dict[str, Sender] = {
    "send": "client",
    "sent": "client",
    "request": "client",
    "receive": "server",
    "received": "server",
    "response": "server",
}
_KINDS: dict[int, WireKind] = {1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
_ERROR = "error"
_SWITCHING_PROTOCOLS = 101
_ABORTED_CODE = 1006
# Docker's log files begin with a key of that name too, and a text behind it.
_BEGIN = re.compile(rb'\s*\{\s*"log"\s*:\s*\{')
_CREATOR_BYTES = 8192

Json = dict[str, Any]


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]


class _Har(msgspec.Struct):
    log: _Log


def is_har(text: Buffer, start: int = 0) -> bool:
    """Tell whether a text begins as HAR does."""
    return _BEGIN.match(text, start) is not None


def read_har(text: Buffer, start: int = 0) -> Iterator[SourceSession | Unreadable]:
    """Give the WebSocket sessions of a HAR, and what of it cannot be read; `start` is behind a byte order mark.

    Entries that are no WebSocket are passed over. Of a damaged file, what can be read is given.
    """
    creator = str(object_of(text, "creator", start, min(len(text), start + _CREATOR_BYTES)).get("name") or "")
    for number, entry in enumerate(_entries(text, start), start=1):
        if isinstance(entry, Unreadable):
            yield entry
            continue
        view, is_whole = entry
        yield from _read_entry(view, number, creator, is_whole=is_whole)


def _entries(text: Buffer, start: int) -> Iterator[tuple[Buffer | memoryview, bool] | Unreadable]:
    try:
        for raw in msgspec.json.decode(memoryview(text)[start:], type=_Har).log.entries:
            yield memoryview(raw), True
    except (msgspec.DecodeError, RecursionError):
        pass
    else:
        return
    at = member(text, "entries", "[", start, len(text))
    if at is None:
        yield Unreadable("the file", "it has no log with entries")
        return
    for begin, end, is_whole in elements(text, at, len(text)):
        yield text[begin:end], is_whole


def _read_entry(
    view: Buffer | memoryview, number: int, creator: str, *, is_whole: bool
) -> Iterator[SourceSession | Unreadable]:
    place = f"entry {number}"
    try:
        fields = msgspec.json.decode(view, type=dict[str, msgspec.Raw])
        messages = [memoryview(raw) for raw in msgspec.json.decode(fields[_MESSAGES], type=list[msgspec.Raw])]
    except KeyError:
        messages = []
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        whole = bytes(view)
        at = member(whole, _MESSAGES, "[", 0, len(whole))
        said = "it is damaged" if is_whole else "it is cut off"
        yield Unreadable(place, said, is_lost=False, is_partly_read=at is not None)
        if at is None:
            return
        yield _session(_scanned(whole, at), _pieces(whole, at), place, creator, is_cut=True)
        return
    entry = {name: _decoded(raw) for name, raw in fields.items() if name != _MESSAGES}
    if not messages and not _is_websocket(entry):
        return
    if not messages and _status(entry) == _SWITCHING_PROTOCOLS:
        yield Unreadable(place, "it is a WebSocket, and the file holds none of its messages", is_lost=False)
        return
    yield _session(entry, messages, place, creator)


def _scanned(whole: bytes, messages_at: int) -> Json:
    """Read what can be read of a damaged entry beside its messages."""
    spans = list(elements(whole, messages_at, len(whole)))
    behind = spans[-1][1] if spans else messages_at
    entry: Json = {}
    for name in ("request", "response"):
        found = object_of(whole, name, 0, messages_at) or object_of(whole, name, behind, len(whole))
        entry[name] = found
    started = re.search(rb'"startedDateTime"\s*:\s*"([^"\\]{1,40})"', whole[:messages_at] + whole[behind:])
    return entry | ({"startedDateTime": started[1].decode("latin-1")} if started else {})


def _pieces(whole: bytes, at: int) -> list[memoryview]:
    return [memoryview(whole)[begin:end] for begin, end, _ in elements(whole, at, len(whole))]


def _session(
    entry: Json, messages: Sequence[memoryview], place: str, creator: str, *, is_cut: bool = False
) -> SourceSession:
    request, response = _object(entry, "request"), _object(entry, "response")
    started = read_time(entry.get("startedDateTime"))
    status = _status(entry)
    items = partial(_read_messages, messages, place)
    refused = not messages and status is not None
    return SourceSession(
        key=place,
        items=items,
        count=len(messages),
        first_at=next((item.at for item in items() if isinstance(item, SourceMessage) and item.at), None),
        started_ns=started.ns if started is not None and started.is_absolute else None,
        url=_url(request),
        method=request["method"] if isinstance(request.get("method"), str) else "GET",
        remote_ip=(_text(entry, "serverIPAddress") or "").strip("[]") or None,  # Chrome gives IPv6 in brackets
        request_headers=_headers(request),
        response_headers=_headers(response),
        status=status,
        body=_body(response) if refused else b"",
        end=None if is_cut else _end(entry, messages, place) or (SourceEnd() if refused else None),
        tags={"import.by": creator} if creator else {},
    )


def _read_messages(messages: Sequence[memoryview], place: str) -> Iterator[Item]:
    for number, raw in enumerate(messages, start=1):
        message = _decoded(raw)
        where = f"{place}, message {number}"
        if not isinstance(message, dict):
            yield Unreadable(where, "it is no JSON object that can be read")
        elif message.get("type") != _ERROR:
            yield _read_message(message, where)


def _read_message(message: Json, where: str) -> Item:
    sender = _SENDERS.get(str(message.get("type")).lower())
    opcode, data = message.get("opcode", 1), message.get("data")
    kind = _KINDS.get(opcode) if isinstance(opcode, int) else None
    if sender is None:
        return Unreadable(where, "its type is neither send nor receive")
    if kind is None:
        return Unreadable(where, "its opcode is none of 1, 2, 8, 9 and 10")
    if not isinstance(data, str) and (data is not None or kind in ("text", "binary")):
        return Unreadable(where, "its data is no text")
    content = (data or "").encode("utf-8", "surrogatepass")
    if kind != "text":
        content = _unpacked(content)
    if kind == "close":
        content = _close_payload(content, message)
    return SourceMessage(sender, kind, content, _seconds(message.get("time")))


def _unpacked(content: bytes) -> bytes:
    try:
        return pybase64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        # Some tools write what is text as it is, whatever the opcode.
        return content


def _close_payload(content: bytes, message: Json) -> bytes:
    if len(content) >= 2 and close_code(int.from_bytes(content[:2], "big")) is not None:
        return content
    code = close_code(message.get("code"))
    return b"" if code is None else close_payload(code, _text(message, "reason"))


def _end(entry: Json, messages: Sequence[memoryview], place: str) -> SourceEnd | None:
    close = entry.get(_CLOSE)
    if close == "aborted":
        return SourceEnd("the connection was aborted, says the file", _ABORTED_CODE)
    if isinstance(close, dict):
        code, reason = close_code(close.get("code")), _text(close, "reason")
        return SourceEnd(None, code, reason or None, _seconds(close.get("timestamp")))
    last = _decoded(messages[-1]) if messages else None
    if isinstance(last, dict) and last.get("type") == _ERROR:
        said = last.get("data")
        return SourceEnd(said if isinstance(said, str) else "an error, says the file", at=_seconds(last.get("time")))
    # Nothing follows a close frame but the other side's.
    closes = [item for item in _read_messages(messages[-2:], place) if isinstance(item, SourceMessage)]
    if closes and any(item.kind == "close" for item in closes):
        return SourceEnd(at=closes[-1].at)
    failed = _object(entry, "response").get("_error") or _object(entry, "response").get("_failureText")
    return SourceEnd(failed) if isinstance(failed, str) and failed else None


def _seconds(value: object) -> Moment | None:
    moment = read_time(value)
    return moment if moment is not None and moment.is_absolute else read_time(value, 10**9)


def _decoded(raw: msgspec.Raw | memoryview) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return read_leniently(bytes(raw))


def _is_websocket(entry: Json) -> bool:
    url = _text(_object(entry, "request"), "url") or ""
    return (
        entry.get(_RESOURCE_TYPE) == "websocket"
        or url.startswith(("ws:", "wss:"))
        or (_status(entry) == _SWITCHING_PROTOCOLS)
    )


def _status(entry: Json) -> int | None:
    status = _object(entry, "response").get("status")
    # Zero is what tools write where no answer came.
    return status if type(status) is int and 100 <= status < 1000 else None


def _url(request: Json) -> str | None:
    url = _text(request, "url")
    try:
        scheme = urlsplit(url).scheme if url else ""
    except ValueError:
        return url
    # A proxy names the scheme of the upgrade's request.
    return f"ws{url[4:]}" if url and scheme in ("http", "https") else url


def _headers(head: Json) -> Headers | None:
    pairs = head.get("headers")
    if not isinstance(pairs, list):
        return None
    found = [(pair.get("name"), pair.get("value")) for pair in pairs if isinstance(pair, dict)]
    return [(name, value) for name, value in found if isinstance(name, str) and isinstance(value, str)]


def _body(response: Json) -> bytes:
    content = _object(response, "content")
    text = (_text(content, "text") or "").encode("utf-8", "surrogatepass")
    return _unpacked(text) if content.get("encoding") == "base64" else text


def _object(entry: Json, name: str) -> Json:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def _text(entry: Json, name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) else None
