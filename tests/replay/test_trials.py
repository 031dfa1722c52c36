"""Trials under a rate limit: who waits, who goes on, what is tried again, and what is kept of it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import UsageProblem
from capture.recording.root import Root
from capture.targets import Target
from replay.attempts import Attempt, Job, Ran
from replay.budget import Budget, Caps, spent_by
from replay.cells import plan_run
from replay.client import Upgrade
from replay.matrix import plan_jobs, unplayed
from replay.planning import make_plan
from replay.runs import Run, RunRecording, Trial, TrialOutcome, load_run
from replay.source import Source
from replay.throttling import LONGEST_WAIT_S, Pauses, Refusals, Told
from replay.trials import Pause, Playing, TrialPlayer

HANDSHAKE_S, LENGTH_S = 0.05, 3.0
TARGETS = [Target(name=name, url=f"wss://{name}.example/realtime") for name in ("east", "west")]


class _Impatient(selectors.DefaultSelector):
    """Does not wait: it moves its loop's clock instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.now_s += timeout
        return ready


class StagedLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes as fast as its tasks allow."""

    def __init__(self) -> None:
        self._patience = _Impatient()
        super().__init__(self._patience)

    def time(self) -> float:
        return self._patience.now_s

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109, ARG002 - as in asyncio
        # Its threads end in real time; from Python 3.12 on they would be given five minutes of this loop's.
        await super().shutdown_default_executor()


def on_staged_time(task: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=StagedLoop) as runner:
        runner.run(task)


class Endpoints:
    """Stands in for the sockets: each target throttles by a script, and knows when it asked to be left alone."""

    def __init__(self, script: dict[str, list[float | None]]) -> None:
        self.script = script
        self.closed_until_s = dict.fromkeys(script, 0.0)
        self.began: list[tuple[str, float, int]] = []
        self._sessions = 0

    async def run_session(self, job: Job) -> Ran:
        name, now_s = job.target.name, asyncio.get_running_loop().time()
        assert now_s >= self.closed_until_s[name] - 1e-6, "sent to before the time"
        self.began.append((name, now_s, job.trial))
        self._sessions += 1
        session_id = f"s{self._sessions}"
        wait_s = self.script[name].pop(0) if self.script[name] else None
        await asyncio.sleep(HANDSHAKE_S)
        now_s = asyncio.get_running_loop().time()
        if wait_s is None:
            await asyncio.sleep(LENGTH_S)
            return Ran(self._judge(job, session_id, "ok", 1000.0))
        self.closed_until_s[name] = max(self.closed_until_s[name], now_s + wait_s)
        said = Refusals({"retry-after": str(wait_s)})
        return Ran(self._judge(job, session_id, "throttled", 0.0, Told(wait_s, "retry-after")), said)

    async def _judge(
        self, job: Job, session_id: str, outcome: TrialOutcome, sent_ms: float, told: Told | None = None
    ) -> Attempt:
        await asyncio.sleep(0.2)
        trial = Trial(trial=job.trial, block=job.block, session_id=session_id, outcome=outcome, sent_ms=sent_ms)
        return Attempt(trial, told)


@pytest.fixture
def source(script: Any) -> Source:
    script.server({"type": "session.created", "session": {}}).append(10, bytes(48_000))
    plan = make_plan(script.messages)
    return Source(RunRecording(session_id="s0", target="east"), plan, Upgrade("/realtime"), "")


def play(
    source: Source,
    root: Root,
    endpoints: Endpoints,
    *,
    trials: int,
    concurrency: int = 4,
    caps: Caps | None = None,
    retries: int = 4,
) -> tuple[Run, int, list[Pause]]:
    run = plan_run([source], TARGETS, trials=trials, concurrency=concurrency)
    pauses: list[Pause] = []
    left = 0

    async def playing() -> None:
        nonlocal left
        slots = asyncio.Semaphore(concurrency)
        player = TrialPlayer(
            run,
            root,
            Playing(retries=retries, budget=Budget(caps), on_pause=pauses.append),
            slot_of=lambda _: slots,
            run_session=endpoints.run_session,
            pauses=Pauses(asyncio.get_running_loop().time),
        )
        left = await player.play(plan_jobs(run, [source], TARGETS))

    on_staged_time(playing())
    return run, left, pauses


@settings(max_examples=40, deadline=None)
@given(
    east=st.lists(st.none() | st.floats(0, 120), max_size=12),
    west=st.lists(st.none() | st.floats(0, 120), max_size=12),
    concurrency=st.integers(1, 6),
)
def test_nothing_is_sent_to_a_target_before_the_time_it_told(
    east: list[float | None], west: list[float | None], concurrency: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # The assertion is in `run_session`: of every session that begins.
    endpoints = Endpoints({"east": east, "west": west})
    throttled = sum(wait is not None for wait in [*east, *west])
    root = Root(tmp_path_factory.mktemp("runs"))
    source = Source(RunRecording(session_id="s0", target="east"), make_plan([]), Upgrade("/realtime"), "")
    run, left, pauses = play(source, root, endpoints, trials=5, concurrency=concurrency, retries=24)
    made = [trial for cell in run.cells for trial in cell.trials]
    assert (left, {trial.outcome for trial in made}, len(made)) == (0, {"ok"}, 10)
    # A script may be longer than the run.
    seen = throttled - sum(wait is not None for rest in endpoints.script.values() for wait in rest)
    assert len(pauses) == sum(len(trial.throttled) for trial in made) == seen
    assert len({each for trial in made for each in (trial.session_id, *trial.throttled)}) == 10 + seen


def test_a_throttled_target_waits_while_the_other_goes_on(source: Source, root: Root) -> None:
    endpoints = Endpoints({"east": [40.0], "west": []})
    run, _, [pause] = play(source, root, endpoints, trials=3, concurrency=1)
    # One slot: had the wait held it, nothing would have been sent to the other one either.
    assert max(at_s for name, at_s, _ in endpoints.began if name == "west") < 40
    assert min(at_s for name, at_s, _ in endpoints.began[1:] if name == "east") >= 40
    assert (pause.told_by, pause.wait_s, pause.retry, pause.goes_on) == ("retry-after", 40, 1, True)
    assert all(trial.outcome == "ok" for cell in run.cells for trial in cell.trials)
    saved = load_run(root, run.run_id)
    assert [len(trial.throttled) for trial in saved.cells[0].trials].count(1) == 1


def test_after_a_pause_one_trial_tries_whether_it_is_over_before_the_others_follow(source: Source, root: Root) -> None:
    # Four at once are throttled, and twice the one that tries.
    endpoints = Endpoints({"east": [10.0] * 6, "west": []})
    run, _, pauses = play(source, root, endpoints, trials=4, concurrency=8)
    began = [at_s for name, at_s, _ in endpoints.began if name == "east"]
    assert [round(at_s) for at_s in began] == [0, 0, 0, 0, 10, 20, 30, 33, 33, 33]
    assert (len(pauses), {trial.outcome for trial in run.cells[0].trials}) == (6, {"ok"})


def test_a_trial_is_tried_again_only_so_often_and_then_counts_as_throttled(source: Source, root: Root) -> None:
    endpoints = Endpoints({"east": [1.0] * 3, "west": []})
    run, left, pauses = play(source, root, endpoints, trials=1, concurrency=1, retries=2)
    [trial] = run.cells[0].trials
    assert (trial.outcome, len(trial.throttled), left) == ("throttled", 2, 0)
    assert [pause.goes_on for pause in pauses] == [True, True, False]


def test_a_retry_that_the_caps_have_no_room_for_is_not_made(source: Source, root: Root) -> None:
    endpoints = Endpoints({"east": [1.0, 1.0], "west": []})
    run, _, pauses = play(source, root, endpoints, trials=2, concurrency=1, caps=Caps(max_sessions=5))
    made = [trial for cell in run.cells for trial in cell.trials]
    assert len(endpoints.began) == 5
    assert sorted(trial.outcome for trial in made) == ["ok", "ok", "ok", "throttled"]
    assert [pause.goes_on for pause in pauses] == [True, False]


def test_a_target_that_wants_too_long_a_pause_gets_nothing_more_and_its_trials_stay_to_be_made(
    source: Source, root: Root
) -> None:
    endpoints = Endpoints({"east": [None, LONGEST_WAIT_S + 1], "west": []})
    run, left, [pause] = play(source, root, endpoints, trials=4, concurrency=1)
    assert pause.ends_target
    east, west = run.cells
    assert [trial.outcome for trial in west.trials] == ["ok"] * 4
    assert sorted(trial.outcome for trial in east.trials) == ["ok", "throttled"]
    assert left == 2
    # Resumed, the throttled one and the two that were left out are made; not yet, for its time is not over.
    jobs = unplayed(run, plan_jobs(run, [source], TARGETS))
    assert len(jobs) == 3
    assert resumed(run, root, endpoints, jobs) == (3, 0)
    run.paused_until = {"east": datetime.now(UTC) + timedelta(seconds=40)}
    left_out, began_s = resumed(run, root, endpoints, jobs)
    assert (left_out, began_s > 38) == (0, True)
    assert [trial.outcome for trial in run.cells[0].trials] == ["ok"] * 4


def resumed(run: Run, root: Root, endpoints: Endpoints, jobs: list[Job]) -> tuple[int, float]:
    """Go on; gives how many trials were left out, and when the first began."""
    left = 0
    began = len(endpoints.began)

    async def playing() -> None:
        nonlocal left
        slots = asyncio.Semaphore(4)
        # A loop of its own begins at 0.
        endpoints.closed_until_s = dict.fromkeys(endpoints.closed_until_s, 0.0)
        pauses = Pauses(asyncio.get_running_loop().time)
        player = TrialPlayer(
            run, root, Playing(), run_session=endpoints.run_session, slot_of=lambda _: slots, pauses=pauses
        )
        left = await player.play(jobs)

    on_staged_time(playing())
    return left, min((at_s for _, at_s, _ in endpoints.began[began:]), default=0)


def test_a_session_that_was_over_when_it_was_interrupted_is_kept_and_not_made_again(source: Source, root: Root) -> None:
    run = plan_run([source], TARGETS[:1], trials=3, concurrency=1)
    jobs = plan_jobs(run, [source], TARGETS)
    endpoints = Endpoints({"east": []})

    async def playing() -> None:
        slots = asyncio.Semaphore(1)
        player = TrialPlayer(run, root, Playing(), run_session=endpoints.run_session, slot_of=lambda _: slots)
        async with asyncio.timeout(HANDSHAKE_S + LENGTH_S + 0.1):
            await player.play(jobs)

    with pytest.raises(TimeoutError):
        on_staged_time(playing())
    # The first was being sealed, the second had begun.
    assert [trial.session_id for trial in run.all_trials] == ["s1"]
    # Made again, it is paid for twice: the caps are of the whole run.
    assert (spent_by(run).sessions, spent_by(run).sent_ms) == (2, 1000.0 + jobs[0].plan.audio_ms)
    assert [trial.session_id for trial in load_run(root, run.run_id).all_trials] == ["s1"]
    assert [job.trial for job in unplayed(run, jobs)] == [
        job.trial for job in jobs if job.trial != run.all_trials[0].trial
    ]


def test_a_run_that_cannot_be_kept_ends_in_one_sentence_however_many_trials_are_under_way(
    source: Source, root: Root
) -> None:
    root.runs.parent.mkdir(parents=True, exist_ok=True)
    root.runs.touch()
    with pytest.raises(UsageProblem, match=r"\.json cannot be written: "):
        play(source, root, Endpoints({"east": [], "west": []}), trials=3)
