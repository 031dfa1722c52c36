"""Sum one connection up: who was connected to what, how it was opened, and how it closed; pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from capture.content_encoding import encodings_of
from capture.recording.facts import (
    ClosedBy,
    Fact,
    HandshakeRequest,
    HandshakeResponse,
    Sender,
    SessionEnd,
    SessionFacts,
)
from capture.targets import AZURE_HOSTS

Row = dict[str, Any]

SWITCHING_PROTOCOLS = 101

NO_CLOSE_FRAME = 1006
_NEVER_SENT = (NO_CLOSE_FRAME, 1015)
"""Codes that no close frame bears: they are told where there was none (RFC 6455, 7.4.1)."""

_NO_CLOSE_CODE = 1005
# The last record of every journal is the session's end. Without it nobody knows more than this.
_NO_END = "the recorder died, or could write no more, before the session's end"
_NO_END_IN_FILE = "the imported file tells no end"
# What a server appends to the client's key to prove that it speaks WebSocket (RFC 6455, 4.2.2).
_ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REQUEST_IDS = frozenset({"x-request-id", "apim-request-id", "cf-ray"})


class ConnectionSummary:
    """Takes in a session's facts and close frames; gives the columns that describe the connection."""

    def __init__(self, facts: SessionFacts) -> None:
        self.facts = facts
        """What is known before the journal tells."""
        self.end: SessionEnd | None = None
        """None where the recorder died before the session ended."""
        self._request: HandshakeRequest | None = None
        self._response: HandshakeResponse | None = None
        self._sent_headers: dict[str, str] = {}
        self._received_headers: dict[str, str] = {}
        self._close_frames: dict[Sender, tuple[int, str]] = {}
        self.has_messages = False
        """Whether another tool's file holds messages of it: then it was a WebSocket, whatever its handshake tells."""

    def take_fact(self, fact: Fact) -> None:
        """Take in what the recorder knows; other facts are passed over."""
        match fact:
            case SessionFacts():
                self.facts = fact
            case HandshakeRequest():
                self._request, self._sent_headers = fact, header_map(fact.headers)
            case HandshakeResponse():
                self._response, self._received_headers = fact, header_map(fact.headers)
            case SessionEnd():
                self.end = fact

    def observe_close(self, sender: Sender, content: bytes) -> None:
        """Take in a close frame; only each sender's first one counts."""
        code = int.from_bytes(content[:2], "big") if len(content) >= 2 else _NO_CLOSE_CODE
        self._close_frames.setdefault(sender, (code, content[2:].decode("utf-8", "replace")))

    @property
    def has_server_closed(self) -> bool:
        """Whether the endpoint has said its goodbye."""
        return "server" in self._close_frames

    @property
    def status(self) -> int | None:
        """HTTP status of the handshake; None where no answer came."""
        return self._response.status if self._response else None

    @property
    def is_upgraded(self) -> bool:
        """Whether it became a WebSocket."""
        if self.has_messages or self.status == SWITCHING_PROTOCOLS:
            return True
        # Of a log without a handshake a close tells that it stood; these codes are told of what never stood as well.
        return self.is_imported and self.status is None and self._told_close()[0] not in (None, *_NEVER_SENT)

    @property
    def flaw(self) -> str | None:
        """What is wrong with the 101, so that a client that looks at it leaves; None: nothing, or it is not known."""
        key = self._sent_headers.get("sec-websocket-key")
        if self.status != SWITCHING_PROTOCOLS or self.is_imported or not key:
            return None
        given = self._received_headers.get("sec-websocket-accept")
        if given is None:
            return "it has no Sec-WebSocket-Accept"
        due = base64.b64encode(hashlib.sha1(f"{key}{_ACCEPT_GUID}".encode(), usedforsecurity=False).digest())
        return None if given.encode() == due else "its Sec-WebSocket-Accept answers another key"

    @property
    def is_imported(self) -> bool:
        """Whether another tool recorded it: what that does not tell is not known, and nothing is concluded from it."""
        return self.facts.role == "imported"

    @property
    def is_answered_exchange(self) -> bool:
        """Whether it was a plain request that was answered, and not an upgrade that was refused."""
        wants_upgrade = self._request is None or "upgrade" in self._sent_headers
        return not wants_upgrade and self.status is not None and 200 <= self.status < 400

    @property
    def http_method(self) -> str | None:
        """Method of the request that opened it."""
        return self._request.method if self._request else None

    @property
    def url(self) -> str:
        """URL asked of the endpoint, redacted; empty where it is not known."""
        return self.facts.url or ""

    @property
    def sent_headers(self) -> dict[str, str]:
        """Headers of the request, redacted, by lower-case name."""
        return self._sent_headers

    def content_encodings(self, sender: Sender) -> list[str]:
        """List the codings of a sender's body, in the order in which they were applied."""
        return encodings_of(self._sent_headers if sender == "client" else self._received_headers)

    @property
    def asked_model(self) -> str | None:
        """Model or deployment that the URL asks for."""
        query = parse_qs(_split(self.url).query)
        return next((query[name][0] for name in ("model", "deployment") if name in query), None)

    @property
    def is_side_channel(self) -> bool:
        """Whether the call itself goes over WebRTC or SIP."""
        return "call_id" in parse_qs(_split(self.url).query)

    def peer(self) -> Row:
        """Tell who was at the other end."""
        return {
            "target": self.facts.target,
            "provider": self.facts.provider or self._provider(),
            "region": self.facts.region or self._region(),
            "host": self._host(),
            "remote_ip": self.facts.remote_ip or _remote_ip(self._response) or _remote_ip(self._request),
            "url": self.facts.url,
        }

    def handshake(self) -> Row:
        """Tell how it was opened."""
        ids = {name: value for name, value in self._received_headers.items() if _is_request_id(name)}
        return {
            "handshake_status": self.status,
            "request_headers": self._sent_headers,
            "response_headers": self._received_headers,
            "request_ids": ids,
            "user_agent": self._sent_headers.get("user-agent"),
        }

    def close(self) -> Row:
        """Tell how it closed: the one who closed says why, the other side's close frame is an echo of it."""
        closed_by = self._closed_by()
        code, reason = None, None
        if self.is_upgraded:
            frames = [frame for sender, frame in self._close_frames.items() if closed_by in (sender, "recorder")]
            told = self._told_close()
            code, reason = frames[0] if frames else told if told[0] or self.is_imported else (NO_CLOSE_FRAME, "")
        return {
            "closed_by": closed_by,
            "close_code": code,
            "close_reason": reason or None,
            "end_reason": self.end.end_reason if self.end else _NO_END_IN_FILE if self.is_imported else _NO_END,
        }

    def _told_close(self) -> tuple[int | None, str | None]:
        return (self.end.close_code, self.end.close_reason) if self.end else (None, None)

    def _closed_by(self) -> ClosedBy | None:
        told = self.end.closed_by if self.end else None
        if told == "recorder":
            return told
        # A close frame says who ended the session; who let go of the connection first says it only without one.
        if self._close_frames:
            return next(iter(self._close_frames))
        if self.is_imported:
            return told
        # A journal that stops without a word is the recorder's end, not the network's.
        if self.end is None:
            return "recorder"
        return "network" if told is None and self.is_upgraded else told

    def _host(self) -> str | None:
        return self.facts.host or _split(self.url).hostname

    def _provider(self) -> str | None:
        if "x-wiretape-simulator" in self._received_headers:
            return "simulator"
        host = (self._host() or "").lower()
        if self.is_imported and not host:
            return None
        if host.endswith(AZURE_HOSTS):
            return "azure"
        return "openai" if host == "api.openai.com" else "other"

    def _region(self) -> str | None:
        # "East US 2" in the header is eastus2 everywhere else.
        return self._received_headers.get("x-ms-region", "").replace(" ", "").lower() or None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def header_map(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map lower-case names to values; a name given several times has its values joined, as HTTP allows."""
    joined: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        joined[lower] = f"{joined[lower]}, {value}" if lower in joined else value
    return joined


def _is_request_id(name: str) -> bool:
    return (
        name in _REQUEST_IDS or name.startswith("openai-") or (name.startswith("x-ms-") and name.endswith("request-id"))
    )


def _remote_ip(head: HandshakeRequest | HandshakeResponse | None) -> str | None:
    return head.remote_ip if head else None
