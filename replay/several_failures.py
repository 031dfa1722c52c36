"""Look at a run through each failure of a recording by itself, where its trials told them apart; pure.

A trial counts as failed while any of the recorded failures comes again. One that comes with every trial, such as a
mistake of the client's, would hide what cures another.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from replay.runs import Run, RunRecording, Trial, TrialOutcome


@dataclass(frozen=True, slots=True)
class View:
    """A run as it is judged by one failure of a recording, or by all of them as one."""

    run: Run
    recording: RunRecording
    failure_key: str | None = None
    """None: a trial failed if any of the recorded failures came again."""
    views: int = 1
    """Views that differ: the chance of a wrong decision is shared out among them."""

    @property
    def outcomes(self) -> tuple[TrialOutcome, ...]:
        """What came of the recording's trials, in the order of the run."""
        cells = [cell for cell in self.run.cells if cell.session_id == self.recording.session_id]
        return tuple(trial.outcome for cell in cells for trial in cell.trials)


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How often one failure of a recording came again."""

    failure_key: str
    failed: int
    trials: int
    """Trials that tell whether it came."""
    view: str | None
    """`View.failure_key` of the view in which it comes and goes just so: its own, another's, or that of all as one."""


def list_views(run: Run, recording: RunRecording) -> list[View]:
    """List the views of a run that differ: all failures as one, then each by itself.

    Failures that came together in every trial need no view of their own.
    """
    found = {(everything := View(run, recording)).outcomes: everything}
    for view in _each_by_itself(run, recording):
        found.setdefault(view.outcomes, view)
    return [View(view.run, view.recording, view.failure_key, len(found)) for view in found.values()]


def count_each(run: Run, recording: RunRecording) -> list[FailureCount]:
    """Count each failure of a recording by itself; nothing where it has but one."""
    views = {view.outcomes: view.failure_key for view in list_views(run, recording)}
    return [
        FailureCount(
            failure_key=str(view.failure_key),
            failed=(failed := view.outcomes.count("failed")),
            trials=failed + view.outcomes.count("ok"),
            view=views[view.outcomes],
        )
        for view in _each_by_itself(run, recording)
    ]


def _each_by_itself(run: Run, recording: RunRecording) -> list[View]:
    keys = recording.failure_keys
    return [_by_itself(run, recording, key) for key in keys] if len(keys) > 1 else []


def _by_itself(run: Run, recording: RunRecording, key: str) -> View:
    cells = [
        replace(cell, trials=[replace(trial, outcome=_outcome(trial, key)) for trial in cell.trials])
        if cell.session_id == recording.session_id
        else cell
        for cell in run.cells
    ]
    return View(replace(run, cells=cells), replace(recording, failure_keys=[key]), key)


def _outcome(trial: Trial, key: str) -> TrialOutcome:
    if trial.outcome != "failed" or key not in trial.not_again:
        return trial.outcome
    # Cut short by another failure: whether this one would have come is not known.
    return "failed_otherwise" if trial.note else "ok"
