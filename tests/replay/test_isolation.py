"""An adaptive run on disk, read back as the experiment it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from replay.arms import BASELINE, Changes
from replay.experiment import Batch, Experiment
from replay.isolation import find_changes, phase_of, read_experiment, read_isolation
from replay.runs import Axis, Run, RunCell, RunRecording, Trial, TrialOutcome

SESSION = "20261123T011500-4f3a9c12"
MODEL = "session.audio.input.transcription.model"
NOISE = "session.audio.input.noise_reduction"
HOME = {"target": "eastus2", MODEL: "gpt-4o-transcribe", NOISE: '{"type": "near_field"}'}
UNUSUAL = {"target": "eastus2", "audio": "recorded", "dialect": "ga"}
"""Axes that a run varies only where it is asked to."""
OTHERS = {
    "target": "swedencentral",
    MODEL: "whisper-1",
    NOISE: "(left out)",
    "audio": "/clips/good.flac",
    "dialect": "beta",
}
FAILED = "conversation.item.input_audio_transcription.failed|server_error||"

World = Callable[[set[str], int], TrialOutcome]
"""What comes of a trial, by the axes that it changes and by how many trials went before."""


def cell_of(*changed: str, axes: Iterable[str] = HOME) -> RunCell:
    values = {axis: OTHERS[axis] if axis in changed else (HOME | UNUSUAL)[axis] for axis in axes}
    name = " · ".join(changed) or "eastus2"
    region = target = values["target"]
    return RunCell(
        cell=name, session_id=SESSION, target=target, region=region, values=values, baseline=not changed, trials=[]
    )


def run_in(world: World, *, max_trials: int = 300, stop_after: int | None = None, axes: Iterable[str] = HOME) -> Run:
    """Make the trials that the experiment asks for, in a world whose truth is known."""
    run = Run(
        run_id="r20261123T011500-3f2a",
        started_at=datetime(2026, 11, 23, 1, 15, tzinfo=UTC),
        recordings=[
            RunRecording(
                session_id=SESSION,
                outcome="failed",
                failure_keys=[FAILED],
                target="eastus2",
                region="eastus2",
                transcription_model="gpt-4o-transcribe",
                dialect="ga",
            )
        ],
        axes=[Axis(axis=axis, values=[(HOME | UNUSUAL)[axis], OTHERS[axis]]) for axis in axes],
        cells=[cell_of(axes=axes), *(cell_of(axis, axes=axes) for axis in axes)],
        trials=max_trials,
        design="adaptive",
    )
    while isinstance(step := read_experiment(run).decide_next(), Batch):
        for number, block in enumerate(step.blocks):
            for changes in block:
                made = run.finished_trials
                if made == stop_after:
                    return run
                _add(run, changes, step, number, world({axis for axis, _ in changes}, made))
    return run


def _add(run: Run, changes: Changes, step: Batch, number: int, outcome: TrialOutcome) -> None:
    cell = next((cell for cell in run.cells if find_changes(run, cell, run.cells[0]) == changes), None)
    if cell is None:
        cell = cell_of(*(axis for axis, _ in changes), axes=[axis.axis for axis in run.axes])
        run.cells.append(cell)
    second = run.finished_trials
    cell.trials.append(
        Trial(
            trial=len(cell.trials) + 1,
            block=step.first_block + number,
            session_id=f"20261123T0115{second // 60:02}{second % 60:02}"[:15] + f"-{second:08x}",
            outcome=outcome,
            kind="control" if step.phase == "control" else "baseline" if cell.baseline else "variation",
        )
    )


def fails_unless(*cure: str) -> World:
    return lambda changed, _: "ok" if changed & set(cure) else "failed"


def test_the_run_holds_all_that_the_experiment_knew() -> None:
    run = run_in(fails_unless("target"))
    experiment = read_experiment(run)
    assert isinstance(experiment, Experiment)
    assert experiment.singles == tuple(((axis, OTHERS[axis]),) for axis in HOME)
    assert len(experiment.results) == run.finished_trials
    assert [result.phase for result in experiment.results[:1]] == ["opening"]
    assert not isinstance(experiment.decide_next(), Batch)


def test_a_cell_changes_what_differs_from_the_baseline() -> None:
    run = run_in(fails_unless(), stop_after=0)
    assert find_changes(run, run.cells[0], run.cells[0]) == BASELINE
    pair = cell_of("target", NOISE)
    assert find_changes(run, pair, run.cells[0]) == (("target", "swedencentral"), (NOISE, "(left out)"))


def test_opening_and_control_are_counted_apart_from_the_blocks() -> None:
    reading = read_isolation(run_in(fails_unless("target")))
    assert [(cell.cell, cell.ratio) for cell in reading.cells] == [
        ("eastus2", "12/12"),
        ("eastus2 (opening)", "1/1"),
        ("eastus2 (control)", "1/1"),
        ("target", "0/12"),
        (MODEL, "12/12"),
        (NOISE, "12/12"),
    ]
    assert [cell.baseline for cell in reading.cells] == [True, False, False, False, False, False]
    assert phase_of(Trial(trial=1, block=0, session_id="s", outcome="ok")) == "opening"


def test_a_control_in_the_midst_of_the_blocks_says_nothing_of_the_end() -> None:
    fails = fails_unless("target")
    run = run_in(lambda changed, made: "ok" if 25 <= made < 49 else fails(changed, made))
    baseline = run.cells[0].trials
    controls = [trial.block for trial in baseline if trial.kind == "control"]
    reading = read_isolation(run)
    assert len(controls) == 2
    assert any(controls[0] < trial.block < controls[1] for trial in baseline)
    assert reading.control.session_ids == (baseline[-1].session_id,)
    [listed] = [cell for cell in reading.cells if cell.cell.endswith("(control)")]
    assert len(listed.session_ids) == 2


def test_every_decision_says_what_it_was_compared_with() -> None:
    reading = read_isolation(run_in(fails_unless("target")))
    compared = {axis.label: (axis.decision, axis.comparisons[0].against) for axis in reading.singles}
    assert compared == {
        "target": ("implicated", "12/12"),
        "transcription model": ("ruled_out", "12/12"),
        "noise_reduction": ("ruled_out", "12/12"),
    }
    assert reading.together == ()


def test_cells_that_change_several_things_come_after_the_single_ones() -> None:
    def world(changed: set[str], _: int) -> TrialOutcome:
        return "ok" if {"target", NOISE} <= changed else "failed"

    reading = read_isolation(run_in(world))
    together = {axis.label: axis.decision for axis in reading.together}
    assert together["target + transcription model + noise_reduction"] == "implicated"
    assert together["target + noise_reduction"] == "implicated"
    assert together["target + transcription model"] != "implicated"


def test_what_was_not_tried_is_open_and_says_so() -> None:
    reading = read_isolation(run_in(fails_unless(), max_trials=5))
    assert {axis.decision for axis in reading.singles} == {"open"}
    assert reading.singles[-1].comparisons[0].reason == "no trial was made"
