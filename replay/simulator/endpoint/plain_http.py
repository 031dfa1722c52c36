"""Plain HTTP on the port of a WebSocket server: read one request off the wire, put one answer on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11
import msgspec

_MAX_BODY_BYTES = 1024 * 1024
_UPGRADE_METHOD = b"GET "


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One whole request."""

    method: str
    path_and_query: str
    headers: Mapping[str, str]
    """Names in lower case; several of one name are joined with commas."""
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One whole answer; its length and the end of the connection are added when it is encoded."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class BadRequest(Exception):
    """What came is no HTTP request, or too long a one."""


def is_plain(first_bytes: bytes) -> bool:
    """Tell whether a connection begins as no upgrade does: upgrades are GET requests."""
    return not _UPGRADE_METHOD.startswith(first_bytes[: len(_UPGRADE_METHOD)])


class RequestReader:
    """Collects the bytes of one request."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = bytearray()

    def feed(self, received: bytes) -> HttpRequest | None:
        """Take bytes in; give the request once it is whole. Raises `BadRequest`."""
        try:
            self._connection.receive_data(received)
            while (event := self._connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Request):
                    self._head = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                    return _whole(self._head, bytes(self._body))
                if len(self._body) > _MAX_BODY_BYTES:
                    raise BadRequest(f"a body of more than {_MAX_BODY_BYTES} bytes")
        except h11.RemoteProtocolError as error:
            raise BadRequest(str(error)) from error
        return None


def _whole(head: h11.Request, body: bytes) -> HttpRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return HttpRequest(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, body)


def answer_json(status: int, content: Any) -> HttpAnswer:
    """Make an answer of JSON."""
    return HttpAnswer(status, msgspec.json.encode(content), {"Content-Type": "application/json"})


def encode_answer(answer: HttpAnswer) -> bytes:
    """Put an answer into the bytes of HTTP/1.1; the connection ends with it."""
    headers = {**answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body
