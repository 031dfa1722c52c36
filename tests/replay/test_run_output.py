"""What `replay run` prints of its plan, and of what came of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capture.recording.root import Root
from capture.targets import Target
from replay.cells import Variation, plan_run
from replay.client import Upgrade
from replay.gates import GateResult
from replay.matrix import estimate_run, plan_jobs
from replay.planning import make_plan
from replay.run_output import first_of_each_cell, print_plan, print_result
from replay.run_request import Planned
from replay.runs import RunRecording, Trial, TrialOutcome
from replay.source import Source
from replay.verdict import read_verdicts

VOICE = "session.audio.output.voice"


def plan_from(script: Any, recorded_voice: str) -> Planned:
    voice = {"type": "realtime", "audio": {"output": {"voice": recorded_voice}}}
    script.server({"type": "session.created", "session": {}}).client({"type": "session.update", "session": voice}, 5)
    script.append(10, bytes(96_000))
    recording = RunRecording(session_id="s0", failure_keys=["error|x||"], target="east")
    source = Source(recording, make_plan(script.messages), Upgrade("/realtime"), "")
    target = Target(name="east", url="wss://east.example/realtime")
    run = plan_run([source], [target], variations=[Variation(VOICE, ("marin", "cedar"))], trials=3)
    return Planned(run, [source], [target], plan_jobs(run, [source], [target]))


@pytest.fixture
def planned(script: Any) -> Planned:
    return plan_from(script, "marin")


def test_the_plan_says_what_changes_and_what_it_costs(planned: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    cost = estimate_run(planned.jobs)
    assert [job.cell.cell for job in first_of_each_cell(planned.jobs)] != []
    print_plan(planned, cost, as_json=False)
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[1][-2:] == ["2", "none"]
    assert '"marin" → "cedar"' in shown.out
    assert shown.err.startswith("6 sessions, 0.2 minutes of audio, about 120 input and 0 output tokens (at least, by")
    assert shown.err.endswith("s in all; nothing was sent\n")
    print_plan(planned, cost, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert [len(cell["changes"]) for cell in printed["cells"]] == [0, 1]
    assert printed["estimate"]["sent_minutes"] == 0.2


def test_nothing_that_was_recorded_acts_on_who_reads_the_plan(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = plan_from(script, "\x9b2J\u202emarin[bold]")
    print_plan(hostile, estimate_run(hostile.jobs), as_json=False)
    assert r'"\x9b2J\u202emarin[bold]" → "cedar"' in capsys.readouterr().out


def test_the_plan_of_a_run_that_goes_on_shows_the_cells_that_lack_trials(
    planned: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [job for job in planned.jobs if job.cell is planned.run.cells[1]]
    print_plan(replace(planned, jobs=left), estimate_run(left), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert [cell["cell"] for cell in printed["cells"]] == [planned.run.cells[1].cell]
    assert printed["estimate"]["sessions"] == 3


def test_the_result_names_the_gates_and_why_they_are_missed(
    planned: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes: list[TrialOutcome] = ["failed", "ok"]
    for cell, outcome in zip(planned.run.cells, outcomes, strict=True):
        cell.trials = [Trial(trial=at, block=at, session_id=f"{outcome}{at}", outcome=outcome) for at in (1, 2, 3)]
    expectations = [GateResult("failed", ()), GateResult("ok", ("3 failed",))]
    root = Root(Path("/srv/calls of today"))
    print_result(planned.run, read_verdicts(planned.run), root, expectations, as_json=False)
    shown = capsys.readouterr()
    assert re.search(r" 3/3 +44–100 % ", shown.out)
    assert re.search(r" 0/3 +0–56 % ", shown.out)
    assert shown.err.splitlines() == [
        "--expect failed: met",
        "--expect ok: missed: 3 failed",
        f"look further: wiretape analyze verdict {planned.run.run_id} --recordings '{root.path}'",
    ]
    print_result(planned.run, read_verdicts(planned.run), root, expectations, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["expectations"][1] == {"expect": "ok", "met": False, "reasons": ["3 failed"]}


def test_the_result_names_the_failure_that_a_verdict_is_about(
    planned: Planned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = planned.run
    run.recordings[0].failure_keys = ["error|x||", "error|y||"]
    for cell, not_again in zip(run.cells, ([], ["error|x||"]), strict=True):
        cell.trials = [
            Trial(trial=at, block=at, session_id=f"t{at}", outcome="failed", not_again=not_again) for at in range(1, 7)
        ]
    print_result(run, read_verdicts(run), Root(tmp_path), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    [verdict] = printed["verdicts"]
    assert (verdict["failure_key"], verdict["pattern"]) == ("error|x||", "one_axis")
    assert [cell["trials"][0]["not_again"] for cell in printed["cells"]] == [[], ["error|x||"]]
