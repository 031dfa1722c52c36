"""Read logs of JSON lines, one message a line, in the spellings that loggers commonly use; pure.

A line is an object with a direction and an event (`{"t": 0.52, "dir": "sent", "event": {…}}`), or the bare event where
its type tells who sent it. docs/import.md lists the names that are known.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from capture.importers.close_frames import close_code, close_payload
from capture.importers.damaged import Buffer, compact, elements, end_of_array, is_blank, read_leniently
from capture.importers.event_types import sender_of
from capture.importers.source import Item, SourceEnd, SourceMessage, SourceSession, Unreadable
from capture.importers.times import Moment, find_time
from capture.recording.facts import Sender

_DIRECTION_KEYS = ("dir", "direction", "sender", "from", "source", "side", "origin", "type", "kind")
_EVENT_KEYS = ("event", "data", "message", "payload", "msg", "frame", "body", "raw", "log")
_SESSION_KEYS = ("session", "session_id", "sessionId", "connection", "connection_id", "connectionId", "conn", "socket")
_NO_EVENT = "it holds no event"
_CLOSE_KEYS = ("kind", "type", "event", "message")
_CLOSE_WORDS = frozenset({"close", "closed", "disconnect", "disconnected", "websocket.close", "websocket.disconnect"})
# Codes that stand for the absence of a close frame, or of a code in it (RFC 6455, 7.4.1).
_NEVER_SENT = frozenset({1005, 1006, 1015})
_URL_KEYS = ("url", "uri", "endpoint")
_CLIENT_WORDS = "sent send out outgoing outbound client tx upstream up c2s client->server client_to_server → -> > >>>"
_SERVER_WORDS = (
    "received receive recv rcvd in incoming inbound server rx downstream down s2c server->client server_to_client"
    " ← <- < <<<"
)
_DIRECTIONS: dict[str, Sender] = dict.fromkeys(_CLIENT_WORDS.split(), "client")
_DIRECTIONS |= dict.fromkeys(_SERVER_WORDS.split(), "server")
_BLANKS = b" \t\r\n,"
_OPENING = re.compile(rb"[ \t\r\n]*(\[)")
# `[2026-02-12 10:00:00]` begins a line too.
_ARRAY = re.compile(rb"[ \t\r,]*(\[)[ \t\r\n]*[{\[\]]")
_EVENT_TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)*")

Span = tuple[int, int, int]
"""Number, begin and end of a line."""
Fields = dict[str, Any]
"""A line: scalars as they are, objects and arrays as slices of the line."""


def read_jsonl(text: Buffer, start: int = 0) -> Iterator[SourceSession | Unreadable]:
    """Give the sessions of a log, and the lines that belong to none; `start` is behind a byte order mark.

    The file is gone through once to see which sessions it has, and once more while each of them is taken over.
    """
    sessions: dict[str, _Lines] = {}
    yield from _gather(text, start, sessions)
    for name, lines in sessions.items():
        yield SourceSession(
            key=name,
            items=partial(lines.items, text),
            count=len(lines.numbers),
            first_at=lines.first_at,
            url=lines.url,
            end=lines.end,
            tags={"import.session": name} if name else {},
        )


def _gather(text: Buffer, start: int, sessions: dict[str, _Lines]) -> list[Unreadable]:
    """Note where each session's lines stand; give those that belong to none."""
    stray: list[Unreadable] = []
    current: _Lines | None = None
    early: list[Span] = []
    for span in _spans(text, start):
        read = _read_line(text, *span)
        if isinstance(read, Unreadable):
            if not read.is_lost:
                stray.append(read)
            elif current is None:
                early.append(span)
            else:
                # Whose it was cannot be told: most likely that of the line before it.
                current.add(span)
            continue
        name, found, url = read
        current = sessions.setdefault(name, _Lines())
        for each in (*early, span):
            current.add(each)
        early.clear()
        current.first_at = current.first_at or found.at
        current.url = current.url or url
        current.end = found if isinstance(found, SourceEnd) else _end_of(found) or current.end
    return stray + [read for span in early if isinstance(read := _read_line(text, *span), Unreadable)]


@dataclass(slots=True)
class _Lines:
    """Where a session's lines stand: a few bytes a line, however long the file."""

    numbers: array[int] = field(default_factory=lambda: array("Q"))
    begins: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    first_at: Moment | None = None
    url: str | None = None
    end: SourceEnd | None = None

    def add(self, span: Span) -> None:
        for values, value in zip((self.numbers, self.begins, self.ends), span, strict=True):
            values.append(value)

    def items(self, text: Buffer) -> Iterator[Item]:
        for span in zip(self.numbers, self.begins, self.ends, strict=True):
            read = _read_line(text, *span)
            found = read if isinstance(read, Unreadable) else read[1]
            if not isinstance(found, SourceEnd):
                yield found


def _end_of(message: SourceMessage) -> SourceEnd | None:
    return SourceEnd(at=message.at) if message.kind == "close" else None


def _spans(text: Buffer, start: int) -> Iterator[Span]:
    """Give number, begin and end of each line that is not blank; or of each element, of a file that is one array."""
    opening = _OPENING.match(text, start)
    if opening is None or not _is_one_array(text, opening):
        yield from _spans_of_lines(text, start)
        return
    for number, (begin, end, _) in enumerate(elements(text, opening.start(1), len(text)), start=1):
        yield number, begin, end


def _is_one_array(text: Buffer, opening: re.Match[bytes]) -> bool:
    closing = end_of_array(text, opening.start(1), len(text))
    if closing is None:
        # An array that is cut off; or a line of something else, such as `[INFO …`.
        return _ARRAY.match(text, opening.start(1)) is not None
    return is_blank(text, closing, len(text))


def _spans_of_lines(text: Buffer, start: int) -> Iterator[Span]:
    """Give each line that is not blank, and of an array that begins a line its elements."""
    number, begin, limit = 0, start, len(text)
    while begin < len(text):
        number, end = number + 1, _end_of_line(text, begin)
        if opening := _ARRAY.match(text, begin):
            at = opening.start(1)
            closing = end_of_array(text, at, max(limit, end))
            if closing is None or (closing > end and not is_blank(text, closing, _end_of_line(text, closing))):
                # Not looked for beyond a line again: a file full of such lines would be read once for each.
                closing, limit = end, 0
            yield from _spans_of_array(text, number, at, closing)
            if closing > end:
                number, end = number + text[end:closing].count(b"\n"), _end_of_line(text, closing)
            begin = closing
        if text[begin:end].strip(_BLANKS):
            yield number, begin, end
        begin = end + 1


def _spans_of_array(text: Buffer, number: int, at: int, closing: int) -> Iterator[Span]:
    """Give the elements of an array whose `[` stands at `at`, in the line of this number, each with its line's."""
    for begin, end, _ in elements(text, at, closing):
        first = end - len(text[begin:end].lstrip())
        number, at = number + text[at:first].count(b"\n"), first
        yield number, first, end


def _end_of_line(text: Buffer, at: int) -> int:
    end = text.find(b"\n", at)
    return len(text) if end < 0 else end


def _read_line(
    text: Buffer, number: int, begin: int, end: int
) -> tuple[str, SourceMessage | SourceEnd, str | None] | Unreadable:
    """Read a line: its session's name, its message or the end that it tells, and its URL."""
    place, line = f"line {number}", text[begin:end].strip(_BLANKS)
    fields = _fields(line)
    if fields is None:
        return Unreadable(place, "it is no JSON object that can be read")
    found: SourceMessage | SourceEnd | None = _find_close(fields)
    if found is None:
        said = _find_message(line, fields)
        if isinstance(said, str):
            return Unreadable(place, said, is_lost=said != _NO_EVENT)
        found = SourceMessage(said[0], "text", said[1], find_time(fields, is_bare=said[1] is line))
    name = next((str(fields[key]) for key in _SESSION_KEYS if isinstance(fields.get(key), str | int)), "")
    url = next((fields[key] for key in _URL_KEYS if isinstance(fields.get(key), str)), None)
    return name, found, url if url and "://" in url else None


def _find_close(fields: Fields) -> SourceMessage | SourceEnd | None:
    """Read a line that tells the end: `{"dir": "in", "kind": "close", "code": 1000, "reason": "…"}`."""
    if not any(isinstance(fields.get(key), str) and fields[key] in _CLOSE_WORDS for key in _CLOSE_KEYS):
        return None
    code, reason = fields.get("code", fields.get("close_code")), fields.get("reason", fields.get("close_reason"))
    told = reason if isinstance(reason, str) and reason else None
    code = close_code(code)
    sender, at = _direction(fields, is_bare=True), find_time(fields)
    if sender is None or code is None or code in _NEVER_SENT:
        return SourceEnd(None, code, told, at)
    return SourceMessage(sender, "close", close_payload(code, told), at)


def _find_message(line: bytes, fields: Fields) -> tuple[Sender, bytes] | str:
    """Find who sent what; or say why that cannot be told."""
    event_type = fields.get("type")
    bare_sender = sender_of(event_type) if isinstance(event_type, str) else None
    key = next((key for key in _EVENT_KEYS if _is_event(fields.get(key))), None)
    told = _direction(fields, is_bare=key is None)
    if key is None or (bare_sender is not None and told is None):
        if isinstance(event_type, str) and _EVENT_TYPE.fullmatch(event_type) and event_type not in _DIRECTIONS:
            sender = told or bare_sender
            return (sender, line) if sender else "it has no direction, and its type does not tell who sent it"
        return _wrapped_by_sender(fields) or _told_text(fields, told) or _NO_EVENT
    content = _content(fields[key])
    sender = told or sender_of(_type_in(content) or "")
    return (sender, content) if sender else "it has no direction, and its event's type does not tell who sent it"


def _direction(fields: Fields, *, is_bare: bool) -> Sender | None:
    for key in _DIRECTION_KEYS:
        value = fields.get(key)
        if key in ("type", "kind") and is_bare:
            continue
        if isinstance(value, str) and value.strip().lower() in _DIRECTIONS:
            return _DIRECTIONS[value.strip().lower()]
    flag = fields.get("from_client", fields.get("outgoing", fields.get("is_client")))
    return ("client" if flag else "server") if isinstance(flag, bool) else None


def _told_text(fields: Fields, sender: Sender | None) -> tuple[Sender, bytes] | None:
    """Read a message that is no JSON object, where the line says who sent it."""
    value = next((fields[key] for key in _EVENT_KEYS if fields.get(key) is not None), None)
    return None if sender is None or value is None else (sender, _content(value))


def _wrapped_by_sender(fields: Fields) -> tuple[Sender, bytes] | None:
    """Read `{"sent": {…}}`: the direction is the event's own key."""
    for key, value in fields.items():
        if key in _DIRECTIONS and _is_event(value):
            return _DIRECTIONS[key], _content(value)
    return None


def _is_event(value: object) -> bool:
    if isinstance(value, msgspec.Raw):
        return bytes(value).lstrip()[:1] == b"{"
    return isinstance(value, dict) or (isinstance(value, str) and value.lstrip()[:1] == "{")


def _content(value: Any) -> bytes:
    """Give a message's bytes: a text as it is, an object as the line spells it, without blanks between its tokens."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, msgspec.Raw):
        return compact(bytes(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


class _Typed(msgspec.Struct):
    type: str | None = None


def _type_in(content: bytes) -> str | None:
    try:
        return msgspec.json.decode(content, type=_Typed).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _fields(line: bytes) -> Fields | None:
    try:
        raw = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        return {key: _scalar(value) for key, value in raw.items()}
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _read_whole(line)


def _scalar(value: msgspec.Raw) -> Any:
    begins = memoryview(value)[:1].tobytes()
    return value if begins in (b"{", b"[") else msgspec.json.decode(value)


def _read_whole(line: bytes) -> Fields | None:
    found = read_leniently(line)
    return found if isinstance(found, dict) else None
