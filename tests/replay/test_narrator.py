"""How the trials of a run are told of, on a terminal and in a log."""

from __future__ import annotations

import io

from rich.console import Console

from capture.targets import Target
from replay.attempts import Job
from replay.client import Upgrade
from replay.narrator import Narrator, say_pause, say_trial
from replay.planning import make_plan
from replay.runs import Run, RunCell, RunRecording, Trial
from replay.source import Source
from replay.trials import Pause


def job_of(cell: RunCell, trial: int = 1) -> Job:
    source = Source(RunRecording(session_id="s0"), make_plan([]), Upgrade("/"), "")
    target = Target(name="east", url="wss://east.example")
    return Job(cell, source, target, source.plan, source.upgrade, trial=trial, block=trial, kind="variation")


def run_of(cell: RunCell) -> Run:
    return Run(run_id="r", started_at="", recordings=[], axes=[], cells=[cell], trials=3)  # type: ignore[arg-type]


def narrate(*, terminal: bool) -> str:
    said = io.StringIO()
    cell = RunCell(cell="east [bold]", session_id="s0", target="east")
    with Narrator(
        run_of(cell), 3, console=Console(file=said, force_terminal=terminal, width=60, highlight=False)
    ) as narrator:
        narrator.note(job_of(cell), None)
        first = Trial(trial=1, block=1, session_id="s1", outcome="failed", pacing_us=214.0, divergences=1)
        narrator.note(job_of(cell), first)
        note = "error: \x1b[31m try [later] \n " + "and later " * 9
        second = Trial(trial=2, block=2, session_id="s2", outcome="failed_otherwise", note=note)
        narrator.note(job_of(cell, 2), second)
    return said.getvalue()


def test_a_log_has_a_line_a_trial_with_its_pacing_and_nothing_that_steers_a_terminal() -> None:
    assert narrate(terminal=False).splitlines() == [
        "  east [bold] 1/3: failed, sent within 0.21 ms of its times (median), 1 divergence  s1",
        r"  east [bold] 2/3: failed otherwise, error: \x1b[31m try [later] \n " + "and later " * 9 + "  s2",
    ]


def test_a_trial_in_which_only_one_of_two_failures_came_again_names_the_other() -> None:
    cell = RunCell(cell="east", session_id="s0", target="east")
    job = job_of(cell)
    job.source.recording.failure_keys = ["error|x||", "response.done|server_error||"]
    trial = Trial(trial=1, block=1, session_id="s1", outcome="failed", not_again=["response.done|server_error||"])
    assert say_trial(run_of(cell), job, trial) == "  east 1/3: failed (not again: the response fails)  s1"
    trial.not_again = []
    assert say_trial(run_of(cell), job, trial) == "  east 1/3: failed  s1"


def test_a_terminal_has_a_bar_below_the_lines() -> None:
    shown = narrate(terminal=True)
    assert "1/3: failed, sent within 0.21 ms" in shown
    assert "1 failed, 1 failed otherwise" in shown
    assert "2/3" in shown


def pause_of(told_by: str, wait_s: float, *, goes_on: bool = True, ends_target: bool = False) -> str:
    job = job_of(RunCell(cell="east · a=1", session_id="s0", target="east"), 2)
    return say_pause(
        Pause(
            job=job,
            session_id="s",
            wait_s=wait_s,
            told_by=told_by,
            retry=1,
            retries=4,
            goes_on=goes_on,
            ends_target=ends_target,
        )
    )


def test_a_pause_is_told_with_its_length_and_reason_and_what_comes_then() -> None:
    assert pause_of("retry-after-ms", 1.5) == (
        "  east throttles: it is left alone for 1.5 s, as its retry-after-ms says; then trial 2 of east · a=1 is tried"
        " again (1 of 4)"
    )
    assert "for 2 min, as its error says" in pause_of("its error", 121)
    assert "for 5 s, it does not say how long; trial 2 of east · a=1 is not tried" in pause_of("", 5, goes_on=False)
    assert pause_of("retry-after", 28_800, goes_on=False, ends_target=True) == (
        "  east throttles and wants to be left alone for 8 h (retry-after): it gets nothing more in this run"
    )
