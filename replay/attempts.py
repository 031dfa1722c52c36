"""Play a trial once: a session against its target, what it comes to, and what a throttling endpoint said of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from capture.errors import UsageProblem
from capture.realtime.outcomes import COMPLETED, NEVER_CAME
from capture.recording.facts import ReplayFacts, TrialKind
from capture.sealing import SealingFailed
from replay.client import Played, Upgrade, play
from replay.deadlines import Deadlines
from replay.plan import Plan
from replay.player import WAIT_TIMEOUT_NS
from replay.refusals import read_refusals
from replay.runs import Run, RunCell, Trial, TrialOutcome, write_overrides
from replay.source import Source
from replay.throttling import Refusals, Told, read_wait

if TYPE_CHECKING:
    from capture.recorder import Recorder
    from capture.targets import Target


@dataclass(frozen=True, slots=True)
class Job:
    """One trial to play."""

    cell: RunCell
    source: Source
    target: Target
    plan: Plan
    upgrade: Upgrade
    trial: int
    block: int
    kind: TrialKind


@dataclass(frozen=True, slots=True)
class Attempt:
    """One session of a trial, and what it says of waiting."""

    trial: Trial
    told: Told | None = None
    """Of a throttled one: how long to wait."""
    is_hopeless: bool = False
    """Of a throttled one: whether waiting does not help, as with a quota that is paid for."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A session that is over, and what it comes to once it is sealed."""

    judged: Awaitable[Attempt]
    throttled_upgrade: Refusals | None = None
    """What an endpoint said that refused it with HTTP 429: known at once."""


class SessionRunner:
    """Plays the trials of one run, each as a recording of its own; one heap of deadlines wakes all of them."""

    def __init__(
        self,
        run: Run,
        recorder: Recorder,
        deadlines: Deadlines,
        *,
        timeout_ns: int = WAIT_TIMEOUT_NS,
        redact: Sequence[str] = (),
        as_recorded: bool = False,
    ) -> None:
        self._run = run
        self._recorder = recorder
        self._deadlines = deadlines
        self._timeout_ns = timeout_ns
        self._redact = redact
        self._as_recorded = as_recorded

    async def __call__(self, job: Job) -> Ran:
        """Play a trial once; what it comes to is known later."""
        played = await play(
            job.plan,
            job.target,
            self._recorder,
            replay=_facts(self._run, job),
            upgrade=job.upgrade,
            as_recorded=self._as_recorded,
            speed=self._run.speed,
            clock=self._run.clock,
            on_new_tool=self._run.on_new_tool,
            timeout_ns=self._timeout_ns,
            redact=self._redact,
            deadlines=self._deadlines,
        )
        refused = played.refusal
        if refused is None or refused.status != HTTPStatus.TOO_MANY_REQUESTS:
            return Ran(self._judge(job, played))
        return Ran(self._judge(job, played), Refusals(refused.headers, [refused.body]))

    async def _judge(self, job: Job, played: Played) -> Attempt:
        outcome: TrialOutcome = "not_run"
        note = "" if played.end_reason == COMPLETED else played.end_reason
        sent_ms, pacing_us = 0.0, None
        not_again: list[str] = []
        try:
            sealed = await asyncio.wrap_future(played.sealed)
            outcome = cast("TrialOutcome", sealed.trial_outcome or "not_run")
            if outcome == "failed":
                not_again = job.source.recording.failures_not_in(sealed.failure_keys)
            if outcome == "failed_otherwise" and played.refusal is None:
                note = _explain(note, sealed.first_error)
            sent_ms, pacing_us = sealed.audio_in_ms or 0.0, sealed.pacing_p50_us
        except SealingFailed as failure:
            note = str(failure)
        trial = Trial(
            trial=job.trial,
            block=job.block,
            session_id=played.session_id,
            outcome=outcome,
            not_again=not_again,
            kind=job.kind,
            note=note,
            sent_ms=sent_ms,
            pacing_us=pacing_us,
            divergences=played.divergences,
        )
        return await asyncio.to_thread(self._read_throttled, trial) if outcome == "throttled" else Attempt(trial)

    def _read_throttled(self, trial: Trial) -> Attempt:
        try:
            said, is_hopeless = read_refusals(self._recorder.root, trial.session_id)
        except UsageProblem:
            return Attempt(trial)
        return Attempt(trial, read_wait(said), is_hopeless)


def _explain(end_reason: str, first_error: str | None) -> str:
    """Say why a trial failed otherwise: how it ended, and what the endpoint said first, if it said anything."""
    said = "" if first_error is None or first_error.endswith(NEVER_CAME) else first_error
    return ": ".join(part for part in (end_reason, said) if part)


def _facts(run: Run, job: Job) -> ReplayFacts:
    return ReplayFacts(
        run_id=run.run_id,
        replay_of=job.source.recording.session_id,
        cell=job.cell.cell,
        trial=job.trial,
        block=job.block,
        trial_kind=job.kind,
        overrides=write_overrides(run, job.cell),
        expected_failure_keys=job.source.recording.failure_keys,
    )
