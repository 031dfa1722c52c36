"""Carry clients to one target: read the request, address it, splice the connection once the upgrade stands.

A connection goes through a gate at either end while HTTP is spoken. A 101 turns the two into a splice; any other
answer, and any request that asks for no WebSocket, is one HTTP exchange, after which both ends close.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import h11

from capture.admission import WaitingRoom, is_authorized, refuse_web_pages
from capture.exchange import Exchange, Gate, final_head, keep_body
from capture.handshake import (
    BadRequest,
    RequestHead,
    TlsSpoken,
    UpstreamRequest,
    holds_credential,
    parse_request,
    plain_response,
    rewrite_request,
)
from capture.narration import Seldom
from capture.policy import RecordingPolicy, RelayLimits
from capture.recorder import Recorder, SessionRecording, Unrecorded
from capture.recording.facts import ClosedBy, HandshakeRequest, HandshakeResponse, SessionEnd
from capture.redaction import redact_headers, redact_url
from capture.sealing import SealedSession
from capture.splice import Splice
from capture.tagging import read_tags
from capture.targets import Target
from capture.tls_accept import ServerTls, TlsDoor
from capture.upstream import Upstream

SWITCHING_PROTOCOLS = 101

_log = logging.getLogger(__name__)


_Recording = SessionRecording | Unrecorded


class Relay:
    """Carries every client that connects to one target, each in a task of the given group."""

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        tasks: asyncio.TaskGroup,
        *,
        policy: RecordingPolicy | None = None,
        client_token: str | None = None,
        limits: RelayLimits | None = None,
        on_sealed: Callable[[Future[SealedSession]], None] | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Serve clients over TLS where `tls` gives the context for each next one."""
        self.target = target
        self.target_name = redact_url(target.name)
        self.limits = limits or RelayLimits()
        self.client_token = client_token
        self._recorder = recorder
        self._tasks = tasks
        self._policy = policy or RecordingPolicy()
        self._on_sealed = on_sealed
        self._live: dict[_Connection, asyncio.Task[None]] = {}
        self._tls = tls and ServerTls(tls, self.limits.head_s, self.limits.linger_s)
        # A handshake takes the processor many times as long as a head: a burst of calls outlasts the patience.
        places = self.limits.waiting * (8 if tls else 1)
        self._waiting: WaitingRoom[_Connection] = WaitingRoom(places, self.limits.waiting_s)
        self._is_draining = False
        self.unrecorded_sessions = 0
        """How many were carried without a recording, because none could be begun."""
        self._say_full = Seldom(_log.error)
        self.say_tls = Seldom(_log.warning)
        """Says that a client speaks TLS to this port, which it cannot be told itself."""
        self.upstream = Upstream(target, shutdown_s=self.limits.linger_s)

    def accept(self) -> asyncio.Protocol:
        """Make the protocol of a client that connects; a server's protocol factory."""
        return TlsDoor(self._tls, self._on_client) if self._tls else Gate(self._on_client)

    @property
    def live_sessions(self) -> int:
        """How many sessions are being carried."""
        return sum(connection.is_session for connection in self._live)

    @property
    def is_draining(self) -> bool:
        """Whether no new session is taken any more."""
        return self._is_draining

    async def drain(self) -> None:
        """Take no new session, and wait until the live ones have ended."""
        self._is_draining = True
        for connection, task in self._live.items():
            if not connection.is_session:
                task.cancel()
        if self._live:
            await asyncio.wait(self._live.values())

    def stop(self) -> None:
        """Close every live connection, and let their tasks end."""
        self._is_draining = True
        for connection, task in self._live.items():
            if not connection.stop():
                task.cancel()

    def _on_client(self, client: Gate) -> None:
        # It was accepted just before the listening socket closed.
        connection = None if self._is_draining else self._admit(client)
        if connection is None:
            client.abort()
            return
        task = self._tasks.create_task(connection.run(), name="wiretape connection")
        self._live[connection] = task
        task.add_done_callback(lambda _: self._live.pop(connection))

    def _admit(self, client: Gate) -> _Connection | None:
        """Give a client a place, if need be that of one that only waits; None where it gets not even a 503."""
        connection = _Connection(self, client)
        overdue = self._waiting.enter(connection, asyncio.get_running_loop().time(), is_full=self._is_full())
        if overdue is not None:
            overdue.drop()
        connection.has_room = not self._is_full()
        if connection.has_room:
            return connection
        self._say_full(
            "a client is refused: with %d connections the limit on open files is reached; raise it (ulimit -n,"
            " LimitNOFILE=)",
            self.limits.connections,
        )
        if sum(not each.has_room for each in self._live) < self.limits.refused:
            return connection
        self._waiting.leave(connection)
        return None

    def has_come(self, connection: _Connection) -> None:
        """Note that a client's request has come, or that it need not come any more."""
        self._waiting.leave(connection)

    def _is_full(self) -> bool:
        room = self.limits.connections
        return room is not None and sum(connection.has_room for connection in self._live) >= room

    async def address(self, request: RequestHead) -> UpstreamRequest:
        """Rewrite a client's request for the target; WiretapeError where the target's key is not to be had."""
        target = self.target
        # Asking Entra for a token is network I/O; reading the environment is not.
        is_slow = target.auth == "entra"
        credential = await asyncio.to_thread(target.credential_headers) if is_slow else target.credential_headers()
        if self.client_token is None and (credential or holds_credential(target)):
            refuse_web_pages(request)
        # The client token opens this proxy only; the endpoint never sees it.
        return rewrite_request(request, target, credential, drop_credentials=self.client_token is not None)

    def start_recording(self, url: str, request: RequestHead, on_loss: Callable[[str], None]) -> _Recording:
        """Begin a recording; a stand-in where that fails, because the call comes first.

        Where the policy is strict, `on_loss` gets the reason when something is not recorded, on the loop.
        """
        target = self.target
        try:
            facts = self._recorder.new_facts(
                target=self.target_name,
                provider=target.provider,
                region=target.region,
                host=target.host,
                url=redact_url(url),
                **self._policy.facts(self._tags_of(request)),
            )
            return self._recorder.start_session(facts, on_loss=self._to_loop(on_loss, facts.session_id))
        except Exception as fault:  # noqa: BLE001 - it is the recording's and not the call's
            _log.exception("a session is not recorded: its journal cannot be opened")
            self.unrecorded_sessions += 1
            if self._policy.is_strict:
                on_loss(f"its journal cannot be opened: {fault}")
            return Unrecorded()

    def _to_loop(self, on_loss: Callable[[str], None], session_id: str) -> Callable[[str], None] | None:
        if not self._policy.is_strict:
            return None
        loop = asyncio.get_running_loop()

        def end(reason: str) -> None:
            _log.warning("%s: recording falters, and --strict ends the call: %s", session_id, reason)
            on_loss(reason)

        def tell(reason: str) -> None:
            loop.call_soon_threadsafe(end, reason)

        return tell

    def _tags_of(self, request: RequestHead) -> dict[str, str]:
        given = read_tags(request.headers)
        if given.refused:
            _log.warning("tags of a request were not taken: %s", "; ".join(given.refused[:5]))
        return given.tags

    def end_recording(self, recording: _Recording, end: SessionEnd) -> None:
        """Hand a session over to sealing."""
        sealed = recording.end(end)
        if sealed is not None and self._on_sealed is not None:
            sealed.add_done_callback(self._on_sealed)


class _Connection:
    """One client's connection, from its first byte to its end."""

    def __init__(self, relay: Relay, client: Gate) -> None:
        self.has_room = True
        """Whether it can be carried; otherwise it is told to come back."""
        self._relay = relay
        self._limits = relay.limits
        self._client = client
        self._server: Gate | None = None
        self._splice: Splice | None = None
        self.is_session = False
        """Whether a request has come that is being carried."""
        self._recording: _Recording = Unrecorded()
        self._loss: str | None = None
        """Why a strict recorder lets this call go no further."""
        self._last_words = b""
        """An answer of our own, where the endpoint gives none."""

    def stop(self) -> bool:
        """Close both ends of a splice; False where there is none yet, and the task can simply be cancelled."""
        if self._splice is not None:
            self._splice.stop()
        return self._splice is not None

    def drop(self) -> None:
        """Let go of a client that is not served yet, and of its place."""
        self.has_room = False
        self._client.abort()

    async def run(self) -> None:
        """Carry the client; whatever goes wrong with it, the others' calls go on."""
        try:
            await self._serve()
            await self._client.finish(self._last_words)
        except Exception:  # noqa: BLE001 - an error let out of here would end the group, and every call in it
            _log.exception("a connection ended in a fault of the relay")
        finally:
            self._relay.has_come(self)
            self._client.close()
            # An error may hold the frames that it passed, and they this, until the collector comes, which is seldom;
            # with asyncio a client's end over TLS is 256 KB.
            del self._client

    async def _serve(self) -> None:
        end: SessionEnd | None = None
        try:
            end = await self._open()
            if self._splice is not None:
                # By now request and heads are let go of: a call may take an hour.
                end = await self._splice.run()
        except asyncio.CancelledError:
            end = self._end("the proxy was stopped", "recorder")
            raise
        except Exception as error:  # noqa: BLE001 - the others' calls go on
            _log.exception("a connection broke in the relay")
            # Not its repr: that of a UnicodeError holds the whole request head.
            end = self._end(f"the relay failed: {type(error).__name__}: {error}", "recorder")
        finally:
            if end is not None:
                self._relay.end_recording(self._recording, end)
            if self._server is not None:
                self._server.close()

    async def _open(self) -> SessionEnd | None:
        """Read the request and carry it to its end; None where it got none, or where a splice has taken over."""
        try:
            request = await self._read_request()
            upstream = await self._relay.address(request)
        except BadRequest as problem:
            if isinstance(problem, TlsSpoken):
                self._relay.say_tls(
                    "a client speaks TLS, and this port does not: have it connect to ws://, or serve wss:// with"
                    " --tls-self-signed or --tls-cert and --tls-key"
                )
            self._answer(problem.status, problem.reason)
        except ConnectionError:
            self._client.close()
        except Exception as problem:  # noqa: BLE001 - the others' calls go on
            _log.error("a client could not be served: %s", problem)
            self._answer(502, str(problem))
        else:
            self._relay.has_come(self)
            self.is_session = True
            self._recording = self._relay.start_recording(upstream.url, request, self._end_unrecorded)
            return await self._carry(request, upstream)
        return None

    async def _read_request(self) -> RequestHead:
        await self._client.open()
        try:
            async with asyncio.timeout(self._limits.head_s):
                request = parse_request(await self._client.head())
        except TimeoutError as error:
            raise BadRequest(408, f"no whole request head within {self._limits.head_s:g} s") from error
        if not self.has_room:
            raise BadRequest(503, "as many sessions as this proxy has room for are live: come back later")
        token = self._relay.client_token
        if token is not None and not is_authorized(request, token):
            raise BadRequest(401, "send the proxy's client token as your API key")
        return request

    def _end_unrecorded(self, reason: str) -> None:
        """End the call because the recording has a loss and the policy is strict."""
        self._loss = reason
        if self._splice is not None:
            self._splice.stop(f"strict: it could not be recorded: {reason}")

    async def _carry(self, request: RequestHead, upstream: UpstreamRequest) -> SessionEnd | None:
        try:
            server = self._server = await self._connect()
        except OSError as error:
            self._note_request(upstream.head, None)
            await keep_body(self._client, request, self._recording, within_s=self._limits.linger_s)
            reason = _reason(error, self._limits.connect_s)
            return self._refuse(502, f"cannot be reached: {reason}")
        self._note_request(upstream.head, self._relay.upstream.remote_ip(server))
        if self._client.lost:
            return self._left()
        # Nobody waits for an answer once the client has gone.
        self._client.on_lost = server.transport.abort
        if request.is_upgrade:
            return await self._upgrade(server, request, upstream.head)
        return await self._exchange(server, request, upstream.head)

    async def _connect(self) -> Gate:
        async with asyncio.timeout(self._limits.connect_s):
            return await self._relay.upstream.connect()

    async def _upgrade(self, server: Gate, request: RequestHead, head: RequestHead) -> SessionEnd | None:
        server.transport.write(head.encode())
        try:
            async with asyncio.timeout(self._limits.answer_s):
                answer, response = await final_head(server, self._client)
        except (OSError, ValueError, BadRequest) as error:
            return self._no_answer(error)
        if response.status != SWITCHING_PROTOCOLS:
            server.held[:0] = answer
            return await self._exchange(server, request, head, is_sent=True)
        self._note_response(response.status, response.headers)
        if self._loss is not None:
            reason = f"strict: it could not be recorded: {self._loss}"
            self._answer(503, reason)
            return self._end(reason, "recorder")
        self._client.transport.write(answer)
        self._client.on_lost = None
        self._splice = Splice(self._client, server, self._recording, linger_s=self._limits.linger_s)
        return None

    async def _exchange(
        self, server: Gate, request: RequestHead, head: RequestHead, *, is_sent: bool = False
    ) -> SessionEnd:
        exchange = Exchange(self._client, server, self._recording, self._note_response)
        try:
            await exchange.run(request, head, is_sent=is_sent)
        except (OSError, h11.ProtocolError) as error:
            if exchange.is_answered:
                return self._end(f"the exchange broke off: {_told(error)}", "network")
            return self._no_answer(error)
        return self._end("the endpoint refused the upgrade" if is_sent else None, "server")

    def _no_answer(self, error: Exception) -> SessionEnd:
        if self._client.lost:
            return self._left()
        status = 504 if isinstance(error, TimeoutError) else 502
        reason = _reason(error, self._limits.answer_s)
        return self._refuse(status, f"gave no answer: {reason}")

    def _left(self) -> SessionEnd:
        return self._end("the client left before the endpoint had answered", "client")

    def _refuse(self, status: int, reason: str) -> SessionEnd:
        self._answer(status, f"{self._relay.target_name} {reason}")
        # Without the target's name: the same failure has one key wherever it happens.
        return self._end(reason, "network")

    def _answer(self, status: int, reason: str) -> None:
        self._last_words = plain_response(status, f"wiretape: {reason}")

    def _end(self, reason: str | None, closed_by: ClosedBy) -> SessionEnd:
        return SessionEnd(offset_ns=self._recording.now_ns(), closed_by=closed_by, end_reason=reason)

    def _note_request(self, head: RequestHead, remote_ip: str | None) -> None:
        self._recording.fact(
            HandshakeRequest(
                offset_ns=self._recording.now_ns(),
                method=head.method,
                path=redact_url(head.path),
                headers=redact_headers(head.headers),
                remote_ip=remote_ip,
            )
        )

    def _note_response(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self._recording.fact(
            HandshakeResponse(
                offset_ns=self._recording.now_ns(),
                status=status,
                headers=redact_headers(headers),
                remote_ip=self._relay.upstream.remote_ip(self._server) if self._server else None,
            )
        )


def _reason(error: Exception, waited_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {waited_s:g} s"
    return _told(error)


def _told(error: Exception) -> str:
    # h11 quotes the line that it does not understand, and a cookie may stand in it.
    return str(error).partition(": bytearray(")[0] or type(error).__name__
