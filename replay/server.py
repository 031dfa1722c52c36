"""The shell: a WebSocket server that gives every client the server's side of one recording."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ProtocolError
from websockets.frames import Close as ClosePayload
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from capture.connection import NO_CLOSE_FRAME
from capture.errors import UsageProblem
from capture.narration import counted
from capture.recording.reader import RecordedMessage, Recording
from replay.server_planning import make_server_plan
from replay.server_side import WAIT_TIMEOUT_NS, Action, Close, Diverged, Drop, Send, ServerSide
from replay.simulator.endpoint.connection import SimulatedConnection
from replay.simulator.endpoint.listening import listen as listen_for_clients
from replay.simulator.endpoint.plain_http import HttpAnswer, HttpRequest, answer_json

Tell = Callable[[str], None]

_SWITCHING_PROTOCOLS = 101
_TOLD_HEADERS = ("x-", "apim-", "openai-", "azureml-", "cf-ray", "retry-after", "content-type")
"""What a recorded endpoint said about itself; how it spoke HTTP is our own business."""

_logger = logging.getLogger(__name__)


class RecordedEndpoint:
    """A recording that is served."""

    def __init__(self, recording: Recording, *, speed: float, timeout_ns: int, tell: Tell) -> None:
        """Read the recording; raises `UsageProblem` where there is no WebSocket in it, or it cannot be read."""
        session = recording.session
        messages = list(recording.messages())
        if _is_plain_exchange(session, messages):
            raise UsageProblem(
                f"recording {recording.session_id} is a plain HTTP request: only sessions are served; take one of"
                " `wiretape analyze sessions`"
            )
        self.url = ""
        """Where to connect, under any path."""
        self.first_is_over = asyncio.Event()
        """Set when the first client is gone."""
        self._refusal = _refusal_body(messages)
        self._status: int = session["handshake_status"] or _SWITCHING_PROTOCOLS
        headers: Mapping[str, str] = session["response_headers"] or {}
        self._headers = {name: value for name, value in headers.items() if name.lower().startswith(_TOLD_HEADERS)}
        self.compression = "deflate" if "permessage-deflate" in headers.get("sec-websocket-extensions", "") else None
        """What the recorded endpoint agreed to."""
        dropped = session["closed_by"] in ("server", "network") and session["close_code"] == NO_CLOSE_FRAME
        dropped_at_ns = int((session["duration_ms"] or 0) * 1_000_000) if dropped else None
        self._plan = make_server_plan(messages, session["gaps"] or (), dropped_at_ns=dropped_at_ns)
        self._speed = speed
        self._timeout_ns = timeout_ns
        self._tell = tell
        self._numbers = itertools.count(1)
        self._tell_what_is_missing(session, messages)

    def decide(self, _connection: ServerConnection, _request: Request) -> Response | None:
        """Refuse the upgrade, where the recorded endpoint did."""
        if self._status == _SWITCHING_PROTOCOLS:
            return None
        self._tell(f"client {next(self._numbers)}: refused with HTTP {self._status}, as recorded")
        self.first_is_over.set()
        body = self._refusal.encode()
        # `respond` takes no status that HTTP does not name, such as 499 and 520 of proxies.
        phrase = next((known.phrase for known in HTTPStatus if known == self._status), "")
        headers = Headers({"content-type": "text/plain; charset=utf-8", **self._headers})
        headers.update({"Date": formatdate(usegmt=True), "Connection": "close", "Content-Length": str(len(body))})
        return Response(self._status, phrase, headers, body)

    def add_headers(self, connection: ServerConnection, request: Request, response: Response) -> None:  # noqa: ARG002
        """Tell what the recorded endpoint told of itself, such as the request's id."""
        told = {name: value for name, value in self._headers.items() if name.lower() != "content-type"}
        if response.status_code == _SWITCHING_PROTOCOLS:
            response.headers.update(told)

    def answer_plainly(self, request: HttpRequest) -> HttpAnswer:
        """Tell that a request is not served which opens no WebSocket, such as the one for a client secret."""
        path = request.path_and_query.partition("?")[0]
        self._tell(f"{request.method} {path}: 404, only the WebSocket of the recording is served")
        message = "Wiretape serves the WebSocket of a recording here, and no other request."
        return answer_json(404, {"error": {"code": "404", "message": message}})

    async def talk(self, connection: ServerConnection) -> None:
        """Serve one client."""
        side = ServerSide(self._plan, speed=self._speed, timeout_ns=self._timeout_ns)
        client = _Client(connection, side, f"client {next(self._numbers)}", self._tell)
        try:
            await client.run()
        finally:
            self.first_is_over.set()

    def _tell_what_is_missing(self, session: Mapping[str, Any], messages: Sequence[RecordedMessage]) -> None:
        if self._status == _SWITCHING_PROTOCOLS and not self._plan.outgoing:
            self._tell("the recorded server said nothing: a client is let in, and hears nothing")
        for left_out in self._plan.not_sent:
            self._tell(f"not served: {left_out}")
        redacted = sum(message.redacted and message.sender == "server" for message in messages)
        if redacted:
            self._tell(f"{redacted} messages of the server are served redacted, as they were kept")
        if session["gaps"]:
            self._tell("the recording has gaps: what the server said in them is not served")


@asynccontextmanager
async def serve_recording(
    recording: Recording,
    *,
    listen: tuple[str, int] = ("127.0.0.1", 0),
    speed: float = 1.0,
    timeout_ns: int = WAIT_TIMEOUT_NS,
    tell: Tell = _logger.info,
) -> AsyncIterator[RecordedEndpoint]:
    """Serve a recording as an endpoint until the block is left; `tell` is told of each client and its divergences.

    Raises `UsageProblem` where it cannot be served, or the address cannot be listened on.
    """
    endpoint = await asyncio.to_thread(RecordedEndpoint, recording, speed=speed, timeout_ns=timeout_ns, tell=tell)

    def connect(protocol: ServerProtocol, server: Server, **options: Any) -> ServerConnection:
        return SimulatedConnection(protocol, server, endpoint.answer_plainly, **options)

    listening = listen_for_clients(
        endpoint.talk,
        listen,
        create_connection=connect,
        process_request=endpoint.decide,
        process_response=endpoint.add_headers,
        compression=endpoint.compression,
        server_header="wiretape-replay",
        # A client that stops at a breakpoint is not to be hung up on: that is not in the recording.
        ping_interval=None,
    )
    async with listening as endpoint.url:
        yield endpoint


class _Client:
    def __init__(self, connection: ServerConnection, side: ServerSide, name: str, tell: Tell) -> None:
        self._connection = connection
        self._side = side
        self._name = name
        self._tell = tell
        self._divergences = 0
        self._to_do: deque[Action] = deque()

    async def run(self) -> None:
        request = self._connection.request
        self._tell(f"{self._name}: connected to {_path_of(request)}")
        began_ns = time.monotonic_ns()
        try:
            await self._perform(self._side.open(began_ns))
            while not self._side.has_ended:
                await self._perform(await self._next_actions())
        except ConnectionClosed:
            undone = [*self._to_do]
            self._to_do.clear()
            await self._perform([*self._side.disconnect(undone)])
        finally:
            self._tell_end((time.monotonic_ns() - began_ns) / 1e9)

    async def _next_actions(self) -> list[Action]:
        due_ns = self._side.next_ns
        delay_s = None if due_ns is None else max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
        try:
            async with asyncio.timeout(delay_s):
                # Cancelling recv loses nothing (websockets documents it), so one task serves both directions.
                message = await self._connection.recv()
        except TimeoutError:
            return self._side.tick(time.monotonic_ns())
        return self._side.receive(time.monotonic_ns(), message)

    async def _perform(self, actions: list[Action]) -> None:
        self._to_do.extend(actions)
        while self._to_do:
            await self._do(self._to_do[0])
            self._to_do.popleft()

    async def _do(self, action: Action) -> None:
        match action:
            case Send():
                await self._connection.send(action.content)
            case Diverged():
                self._divergences += 1
                self._tell(f"{self._name}: {action.kind}: {action.text}")
            case Close():
                await self._close(action.content)
            case Drop():
                self._connection.transport.abort()
                await self._connection.wait_closed()

    async def _close(self, content: bytes) -> None:
        payload = _close_payload(content)
        if payload is not None:
            await self._connection.close(payload.code, payload.reason)
            return
        self._connection.transport.write(Frame(Opcode.CLOSE, content).serialize(mask=False))
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(self._connection.close_timeout):
                while True:
                    await self._connection.recv()

    def _tell_end(self, passed_s: float) -> None:
        how = "ended as recorded" if self._side.has_ended else f"closed with {self._connection.close_code}"
        total = self._side.sent + self._side.to_send
        divergences = counted(self._divergences, "divergence")
        self._tell(
            f"{self._name}: {how} after {passed_s:.1f} s; {self._side.sent}/{total} messages sent, {divergences}"
        )


def _close_payload(content: bytes) -> ClosePayload | None:
    """Read what a close frame holds; None where `websockets` would not send it.

    That is a frame without a code, or with one that is none, or a reason that is no text.
    """
    try:
        return ClosePayload.parse(content) if content else None
    except (ProtocolError, UnicodeDecodeError):
        return None


def _path_of(request: Request | None) -> str:
    # Keys stand in queries.
    return request.path.partition("?")[0] if request else "/"


def _is_plain_exchange(session: Mapping[str, Any], messages: Sequence[RecordedMessage]) -> bool:
    methods = {message.row.get("http_method") for message in messages if message.kind == "http"}
    asked: Mapping[str, str] = session["request_headers"] or {}
    asks_no_upgrade = bool(asked) and "upgrade" not in asked and session["handshake_status"] != _SWITCHING_PROTOCOLS
    return asks_no_upgrade or bool(methods - {None, "GET"})


def _refusal_body(messages: Sequence[RecordedMessage]) -> str:
    bodies = (m.content for m in messages if m.kind == "http" and m.sender == "server")
    body = next(bodies, "")
    return body if isinstance(body, str) else body.decode("utf-8", "replace")
