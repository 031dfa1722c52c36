"""Plays the client's side of a scenario against a URL: connects, sends, waits, stalls, hangs up, as its steps say."""

from __future__ import annotations

import asyncio
import http.client
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec
import pybase64
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from replay.simulator.client.audio import chunks_of, format_of
from replay.simulator.client.script import CLOSED, ClientSession, HttpRequest, Step
from replay.simulator.client.seen_ids import SeenIds, UnseenId
from replay.simulator.clock import NS_PER_MS, NS_PER_S, Clock

TIMEOUT_S = 20.0
"""How long an `await` waits that says nothing of it."""
_ABNORMAL = 1006
_HTTP_TIMEOUT_S = 30.0

Json = dict[str, Any]


class SteppableClock(Clock, Protocol):
    """The clock of a staging: the script moves it forward."""

    def advance_s(self, seconds: float) -> None:
        """Move forward, and wake those who wait."""
        ...


@dataclass(frozen=True, slots=True)
class Played:
    """How one session of a script went."""

    ended: str
    """How its WebSocket ended, in plain words."""
    problem: str | None = None
    """The step that the script could not do, and why; None where all went as written."""


class ScriptFailed(Exception):
    """A step could not be done."""


class _Ended(Exception):
    """The connection is gone; what is left of the script has nobody to be played to."""


async def play_session(session: ClientSession, origin: str, clock: SteppableClock, *, seed: int = 0) -> Played:
    """Play one session of a script; `origin` is `ws://HOST:PORT`. An endpoint that refuses or leaves ends it early.

    Nothing is raised for what the endpoint does; an `await` in vain is told in `problem`, with the step.
    """
    if not session.has_socket:
        return await _play_requests(session.steps, origin)
    query = session.query if session.query is not None else {"model": session.model}
    url = f"{origin}{session.path}{'?' if query else ''}{urlencode(query)}"
    try:
        connection = await connect(
            url,
            additional_headers=session.headers,
            subprotocols=[Subprotocol(name) for name in session.subprotocols] or None,
            user_agent_header="wiretape-script",
            compression=None,
            max_size=None,
            # What the network of the machine is like is none of a script's business.
            proxy=None,
            ping_interval=None,
        )
    except InvalidStatus as refusal:
        return Played(f"refused with HTTP {refusal.response.status_code}")
    except (OSError, InvalidHandshake) as failure:
        return Played(f"not opened: {failure}")
    return await _Script(connection, origin, clock, seed).play(session.steps)


class _Script:
    """One connection, what came over it, and where the script is."""

    def __init__(self, connection: ClientConnection, origin: str, clock: SteppableClock, seed: int) -> None:
        self._connection = connection
        self._origin = origin
        self._clock = clock
        self._seed = seed
        self._ids = SeenIds()
        self._unheard: Counter[str] = Counter()
        """Events that came and no `await` has taken yet, by type."""
        self._last_type = "nothing"
        self._is_closed = False
        self._waiting: tuple[tuple[str, ...], asyncio.Future[bool]] | None = None
        self._actions: dict[str, Callable[[Step], Coroutine[Any, Any, None]]] = {
            "update": self._update,
            "speak": self._speak,
            "silence_ms": self._speak,
            "noise_dbfs": self._speak,
            "commit": lambda _: self._send({"type": "input_audio_buffer.commit"}),
            "respond": self._respond,
            "cancel": lambda _: self._send({"type": "response.cancel"}),
            "send": lambda step: self._send(self._filled(step.send)),
            "await": self._await,
            "skip_s": self._skip,
            "stall_s": self._stall,
            "http": self._http,
            "close": self._close,
        }

    async def play(self, steps: tuple[Step, ...]) -> Played:
        """Take one step after the other, and read beside it; at the end the connection is closed."""
        problem: str | None = None
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(), name="script reading")
            try:
                for number, step in enumerate(steps, 1):
                    problem = await self._take(number, step)
                    if problem is not None or self._is_closed:
                        break
            except (ConnectionClosed, _Ended):
                pass
            await self._connection.close()
            await reading
        return Played(self._ending(), problem)

    async def _take(self, number: int, step: Step) -> str | None:
        try:
            await self._actions[step.action](step)
        except (ScriptFailed, UnseenId) as failure:
            return _problem(number, step, failure)
        return None

    def _ending(self) -> str:
        connection = self._connection
        by = "the server" if connection.protocol.close_rcvd_then_sent else "the client"
        if connection.close_code in (None, _ABNORMAL):
            return "dropped without a close frame"
        return f"closed by {by} with {connection.close_code}"

    async def _read(self) -> None:
        try:
            async for message in self._connection:
                self._hear(msgspec.json.decode(message))
        except ConnectionClosed:
            pass
        finally:
            self._is_closed = True
            self._answer_waiting()

    def _hear(self, event: Json) -> None:
        self._last_type = str(event.get("type"))
        self._ids.note(event)
        self._unheard[self._last_type] += 1
        self._answer_waiting()

    def _answer_waiting(self) -> None:
        if self._waiting is None or self._waiting[1].done():
            return
        types, waiting = self._waiting
        if self._has_come(types):
            waiting.set_result(True)
        elif self._is_closed:
            waiting.set_exception(_Ended())

    def _has_come(self, types: tuple[str, ...]) -> bool:
        """Take one event of these types; each answers one `await` only."""
        for name in types:
            if name == CLOSED and self._is_closed:
                return True
            if self._unheard[name]:
                self._unheard[name] -= 1
                return True
        return False

    async def _await(self, step: Step) -> None:
        timeout_s = TIMEOUT_S if step.timeout_s is None else step.timeout_s
        self._waiting = (step.awaited_types, asyncio.get_running_loop().create_future())
        self._answer_waiting()
        try:
            if not await self._within(timeout_s, self._waiting[1]) and not step.optional:
                raise ScriptFailed(f"did not come within {timeout_s:g} s; the last that came was {self._last_type}")
        finally:
            self._waiting = None

    async def _within(self, timeout_s: float, waiting: asyncio.Future[bool]) -> bool:
        due_ns = self._clock.now_ns() + round(timeout_s * NS_PER_S)
        async with asyncio.TaskGroup() as tasks:
            timer = tasks.create_task(self._clock.sleep_until(due_ns), name="script timeout")
            await asyncio.wait((timer, waiting), return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
        return waiting.result() if waiting.done() else False

    async def _update(self, step: Step) -> None:
        asked = self._filled(step.update)
        session = asked if step.dialect == "beta" else {"type": "realtime", **asked}
        await self._send({"type": "session.update", "session": session})

    async def _respond(self, step: Step) -> None:
        response = self._filled(step.respond)
        await self._send({"type": "response.create", **({"response": response} if response else {})})

    async def _speak(self, step: Step) -> None:
        started_ns, ms_ns = self._clock.now_ns(), NS_PER_MS / (step.pace or 1)
        ended_ms = 0.0
        for due_ms, chunk in chunks_of(step, self._seed):
            await self._clock.sleep_until(started_ns + round(due_ms * ms_ns))
            await self._send({"type": "input_audio_buffer.append", "audio": pybase64.b64encode(chunk).decode()})
            ended_ms = due_ms + format_of(step).milliseconds(len(chunk))
        await self._clock.sleep_until(started_ns + round(ended_ms * ms_ns))

    async def _skip(self, step: Step) -> None:
        self._clock.advance_s(step.skip_s or 0)

    async def _stall(self, step: Step) -> None:
        # Nothing is read, so nothing is answered, pings and closes neither: what a blocked event loop looks like.
        transport = self._connection.transport
        transport.pause_reading()
        await self._clock.sleep_until(self._clock.now_ns() + round((step.stall_s or 0) * NS_PER_S))
        if not transport.is_closing():
            transport.resume_reading()

    async def _http(self, step: Step) -> None:
        await _request(self._origin, step)

    async def _close(self, step: Step) -> None:
        if step.close == _ABNORMAL:
            self._connection.transport.abort()
            await self._connection.wait_closed()
        else:
            await self._connection.close(step.close or 1000, step.reason or "")
        raise _Ended

    async def _send(self, event: Json) -> None:
        await self._connection.send(msgspec.json.encode(event), text=True)

    def _filled(self, value: Json | None) -> Json:
        filled: Json = self._ids.fill(value or {})
        return filled


async def _play_requests(steps: tuple[Step, ...], origin: str) -> Played:
    for number, step in enumerate(steps, 1):
        try:
            await _request(origin, step)
        except ScriptFailed as failure:
            return Played("no WebSocket", _problem(number, step, failure))
    return Played("no WebSocket")


def _problem(number: int, step: Step, failure: Exception) -> str:
    return f"step {number}, {step.title}: {failure}"


async def _request(origin: str, step: Step) -> int:
    """Make a plain request; give the status of the answer. Raises `ScriptFailed` where none comes."""
    assert step.http is not None  # noqa: S101 - the only action of a step that has it
    try:
        return await asyncio.to_thread(_exchange, origin, step.http)
    except (OSError, http.client.HTTPException) as failure:
        raise ScriptFailed(f"no answer came: {str(failure) or type(failure).__name__}") from failure


def _exchange(origin: str, request: HttpRequest) -> int:
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=_HTTP_TIMEOUT_S)
    body = None if request.json is None else msgspec.json.encode(request.json)
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(request.method, request.path, body, headers | request.headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
