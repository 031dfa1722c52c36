"""A planned replay played for real: against the simulator, in a thread, recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event

import pytest

from analyze.tui.replay_plan import PlannedReplay, ReplayForm, plan_replay, read_recorded
from analyze.tui.replay_runner import ReplayRunner, TrialProgress
from capture.errors import UsageProblem
from capture.recording.root import Root
from replay.runs import load_run
from replay.simulator import load_scenario, serve
from tests.analyze.tui.conftest import TARGETS, targets_of
from tests.sample import CALL, SAMPLE


def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: str, trials: int) -> PlannedReplay:
    (tmp_path / "wiretape.toml").write_text(targets)
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    return plan_replay(read_recorded(SAMPLE, CALL), ReplayForm(("eastus2", "swedencentral"), (), trials))


async def test_trials_are_played_recorded_and_told(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[TrialProgress] = []
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        planned = plan(tmp_path, monkeypatch, targets_of(simulator), 1)
        run = await asyncio.to_thread(ReplayRunner(root, planned, told.append).play)
    assert run.status == "done"
    assert [progress.outcome for progress in told[:2]] == [None, None]
    assert {progress.cell: progress.outcome for progress in told[2:]} == {"eastus2": "failed", "swedencentral": "ok"}
    assert all(progress.pacing_ms is not None and progress.pacing_ms >= 0 for progress in told[2:])
    assert load_run(root, run.run_id).finished_trials == 2
    assert list(root.journal.glob("*.journal")) == []


async def test_a_run_is_cancelled_from_another_thread(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Event()
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        planned = plan(tmp_path, monkeypatch, targets_of(simulator), 2)
        runner = ReplayRunner(root, planned, lambda _: begun.set())
        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(asyncio.to_thread(runner.play))
            await asyncio.to_thread(begun.wait, 30)
            runner.cancel()
        run = playing.result()
        # Before it began, it does not begin.
        early = ReplayRunner(root, planned, lambda _: begun.set())
        early.cancel()
        await asyncio.to_thread(early.play)
    assert (run.status, run.finished_trials) == ("interrupted", 0)
    assert load_run(root, run.run_id).status == "interrupted"


def test_a_missing_key_is_said_before_anything_is_sent(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EAST_KEY", raising=False)
    told: list[TrialProgress] = []
    targets = TARGETS.replace("[targets.s", 'api_key_env = "EAST_KEY"\n[targets.s')
    with pytest.raises(UsageProblem, match="set the environment variable EAST_KEY"):
        ReplayRunner(root, plan(tmp_path, monkeypatch, targets, 1), told.append).play()
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "socks5h://127.0.0.1:1")
    with pytest.raises(UsageProblem, match="HTTPS_PROXY names a proxy of kind socks5h"):
        ReplayRunner(root, plan(tmp_path, monkeypatch, TARGETS, 1), told.append).play()
    assert told == []
    assert not root.runs.exists()
