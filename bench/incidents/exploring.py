"""Let the real experiment loose on a world, and read its verdict as `wiretape analyze verdict` does."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from bench.incidents.worlds import World
from replay.arms import Changes
from replay.experiment import Batch
from replay.isolation import Reading, find_changes, read_experiment, read_isolation
from replay.runs import Axis, Run, RunCell, RunRecording, Trial, TrialOutcome

_RECORDED = "(as recorded)"
_THROTTLED = 0.02
"""Share of the trials that meet a quota and do not count."""


def explore(world: World, max_trials: int) -> tuple[Run, Reading]:
    """Run the experiment to its end; give the run and what it says."""
    run = _plan(world, max_trials)
    draw = random.Random(world.seed)
    made = 0
    while isinstance(step := read_experiment(run).decide_next(), Batch):
        for number, block in enumerate(step.blocks):
            for changes in block:
                failed = draw.random() < world.chance(changes, made)
                outcome: TrialOutcome = "failed" if failed else "ok"
                if draw.random() < _THROTTLED:
                    outcome = "throttled"
                made += 1
                cell = _cell_for(run, changes)
                cell.trials.append(
                    Trial(
                        trial=len(cell.trials) + 1,
                        block=step.first_block + number,
                        session_id=f"s{made:05}",
                        outcome=outcome,
                        kind="control" if step.phase == "control" else "variation",
                    )
                )
    return run, read_isolation(run)


def _plan(world: World, max_trials: int) -> Run:
    run = Run(
        run_id="r20260101T000000-0000",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        recordings=[RunRecording(session_id="recording", outcome="failed")],
        axes=[Axis(axis=axis, values=[_RECORDED, *values]) for axis, values in world.axes],
        cells=[_make_cell(world.axes, ())],
        trials=max_trials,
        design="adaptive",
        seed=world.seed,
    )
    run.cells[0].baseline = True
    run.cells += [_make_cell(world.axes, changes) for changes in world.singles]
    return run


def _cell_for(run: Run, changes: Changes) -> RunCell:
    for cell in run.cells:
        if find_changes(run, cell, run.cells[0]) == changes:
            return cell
    run.cells.append(_make_cell([(axis.axis, ()) for axis in run.axes], changes))
    return run.cells[-1]


def _make_cell(axes: object, changes: Changes) -> RunCell:
    values = {axis: _RECORDED for axis, _ in axes} | dict(changes)  # type: ignore[attr-defined]
    name = " · ".join(value for _, value in changes) or "recorded"
    return RunCell(cell=name, session_id="recording", target="recorded", values=values)
