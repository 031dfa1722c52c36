"""What `replay isolate` says before, while, and after it tries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capture.recording.root import Root
from capture.targets import Target
from replay.axes import Known, list_choices
from replay.client import Upgrade
from replay.experiment import Batch
from replay.isolate import Isolation, plan_isolation
from replay.isolate_output import IsolationNarrator, estimate_isolation, print_verdict, say_estimate
from replay.isolation import read_experiment
from replay.planning import make_plan
from replay.runs import RunRecording, Trial
from replay.source import Source
from replay.verdict import read_verdict


@pytest.fixture
def isolation(script: Any) -> Isolation:
    script.server({"type": "session.created", "session": {}})
    for second in range(12):
        script.append(second * 1000, bytes(48_000))
    recording = RunRecording(session_id="s0", failure_keys=["error|x||"], target="east")
    source = Source(recording, make_plan(script.messages), Upgrade("/realtime"), "")
    east, west = (Target(name=name, url=f"wss://{name}.example/realtime") for name in ("east", "west"))
    known = Known(source, east, [west], {})
    return plan_isolation(known, list_choices(known), max_trials=300, concurrency=2)


def test_the_estimate_is_of_a_certain_failure_and_of_the_most_and_shrinks_as_trials_are_made(
    isolation: Isolation,
) -> None:
    certain, most = estimate_isolation(isolation)
    assert (certain.sessions, certain.sent_minutes, most.sessions, most.sent_minutes) == (26, 5.2, 300, 60)
    said = say_estimate(isolation)
    assert said.startswith(
        "about 26 sessions, 5.2 minutes of audio if the failure is certain; at most 300 sessions, 60 minutes of audio,"
        " about 36,000 input and 0 output tokens (at least, by the audio"
    )
    isolation.run.cells[0].trials = [
        Trial(trial=at, block=at, session_id=f"t{at}", outcome="failed") for at in range(1, 31)
    ]
    assert [cost.sessions for cost in estimate_isolation(isolation)] == [0, 270]
    isolation.run.status = "done"
    assert [cost.sessions for cost in estimate_isolation(isolation)] == [0, 0]


def test_a_batch_is_told_with_what_came_of_it(isolation: Isolation, capsys: pytest.CaptureFixture[str]) -> None:
    batch = read_experiment(isolation.run).decide_next()
    with IsolationNarrator(isolation) as narrator:
        narrator.note_batch(batch)  # type: ignore[arg-type]
        [job] = isolation.jobs(batch)  # type: ignore[arg-type]
        narrator.note(job, None)
        narrator.note(job, Trial(trial=1, block=0, session_id="t1", outcome="failed_otherwise"))
        narrator.note_decisions()
    assert capsys.readouterr().err.splitlines() == ["opening: does the failure come again?", "  1 failed otherwise"]


def test_of_two_failures_each_is_counted_and_the_one_that_decides_is_named(
    isolation: Isolation, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake, refusal = "error|x||", "response.done|server_error||"
    isolation.run.recordings[0].failure_keys = [mistake, refusal]
    with IsolationNarrator(isolation) as narrator:
        while isinstance(batch := read_experiment(isolation.run).decide_next(), Batch):
            narrator.note_batch(batch)
            for job in isolation.jobs(batch):
                made = Trial(trial=job.trial, block=job.block, session_id="t", outcome="failed", kind=job.kind)
                made.not_again = [] if job.cell.baseline else [refusal]
                job.cell.trials.append(made)
                narrator.note(job, made)
        narrator.note_decisions()
    told = capsys.readouterr().err.splitlines()
    assert told[1] == "  1 failed (the endpoint answers with an error in 1, the response fails in 1)"
    assert "  12 failed (the endpoint answers with an error in 12, the response fails in 6)" in told
    at = told.index("  implicated: target = west, 0/12 (baseline 12/12)")
    assert told[at - 1] == "  counted from here: the response fails, by itself"


def test_the_verdict_names_the_failure_that_it_is_about(
    isolation: Isolation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = isolation.run
    run.recordings[0].failure_keys = ["error|x||", "error|y||"]
    home = run.cells[0]
    west = next(cell for cell in run.cells if cell.target == "west")
    for cell, not_again in ((home, []), (west, ["error|x||"])):
        cell.trials = [
            Trial(trial=at, block=at, session_id=f"t{at}", outcome="failed", not_again=not_again) for at in range(1, 25)
        ]
    print_verdict(run, read_verdict(run), Root(tmp_path), as_json=True)
    assert json.loads(capsys.readouterr().out)["failure_key"] == "error|x||"
