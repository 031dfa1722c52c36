"""Read an adaptive run: its trials as an experiment, and what the experiment decided as a verdict's tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from capture.narration import counted
from replay.arms import BASELINE, ArmDecision, Changes, Phase, Result
from replay.comparison import AxisDecision, CellResult, Comparison, Decision, axis_label, tally
from replay.experiment import Experiment
from replay.runs import Run, RunCell, Trial, TrialOutcome
from replay.several_failures import View, list_views


@dataclass(frozen=True)
class Reading:
    """What an adaptive run says, before it is put in words."""

    view: View
    """Of all of the recording's failures as one, or of the one that tells something."""
    experiment: Experiment
    baseline: CellResult
    """Of the blocks; of the opening where it did not come to blocks."""
    opening: CellResult
    control: CellResult
    """What was tried last, to see whether it still fails."""
    cells: tuple[CellResult, ...]
    """The baseline, the opening and the control, then every arm that was planned."""
    singles: tuple[AxisDecision, ...]
    together: tuple[AxisDecision, ...]
    """Cells that change several axes: all at once, pairs; empty where they were not needed."""
    failed_last: str
    """Session of the last baseline trial that failed."""
    passed_last: str
    """Session of the last baseline trial that was ok."""


def read_experiment(run: Run) -> Experiment:
    """Give a run's trials as the results of an experiment.

    Of a recording that failed in several ways it is the one on all of them, unless that on one of them tells more.
    """
    return max((_read_view(view) for view in list_views(run, run.recordings[0])), key=_rank)


def _rank(experiment: Experiment) -> tuple[bool, int, bool]:
    arms = [arm for stage in experiment.stages for arm in stage]
    clearing = {arm.changes[0][0] for arm in experiment.stages[0] if arm.clears}
    return any(arm.clears for arm in arms), len(clearing), any(arm.state == "implicated" for arm in arms)


def _read_view(view: View) -> Experiment:
    run = view.run
    baseline = next(cell for cell in run.cells if cell.baseline)
    results = [
        Result(find_changes(run, cell, baseline), trial.block, phase_of(trial), trial.outcome)
        for cell in run.cells
        for trial in cell.trials
    ]
    singles = [find_changes(run, cell, baseline) for cell in run.cells]
    return Experiment(
        singles=tuple(changes for changes in singles if len(changes) == 1),
        results=tuple(sorted(results, key=lambda result: result.block)),
        max_trials=run.trials,
        seed=run.seed,
        views=view.views,
    )


def read_isolation(run: Run) -> Reading:
    """Read what an adaptive run found, by the failures that tell most."""
    return most_telling(read_views(run))


def most_telling(readings: Sequence[Reading]) -> Reading:
    """Choose the reading that a run is judged by, as `read_experiment` does."""
    return max(readings, key=lambda reading: _rank(reading.experiment))


def read_views(run: Run) -> list[Reading]:
    """Read what an adaptive run found by each view of the recording's failures; that of all as one is the first."""
    return [_read(view) for view in list_views(run, run.recordings[0])]


def _read(view: View) -> Reading:
    run, experiment = view.run, _read_view(view)
    home = next(cell for cell in run.cells if cell.baseline)
    opening, blocks, control = (_tally_phase(run, home, phase) for phase in ("opening", "blocks", "control"))
    changed = [cell for cell in run.cells if not cell.baseline]
    by_changes = {find_changes(run, cell, home): tally(cell, run.model_of(cell)) for cell in changed}
    singles = experiment.stages[0]
    axes = list(dict.fromkeys(arm.changes[0][0] for arm in singles))
    made = [replace(cell, baseline=False) for cell in (opening, control) if cell.session_ids]
    return Reading(
        view=view,
        experiment=experiment,
        baseline=blocks if blocks.session_ids else opening,
        opening=opening,
        control=_tally_phase(run, home, "control", {result.block for result in experiment.control}),
        cells=(blocks, *made, *by_changes.values()) if blocks.session_ids else (opening, *by_changes.values()),
        singles=tuple(
            _sum_up([arm for arm in singles if arm.changes[0][0] == axis], by_changes, cleared=experiment.has_cleared)
            for axis in axes
        ),
        together=tuple(
            _sum_up([arm], by_changes, cleared=experiment.has_cleared)
            for stage in experiment.stages[1:]
            for arm in stage
            if arm.changes in by_changes and by_changes[arm.changes].session_ids
        ),
        failed_last=_last(home, "failed"),
        passed_last=_last(home, "ok"),
    )


def find_changes(run: Run, cell: RunCell, baseline: RunCell) -> Changes:
    """Tell what a cell changes against the baseline, in the order of the run's axes."""
    if cell.baseline:
        return BASELINE
    names = [axis.axis for axis in run.axes]
    return tuple((name, cell.values[name]) for name in names if cell.values.get(name) != baseline.values.get(name))


def phase_of(trial: Trial) -> Phase:
    """Tell to which part of the experiment a trial belongs."""
    if trial.kind == "control":
        return "control"
    return "blocks" if trial.block else "opening"


def _tally_phase(run: Run, home: RunCell, phase: Phase, blocks: Collection[int] | None = None) -> CellResult:
    """Count the baseline's trials of a phase, of these blocks only where they are given."""
    name = {"opening": f"{home.cell} (opening)", "control": f"{home.cell} (control)"}.get(phase, home.cell)
    trials = [trial for trial in home.trials if phase_of(trial) == phase and (blocks is None or trial.block in blocks)]
    return replace(tally(structs.replace(home, trials=trials), run.model_of(home)), cell=name)


def _last(home: RunCell, outcome: TrialOutcome) -> str:
    # Ids of sessions begin with their time.
    return max((trial.session_id for trial in home.trials if trial.outcome == outcome), default="")


def _sum_up(arms: Sequence[ArmDecision], cells: dict[Changes, CellResult], *, cleared: bool) -> AxisDecision:
    compared = tuple(_compare(arm, cells[arm.changes], cleared=cleared) for arm in arms)
    found = {comparison.decision for comparison in compared}
    decision: Decision = "implicated" if "implicated" in found else "ruled_out" if found == {"ruled_out"} else "open"
    axes = [axis for axis, _ in arms[0].changes]
    return AxisDecision(" + ".join(axes), " + ".join(map(axis_label, axes)), decision, compared)


def _compare(arm: ArmDecision, cell: CellResult, *, cleared: bool) -> Comparison:
    reason, decision = arm.reason, arm.state
    if cleared and decision == "implicated":
        # A failure that goes away by itself may have gone just when this cell passed.
        decision, reason = "open", "it cleared during the experiment"
    if arm.state == "open" and not reason:
        reason = f"undecided at {counted(arm.trials, 'trial')}" if cell.session_ids else "no trial was made"
    return Comparison(
        axis=" + ".join(axis for axis, _ in arm.changes),
        value=" + ".join(value for _, value in arm.changes),
        cell=cell,
        p_implicated=arm.p_implicated,
        p_ruled_out=arm.p_ruled_out,
        level=arm.level,
        decision=decision,
        reason=reason,
        trials_to_decide=None,
        against=f"{arm.baseline_failed}/{arm.trials}",
    )
