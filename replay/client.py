"""Play one trial: the client's side of a recorded session against a target, recorded as a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

from websockets.exceptions import ConnectionClosed

from capture.errors import EndpointRefused, WiretapeError
from capture.handshake import query_pairs
from capture.in_process import STALLED_S, connect_recorded, say_goodbye
from capture.pacing import Pacing
from capture.realtime.events import parse_event
from capture.recording.facts import ClosedBy, Divergence, ReplayFacts, Rewrite, SessionEnd
from capture.redaction import REDACTED, is_credential_name, redact_url
from capture.targets import DEPLOYMENT_IN_PATH
from replay.actions import Action, Diverged, Finished, Send, WaitUntil
from replay.deadlines import Deadlines
from replay.handshake import Handshake, transpose_handshake
from replay.inbox import Inbox
from replay.plan import Plan
from replay.player import WAIT_TIMEOUT_NS, Player
from replay.rewrite import Change
from replay.runs import ClockKind, OnNewTool
from replay.transposition import Spoken

if TYPE_CHECKING:
    from capture.recorder import Recorder, SessionRecording
    from capture.sealing import SealedSession
    from capture.tap import TappedConnection
    from capture.targets import Target

_CARRIED_HEADERS = {"openai-beta", "openai-safety-identifier"}
"""What a recorded client said about the protocol; everything else of its request is its own business."""
_NORMAL_CLOSE, _GOING_AWAY = 1000, 1001
_INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a replay repeats of the recorded handshake."""

    path_and_query: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    compression: str | None = None
    changes: tuple[Change, ...] = ()
    """What was changed against the recording."""

    def transposed(self, target: Target, to: Spoken) -> Upgrade:
        """Ask a target for a session in the dialect that was not recorded."""
        asked = Handshake(self.path_and_query, self.headers, self.subprotocols)
        made, changes = transpose_handshake(asked, target, to)
        return Upgrade(made.path_and_query, made.headers, made.subprotocols, self.compression, tuple(changes))

    def changes_for(self, target: Target) -> list[Change]:
        """List all changes of the handshake for a target: the dialect's, and another model or deployment in the URL."""
        url = redact_url(target.request_url(self.path_and_query)).removeprefix(target.origin)
        asked = [_without_credentials(each) for each in (self.path_and_query, url)]
        deployed = {found[0] for each in asked if (found := DEPLOYMENT_IN_PATH.search(each))}
        before, after = (urlsplit(each).query for each in asked) if len(deployed) < 2 else asked
        # The order of a query is nobody's choice: where targets put their model is no change.
        same = sorted(before.split("&")) == sorted(after.split("&"))
        return [*self.changes, *([] if same else [Change("model", "url", before, after)])]


@dataclass(frozen=True, slots=True)
class Played:
    """A trial that is over, and its recording in the making."""

    session_id: str
    end_reason: str
    divergences: int
    pacing: Pacing
    """How punctually it sent what was due at a time."""
    sealed: Future[SealedSession]
    refusal: EndpointRefused | None = None
    """How the endpoint refused the session, if it did."""


def read_upgrade(session: Mapping[str, Any]) -> Upgrade:
    """Read from a sessions row what to repeat of its handshake."""
    url = urlsplit(session["url"] or "")
    headers = {name.lower(): value for name, value in (session["request_headers"] or {}).items()}
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    return Upgrade(
        path_and_query=_without_credentials(url._replace(scheme="", netloc="").geturl()),
        headers=tuple((name, value) for name, value in headers.items() if name in _CARRIED_HEADERS),
        subprotocols=tuple(name for name in offered if name and REDACTED not in name),
        compression="deflate" if "permessage-deflate" in headers.get("sec-websocket-extensions", "") else None,
    )


def _without_credentials(path_and_query: str) -> str:
    # The recorded ones were redacted, and what stands in their place would be refused as a key.
    pairs = [
        "".join(pair)
        for pair in query_pairs(path_and_query)
        if not is_credential_name(unquote_plus(pair[0])) and REDACTED not in unquote_plus(pair[2])
    ]
    path = path_and_query.partition("?")[0]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


async def play(
    plan: Plan,
    target: Target,
    recorder: Recorder,
    *,
    replay: ReplayFacts,
    upgrade: Upgrade,
    speed: float = 1.0,
    timeout_ns: int = WAIT_TIMEOUT_NS,
    redact: Sequence[str] = (),
    as_recorded: bool = False,
    clock: ClockKind = "anchored",
    on_new_tool: OnNewTool = "recorded",
    deadlines: Deadlines | None = None,
) -> Played:
    """Play a plan against a target and record it, but for what `redact` names.

    `as_recorded`, `clock` and `on_new_tool` are as a `Player` takes them. Trials that are played at the same time share
    `deadlines`. An endpoint that refuses the session, or a credential that is not to be had, is an outcome like
    others: it is recorded, nothing is raised.
    """
    url = target.request_url(upgrade.path_and_query)
    facts = recorder.new_facts(
        role="replayed",
        target=target.name,
        provider=target.provider,
        region=target.region,
        host=target.host,
        url=redact_url(url),
        replay=replay,
        redact=list(redact),
    )
    recording = recorder.start_session(facts)
    player = Player(
        plan, speed=speed, timeout_ns=timeout_ns, as_recorded=as_recorded, clock=clock, on_new_tool=on_new_tool
    )
    trial = _Trial(plan, recording, player)
    on_time = nullcontext(deadlines) if deadlines is not None else Deadlines()
    trial.note_changes([(0, change) for change in upgrade.changes_for(target)])
    trial.note_changes(plan.left_out)
    refused: EndpointRefused | None = None
    try:
        # Renewing a token is network I/O, and other trials have sends that are due.
        credential = await asyncio.to_thread(target.credential_headers)
        headers = dict([*upgrade.headers, *target.headers.items(), *credential])
        with on_time as shared:
            async with connect_recorded(
                url,
                recording=recording,
                headers=headers,
                subprotocols=upgrade.subprotocols or None,
                compression=upgrade.compression,
            ) as connection:
                await trial.run(connection, shared)
    except WiretapeError as refusal:
        trial.end_reason = f"refused: {refusal}"
        refused = refusal if isinstance(refusal, EndpointRefused) else None
    finally:
        sealed = trial.end()
    return Played(recording.session_id, trial.end_reason, trial.divergences, trial.pacing, sealed, refused)


class _Trial:
    def __init__(self, plan: Plan, recording: SessionRecording, player: Player) -> None:
        self.end_reason = _INTERRUPTED
        self.divergences = 0
        self._closed_by: ClosedBy | None = None
        self._not_sent = plan.not_sent
        self._recording = recording
        self._player = player
        self.pacing = Pacing()

    async def run(self, connection: TappedConnection, deadlines: Deadlines) -> None:
        for expected in self._not_sent:
            self._diverge(Diverged(0, "not_sent", expected, "", "left out"))
        try:
            async with Inbox(connection, deadlines) as inbox:
                await self._converse(connection, inbox)
            if connection.has_stalled:
                self.end_reason = f"stalled: the endpoint took nothing more for {STALLED_S:g} s"
            await say_goodbye(connection, _NORMAL_CLOSE)
            self._closed_by = connection.let_go_by
        except asyncio.CancelledError:
            # Before the recording ends, so that the goodbye is in it.
            await say_goodbye(connection, _GOING_AWAY)
            self._recording.end(self._session_end(_INTERRUPTED, "recorder"))
            raise
        self.end()

    def note_changes(self, changes: Sequence[tuple[int, Change]]) -> None:
        """Note changes that no message shows, each with the step it belongs to."""
        for step, change in changes:
            self._rewrite(step, change)

    def end(self) -> Future[SealedSession]:
        return self._recording.end(self._session_end(self.end_reason, self._closed_by))

    async def _converse(self, connection: TappedConnection, inbox: Inbox) -> None:
        actions = self._player.tick(self._recording.now_ns())
        while True:
            wait_until_ns = None
            for action in actions:
                wait_until_ns = await self._perform(action, connection)
            if wait_until_ns is None:
                return
            actions = await self._next_actions(inbox, wait_until_ns)

    async def _perform(self, action: Action, connection: TappedConnection) -> int | None:
        match action:
            case Send():
                await self._send(action, connection)
            case Diverged():
                self._diverge(action)
            case Finished():
                self.end_reason = action.reason
            case WaitUntil():
                return action.at_ns
        return None

    async def _send(self, send: Send, connection: TappedConnection) -> None:
        sent_ns = self._recording.now_ns()
        if send.due_ns is not None:
            self.pacing.note(send.due_ns, sent_ns)
        for change in send.changes:
            self._rewrite(send.step, change)
        # That the endpoint is gone shows at the next receive.
        with suppress(ConnectionClosed):
            await connection.send(send.content, text=not send.is_binary)

    async def _next_actions(self, inbox: Inbox, wait_until_ns: int) -> list[Action]:
        try:
            message = await inbox.next_message(wait_until_ns - self._recording.now_ns())
        except ConnectionClosed:
            return self._player.disconnect()
        now_ns = self._recording.now_ns()
        event = None if message is None else parse_event(message)
        return self._player.tick(now_ns) if event is None else self._player.receive(now_ns, event)

    def _diverge(self, divergence: Diverged) -> None:
        self.divergences += 1
        self._recording.fact(
            Divergence(
                offset_ns=self._recording.now_ns(),
                step=divergence.step,
                kind=divergence.kind,
                expected=divergence.expected,
                seen=divergence.seen,
                action=divergence.action,
            )
        )

    def _rewrite(self, step: int, change: Change) -> None:
        self._recording.fact(
            Rewrite(
                offset_ns=self._recording.now_ns(),
                step=step,
                kind=change.kind,
                path=change.path,
                before=change.before,
                after=change.after,
            )
        )

    def _session_end(self, reason: str, closed_by: ClosedBy | None) -> SessionEnd:
        punctuality = self.pacing.summary()
        shifts_ms = self._player.clock.moves_ms
        return SessionEnd(
            offset_ns=self._recording.now_ns(),
            closed_by=closed_by,
            end_reason=reason,
            pacing_p50_us=punctuality.p50_us,
            pacing_p99_us=punctuality.p99_us,
            drift_us=punctuality.drift_us,
            clock_shift_p50_ms=median(shifts_ms) if shifts_ms else None,
            clock_shift_max_ms=max(shifts_ms, key=abs) if shifts_ms else None,
        )
