"""The adaptive experiment over real sockets, against simulated incidents."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capture.call import CallPlan, place_call
from capture.errors import UsageProblem
from capture.recorder import Recorder
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.targets import Target
from replay.arms import BASELINE
from replay.attempts import Job
from replay.axes import Known, list_choices
from replay.budget import Caps, spent_by
from replay.experiment import Batch, Stop
from replay.isolate import Isolation, plan_isolation, run_isolation
from replay.isolation import read_experiment
from replay.resuming import take_over
from replay.runs import Trial, load_run
from replay.source import prepare
from replay.verdict import read_verdict

SPEED = 50.0
MODEL = "session.audio.input.transcription.model"
NOISE = "session.audio.input.noise_reduction"


async def isolate(
    isolation: Isolation, root: Root, recorder: Recorder, expected: str = "decided"
) -> tuple[list[Batch], dict[str, str]]:
    batches: list[Batch] = []
    stopped = await run_isolation(isolation, root, recorder, on_batch=batches.append)
    assert stopped == Stop(expected)  # type: ignore[arg-type]
    run = load_run(root, isolation.run.run_id)
    assert run == isolation.run
    assert run.status == "done"
    return batches, {axis.label: axis.decision for axis in read_verdict(run).axes}


@pytest.mark.slow
async def test_a_model_that_fails_in_one_region_takes_both(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate("transcription_model_path_failure") as simulator:
        east, sweden = simulator.targets("gpt-realtime")
        source = prepare(await call(east, transcription="gpt-4o-transcribe"))
        known = Known(source, east, [sweden], {})
        isolation = plan_isolation(known, list_choices(known), max_trials=100, concurrency=10, speed=SPEED)
        batches, decided = await isolate(isolation, root, recorder)
    assert decided == {"target": "implicated", "transcription model": "implicated"}
    assert [batch.phase for batch in batches] == ["opening", "blocks", "blocks", "control"]
    verdict = read_verdict(isolation.run)
    assert verdict.pattern == "combination"
    assert "12/12; 0/12 with whisper-1, 0/12 at swedencentral: it takes both." in verdict.sentence
    table = pq.read_table(root.path / "sessions", columns=["run_id", "trial_kind", "block", "overrides"]).to_pylist()
    trials = [row for row in table if row["run_id"] == isolation.run.run_id]
    assert sorted({(row["trial_kind"], row["block"]) for row in trials if row["trial_kind"] != "variation"}) == [
        *(("baseline", block) for block in range(13)),
        ("control", 13),
    ]
    assert {row["overrides"] for row in trials} == {"{}", json.dumps({MODEL: "whisper-1"})}


@pytest.mark.slow
async def test_an_option_that_is_refused_everywhere_is_found(
    simulate: Any, recorder: Recorder, root: Root, question_clip: Path
) -> None:
    async with simulate("healthy") as simulator:
        east, sweden = simulator.targets("gpt-realtime")
        settings = {NOISE: {"type": "loud"}}
        await place_call(east, CallPlan(question_clip, "gpt-4o-transcribe", settings=settings), recorder)
        source = prepare(open_recording(root, list_session_ids(root)[-1]))
        assert source.recording.failure_keys
        # The error names it, so it goes before the other target, and is the first that a verdict would have varied.
        assert source.recording.blamed[0].startswith(NOISE)
        assert next(iter(source.recording.options)).startswith(NOISE)
        known = Known(source, east, [sweden], {"transcription_model": ()})
        assert [choice.axis for choice in list_choices(known)][:2] == [NOISE, "target"]
        isolation = plan_isolation(known, list_choices(known), max_trials=100, concurrency=10, speed=SPEED)
        _, decided = await isolate(isolation, root, recorder)
    assert decided == {"target": "ruled_out", "noise_reduction": "implicated"}
    verdict = read_verdict(isolation.run)
    assert verdict.pattern == "one_axis"
    assert "12/12; 0/12 without noise_reduction: it is the noise_reduction." in verdict.sentence
    [passed] = [cell for cell in isolation.run.cells if cell.unset]
    assert passed.unset == [NOISE]
    rewrites = pq.read_table(root.path / "rewrites").to_pylist()
    assert {(row["path"], row["after"]) for row in rewrites if row["session_id"] == passed.trials[0].session_id} >= {
        (NOISE, "")
    }


@pytest.mark.slow
async def test_what_a_healthy_endpoint_does_not_show_again_is_not_reproduced(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate("transcription_model_path_failure") as simulator:
        east, sweden = simulator.targets("gpt-realtime")
        source = prepare(await call(east, transcription="gpt-4o-transcribe"))
        known = Known(source, sweden, [east], {})
        isolation = plan_isolation(known, list_choices(known), max_trials=3, speed=SPEED)
        await isolate(isolation, root, recorder, "not_reproduced")
    assert "0/3; 3 trials exclude a rate above 63%" in read_verdict(isolation.run).sentence


@pytest.mark.slow
async def test_one_endpoint_has_no_more_trials_at_a_time_than_asked(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate("transcription_model_path_failure") as simulator:
        east, sweden = simulator.targets("gpt-realtime")
        source = prepare(await call(east, transcription="gpt-4o-transcribe"))
        known = Known(source, east, [sweden], {})
        isolation = plan_isolation(known, list_choices(known), max_trials=6, concurrency=1, speed=SPEED)
        await run_isolation(isolation, root, recorder)
    assert isolation.run.finished_trials == 6
    rows = pq.read_table(root.path / "sessions", columns=["role", "started_at", "ended_at"]).to_pylist()
    spans = sorted((row["started_at"], row["ended_at"]) for row in rows if row["role"] == "replayed")
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(spans))


@pytest.mark.slow
async def test_no_endpoint_is_done_with_its_blocks_while_another_is_at_its_first(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate("transcription_model_path_failure") as east, simulate() as west:
        home = east.targets("gpt-realtime")[0]
        elsewhere = dataclasses.replace(west.targets("gpt-realtime")[1], name="elsewhere")
        source = prepare(await call(home, transcription="gpt-4o-transcribe"))
        known = Known(source, home, [elsewhere], {})
        isolation = plan_isolation(known, list_choices(known), max_trials=100, concurrency=1, speed=SPEED)
        four_blocks = spent_by(isolation.run, Caps(max_sessions=1 + 4 * 3))
        await run_isolation(isolation, root, recorder, budget=four_blocks)
    rows = pq.read_table(root.path / "sessions", columns=["block", "started_at", "ended_at"]).to_pylist()
    spans = [
        (min(row["started_at"] for row in of), max(row["ended_at"] for row in of))
        for block in range(1, 5)
        if (of := [row for row in rows if row["block"] == block])
    ]
    assert len(spans) == 4
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(spans))


@pytest.mark.slow
async def test_a_cancelled_experiment_keeps_what_was_done_and_goes_on_from_there(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate("transcription_model_path_failure") as simulator:
        east, sweden = simulator.targets("gpt-realtime")
        source = prepare(await call(east, transcription="gpt-4o-transcribe"))
        known = Known(source, east, [sweden], {})
        isolation = plan_isolation(known, list_choices(known), max_trials=100, speed=SPEED)
        in_blocks = asyncio.Event()

        def note(job: Job, trial: Trial | None) -> None:
            if trial is not None and job.block:
                in_blocks.set()

        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(run_isolation(isolation, root, recorder, on_progress=note))
            await in_blocks.wait()
            running.cancel()
        kept = load_run(root, isolation.run.run_id)
        before = kept.finished_trials
        assert (kept.status, before >= 2) == ("interrupted", True)
        assert read_verdict(kept).pattern == "undecided"
        again = plan_isolation(known, list_choices(known), max_trials=100, concurrency=10, speed=SPEED)
        take_over(kept, again.run)
        # Room for one block of three more, and not for a second.
        budget = spent_by(again.run, Caps(max_sessions=before + 5))
        assert await run_isolation(again, root, recorder, budget=budget) == Stop("max_sessions")
        assert (again.run.status, again.run.finished_trials) == ("interrupted", before + 3)
        await isolate(again, root, recorder)
    assert load_run(root, kept.run_id) == again.run
    assert read_verdict(again.run).pattern == "combination"
    numbers = [[trial.trial for trial in cell.trials] for cell in again.run.cells]
    assert all(len(set(of_cell)) == len(of_cell) for of_cell in numbers)
    sessions = [{trial.session_id for cell in run.cells for trial in cell.trials} for run in (isolation.run, again.run)]
    assert sessions[0] < sessions[1]


@pytest.mark.slow
async def test_a_cell_that_changes_two_things_is_made_when_it_is_asked_for(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate("healthy") as simulator:
        east, sweden = simulator.targets("gpt-realtime")
        source = prepare(await call(east, transcription="gpt-4o-transcribe"))
    known = Known(source, east, [sweden], {})
    isolation = plan_isolation(known, list_choices(known), max_trials=100)
    [first, second] = read_experiment(isolation.run).singles
    [job] = isolation.jobs(Batch("blocks", 3, (((*first, *second),),), ""))
    assert (job.cell.cell, job.block, job.kind) == ("swedencentral · transcription model=whisper-1", 3, "variation")
    assert job.target == sweden
    assert "whisper-1" in str(job.plan.steps[0].content)
    [home] = isolation.jobs(Batch("control", 4, ((BASELINE,),), ""))
    assert (home.cell.cell, home.kind) == ("eastus2", "control")
    asked = {"audio": ("noise:20",), "dialect": ("beta",), "transcription_model": (), "options": ()}
    isolation = plan_isolation(named := Known(source, east, [], asked), list_choices(named), max_trials=100)
    [spoken, heard] = read_experiment(isolation.run).singles
    [both] = isolation.jobs(Batch("blocks", 1, (((*spoken, *heard),),), ""))
    assert both.cell.overrides == {"dialect": "beta", "audio": "noise:20"}
    assert "/openai/realtime?" in both.target.request_url(both.upgrade.path_and_query)
    assert {"audio", "dialect"} <= {change.kind for change in both.plan.changes}
    gemini = Target(name="g", url="wss://generativelanguage.googleapis.com/ws/x.BidiGenerateContent")
    with pytest.raises(UsageProblem, match="target g cannot be replayed to: Gemini Live"):
        plan_isolation(dataclasses.replace(named, targets=[gemini]), list_choices(named), max_trials=100)
