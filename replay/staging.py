"""Stage a scenario end to end: simulator, recording proxy and scripted client in one process, on one clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass

from capture.policy import RecordingPolicy
from capture.proxy import serve_proxy
from capture.recorder import Recorder, SessionRecording
from capture.recording.facts import SessionFacts
from capture.recording.root import Root
from capture.sealing import SealedSession, Sealer
from capture.targets import Target
from replay.simulator.client.playing import play_session
from replay.simulator.client.script import ClientSession
from replay.simulator.clock import StagedClock
from replay.simulator.endpoint.server import Simulator, serve
from replay.simulator.scenario import Scenario

SCENARIO_TAG = "scenario"
"""Tag of every staged recording: the scenario's name."""


@dataclass(frozen=True, slots=True)
class StagedSession:
    """One session of a script, as it was played and recorded."""

    session_ids: tuple[str, ...]
    """Its recordings: one for its WebSocket, one for each plain request."""
    ended: str
    """How its WebSocket ended, in plain words."""
    problem: str | None
    """The step that could not be done, and why; None where all went as written."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A scenario that was played, recorded and sealed."""

    scenario: str
    sessions: tuple[StagedSession, ...]

    @property
    def session_ids(self) -> tuple[str, ...]:
        """All recordings, in the order in which they were made."""
        return tuple(session_id for session in self.sessions for session_id in session.session_ids)

    @property
    def problems(self) -> tuple[str, ...]:
        """Steps that could not be done: with the scenario, the session's ordinal, the step and why."""
        return tuple(
            f"{self.scenario}, session {number}, {session.problem}"
            for number, session in enumerate(self.sessions, 1)
            if session.problem is not None
        )


async def stage(
    scenario: Scenario,
    root: Root,
    *,
    seed: int = 0,
    speed: float = 1.0,
    sealer: Sealer | None = None,
    on_played: Callable[[StagedSession], None] = lambda _: None,
) -> Staged:
    """Play a scenario's script against its endpoint through the recording proxy, into a root.

    `speed` seconds pass in each second, for all three; what is recorded looks as at 1. The same seed gives the same
    faults and the same ids of the endpoint. `on_played` is called after each session. Raises `UsageProblem` where the
    root cannot be written to. Cancelled, it seals what was recorded.
    """
    clock = StagedClock(scenario.clock.starts_at_ns, speed=speed)
    sessions = [session for session in scenario.client.sessions for _ in range(session.count)]
    regions = tuple(dict.fromkeys(session.region for session in sessions))
    recorder = _CountingRecorder(root, sealer=sealer, clock=clock)
    try:
        async with (
            serve([scenario], regions=regions, seed=seed, clock=clock, separate_origins=True) as simulator,
            AsyncExitStack() as stack,
        ):
            proxies = _Proxies(simulator, recorder, RecordingPolicy(tags={SCENARIO_TAG: scenario.name}), stack)
            played = []
            for session in sessions:
                played.append(await _play(session, proxies, clock, seed))
                on_played(played[-1])
    finally:
        # It waits for sealing, and other scenarios may be staged on this loop.
        await asyncio.to_thread(recorder.close)
    return Staged(scenario.name, tuple(played))


async def _play(session: ClientSession, proxies: _Proxies, clock: StagedClock, seed: int) -> StagedSession:
    clock.advance_s(session.start_after_s)
    played = await play_session(session, await proxies.origin_for(session), clock, seed=seed)
    # The next one begins when this one is over at all ends.
    sealed = await proxies.sealed()
    return StagedSession(tuple(each.session_id for each in sealed), played.ended, played.problem)


class _CountingRecorder(Recorder):
    _begun = 0

    def start_session(self, facts: SessionFacts, *, on_loss: Callable[[str], None] | None = None) -> SessionRecording:
        self._begun += 1
        return super().start_session(facts, on_loss=on_loss)

    def take_begun(self) -> int:
        """Give how many sessions began since the last time."""
        begun, self._begun = self._begun, 0
        return begun


class _Proxies:
    """The recording proxies of one scenario, and what they have sealed."""

    def __init__(
        self, simulator: Simulator, recorder: _CountingRecorder, policy: RecordingPolicy, stack: AsyncExitStack
    ) -> None:
        self._endpoints = {target.region: target.origin for target in simulator.targets(model="")}
        self._recorder = recorder
        self._policy = policy
        self._stack = stack
        self._origins: dict[tuple[str, str], str] = {}
        self._sealed: asyncio.Queue[Future[SealedSession]] = asyncio.Queue()

    async def origin_for(self, session: ClientSession) -> str:
        """Tell where the proxy to a session's endpoint listens; it is started for the first one that asks."""
        provider = "azure" if session.path.startswith("/openai/") else "openai"
        key = (session.region, provider)
        if key not in self._origins:
            # An origin alone: path and query are the script's, and so are mistakes in them.
            target = Target(session.region, self._endpoints[session.region], region=session.region, provider=provider)
            proxy = serve_proxy(
                target, self._recorder, listen="127.0.0.1:0", policy=self._policy, on_sealed=self._note_on_loop()
            )
            self._origins[key] = await self._stack.enter_async_context(proxy)
        return self._origins[key]

    async def sealed(self) -> list[SealedSession]:
        """Wait until all that was recorded since the last time is sealed; what a proxy refused itself is not."""
        begun = self._recorder.take_begun()
        return [(await self._sealed.get()).result() for _ in range(begun)]

    def _note_on_loop(self) -> Callable[[Future[SealedSession]], None]:
        loop = asyncio.get_running_loop()

        def note(sealed: Future[SealedSession]) -> None:
            loop.call_soon_threadsafe(self._sealed.put_nowait, sealed)

        return note
