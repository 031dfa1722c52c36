"""Compare the cells of a run with its baseline, and decide what each axis has to do with the failure.

A cell is compared only if it differs from the baseline in one axis, or in several none of which helps alone.
*Implicated* means that the change lowers the failure rate (Fisher's exact test, one-sided), *ruled out* that even a
drop to half of it is excluded (exact); all else is *open*. Trials that were throttled, refused, or failed in another
way are no evidence on either side: they are not in n, and a cell with many of them decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from replay.runs import TARGET_AXIS, Axis, RunCell, TrialOutcome
from replay.statistics import fisher_one_sided, halving_excluded, trials_to_decide, wilson

Decision = Literal["implicated", "ruled_out", "open"]

FAMILY_LEVEL = 0.05
"""Chance of any wrong decision in a run, shared out evenly among its comparisons."""
_NOT_COUNTED_AT_MOST = 1 / 5
_TRANSCRIPTION_MODELS = ("audio.input.transcription.model", "input_audio_transcription.model")


@dataclass(frozen=True, slots=True)
class CellResult:
    """What came of one cell."""

    cell: str
    target: str
    region: str | None
    values: dict[str, str]
    """Axis -> value."""
    baseline: bool
    failed: int
    """Trials in which the recording's failure came again."""
    trials: int
    """Trials that failed so or were ok: n."""
    not_counted: int
    """Trials that are not in n."""
    low: float
    high: float
    """Wilson's 95 % interval of the failure rate."""
    open_reason: str
    """Why this cell decides nothing; empty where it may."""
    session_ids: tuple[str, ...]
    model: str | None = None
    """The realtime model, also where it is the recorded one; None where nobody knows it."""

    @property
    def ratio(self) -> str:
        """Failures of trials: `5/5`."""
        return f"{self.failed}/{self.trials}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One cell against the baseline, from which it differs in one axis only."""

    axis: str
    value: str
    cell: CellResult
    p_implicated: float | None
    """A small value says that the change lowers the rate: Fisher's exact test, of blocks the sign test; one-sided."""
    p_ruled_out: float | None
    """Exact: a small value says that the change does not even halve the rate."""
    level: float
    """What a p has to stay under."""
    decision: Decision
    reason: str
    """Why it is open; empty otherwise."""
    trials_to_decide: int | None
    """Trials a cell that would settle an open comparison if its rates stay; None: settled, or not within 200."""
    against: str = ""
    """Failures of the baseline's trials in this cell's own blocks; empty: of all of the baseline's."""


@dataclass(frozen=True, slots=True)
class AxisDecision:
    """What the comparisons along one axis say together."""

    axis: str
    label: str
    """In words: `transcription model`."""
    decision: Decision
    comparisons: tuple[Comparison, ...]


def short_path(path: str) -> str:
    """Shorten a configuration path to what tells it from others: `transcription.model`."""
    for prefix in ("session.audio.input.", "session.audio.", "session.", "connection."):
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return path


def axis_label(axis: str) -> str:
    """Name an axis in words."""
    if axis.removeprefix("session.") in _TRANSCRIPTION_MODELS:
        return "transcription model"
    return axis if axis == TARGET_AXIS else short_path(axis)


def tally(cell: RunCell, model: str | None = None) -> CellResult:
    """Count a cell's trials; `model` is what they ran on (`Run.model_of`)."""
    outcomes = Counter(trial.outcome for trial in cell.trials)
    failed, trials = outcomes["failed"], outcomes["failed"] + outcomes["ok"]
    low, high = wilson(failed, trials)
    return CellResult(
        cell=cell.cell,
        target=cell.target,
        region=cell.region,
        values=cell.values,
        baseline=cell.baseline,
        failed=failed,
        trials=trials,
        not_counted=len(cell.trials) - trials,
        low=low,
        high=high,
        open_reason=_open_reason(outcomes, len(cell.trials), trials),
        session_ids=tuple(trial.session_id for trial in cell.trials),
        model=model,
    )


def decide(
    baseline: CellResult, cells: Sequence[CellResult], axes: Sequence[Axis], views: int = 1
) -> tuple[AxisDecision, ...]:
    """Decide each axis that was varied; `views` of the same trials share the level out."""
    pairs = [(axis.axis, cell) for axis in axes for cell in cells if _differ_only_in(axis.axis, baseline, cell)]
    # All trials were planned beforehand, so the baseline's count is not biased by having been waited for,
    # and there is one look: the level is shared out among the comparisons alone.
    level = FAMILY_LEVEL / (views * max(1, len(pairs)))
    compared = [_compare(axis, baseline, cell, level) for axis, cell in pairs]
    return tuple(_sum_up(axis.axis, tuple(c for c in compared if c.axis == axis.axis)) for axis in axes)


def decide_together(
    baseline: CellResult,
    cells: Sequence[CellResult],
    axes: Sequence[Axis],
    singles: Sequence[AxisDecision],
    views: int = 1,
) -> tuple[AxisDecision, ...]:
    """Decide what several changes at once do, those of few axes first, where no single one helps.

    Of two causes that are each enough neither change alone does anything. The axes of a decision are joined by ` + `.
    """
    helpless = {single.axis for single in singles if single.decision == "ruled_out"}
    if any(single.decision == "implicated" for single in singles):
        return ()
    changed = {cell.cell: _changed(baseline, cell, axes) for cell in cells}
    several = [cell for cell in cells if len(changed[cell.cell]) > 1 and helpless.issuperset(changed[cell.cell])]
    level = FAMILY_LEVEL / (views * max(1, len(several)))
    compared = [_compare(" + ".join(changed[cell.cell]), baseline, cell, level) for cell in several]
    named = sorted({changed[cell.cell] for cell in several}, key=lambda names: (len(names), names))
    return tuple(_sum_up(axis, tuple(c for c in compared if c.axis == axis)) for axis in map(" + ".join, named))


def _changed(baseline: CellResult, cell: CellResult, axes: Sequence[Axis]) -> tuple[str, ...]:
    return tuple(axis.axis for axis in axes if baseline.values.get(axis.axis) != cell.values.get(axis.axis))


def _open_reason(outcomes: Counter[TrialOutcome], made: int, counted: int) -> str:
    if not made:
        return "no trial was made"
    if (made - counted) / made <= _NOT_COUNTED_AT_MOST:
        return ""
    names: dict[TrialOutcome, str] = {
        "throttled": "throttled",
        "not_run": "not run",
        "failed_otherwise": "failed in another way",
    }
    parts = ", ".join(f"{outcomes[outcome]} {name}" for outcome, name in names.items() if outcomes[outcome])
    return f"{made - counted} of {made} trials do not count ({parts})"


def _differ_only_in(axis: str, baseline: CellResult, cell: CellResult) -> bool:
    names = baseline.values.keys() | cell.values.keys()
    return {name for name in names if baseline.values.get(name) != cell.values.get(name)} == {axis}


def _compare(axis: str, baseline: CellResult, cell: CellResult, level: float) -> Comparison:
    p_implicated = p_ruled_out = more = None
    decision: Decision = "open"
    reason = baseline.open_reason or cell.open_reason
    if baseline.trials and cell.trials:
        counts = (baseline.failed, baseline.trials, cell.failed, cell.trials)
        p_implicated, p_ruled_out = fisher_one_sided(*counts), halving_excluded(*counts)
        if not reason and p_implicated <= level:
            decision = "implicated"
        elif not reason and p_ruled_out <= level:
            decision = "ruled_out"
        elif not reason:
            more = _trials_to_decide(baseline, cell, level)
            reason = _too_few(more)
    return Comparison(
        axis=axis,
        value=" + ".join(cell.values.get(name, "") for name in axis.split(" + ")),
        cell=cell,
        p_implicated=p_implicated,
        p_ruled_out=p_ruled_out,
        level=level,
        decision=decision,
        reason=reason,
        trials_to_decide=more,
    )


def _trials_to_decide(baseline: CellResult, cell: CellResult, level: float) -> int | None:
    rates = baseline.failed / baseline.trials, cell.failed / cell.trials
    return trials_to_decide(*rates, max(baseline.trials, cell.trials), level)


def _too_few(more: int | None) -> str:
    if more is None:
        return "too few trials: not even 200 a cell would decide if these rates stay"
    return f"too few trials: about {more} a cell would decide if these rates stay"


def _sum_up(axis: str, comparisons: tuple[Comparison, ...]) -> AxisDecision:
    found = {comparison.decision for comparison in comparisons}
    # One value that lowers the rate is enough to implicate the axis; to rule it out takes all of them.
    decision: Decision = "implicated" if "implicated" in found else "ruled_out" if found == {"ruled_out"} else "open"
    return AxisDecision(axis, " + ".join(map(axis_label, axis.split(" + "))), decision, comparisons)
