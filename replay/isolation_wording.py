"""Say what an adaptive run found: its pattern, and the sentences for the ticket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from capture.narration import counted
from capture.recording.root import started_at_by
from replay.audio_choice import AUDIO_AXIS, audio_in_words
from replay.comparison import AxisDecision, Comparison, axis_label, short_path
from replay.isolation import Reading
from replay.runs import DIALECT_AXIS, DROPPED, MODEL_AXIS, TARGET_AXIS
from replay.statistics import CONFIDENCE, exact_upper_bound
from replay.wording import (
    Said,
    clears,
    joined,
    name_axis,
    say_causes,
    say_each_has_a_part,
    say_it_takes,
    say_no_baseline,
    say_not_reproduced,
    say_take_both,
    shared,
    unhelpful,
)

AdaptivePattern = Literal[
    "one_axis",
    "combination",
    "several_causes",
    "two_causes",
    "not_in_these_axes",
    "undecided",
    "cleared",
    "not_reproduced",
    "no_baseline",
]


def find_pattern(reading: Reading) -> AdaptivePattern:
    """Tell what the decisions say together."""
    experiment = reading.experiment
    if not experiment.is_reproduced:
        return "no_baseline" if reading.opening.open_reason else "not_reproduced"
    if reading.baseline.open_reason:
        return "no_baseline"
    if experiment.has_cleared:
        return "cleared"
    singles = experiment.stages[0]
    if len(_passing(reading)) > 1:
        return "combination"
    clearing = _clearing(reading)
    if clearing:
        # What fails still where one of them is changed does not take that one.
        return "one_axis" if _passing(reading) or len(clearing) == 1 else "several_causes"
    together = [arm for stage in experiment.stages[1:] for arm in stage]
    if pairs := _pairs(reading):
        return "two_causes" if len(pairs) == 1 else "several_causes"
    partial = {arm.changes[0][0] for arm in singles if arm.state == "implicated"}
    if partial:
        return "several_causes" if len(partial) > 1 else "one_axis"
    if _causes(reading):
        return "several_causes"
    # Several at once may be due and not tried yet; where they helped, it is in these axes, though no pair was found.
    settled = all(arm.state == "ruled_out" for arm in (*singles, *together))
    return "not_in_these_axes" if settled else "undecided"


def say(pattern: AdaptivePattern, symptoms: str, reading: Reading) -> Said:
    """Sum up in plain sentences, the one that counts first; `symptoms` say what fails."""
    if pattern == "not_reproduced":
        return Said(say_not_reproduced(reading.opening, [reading.opening], []))
    if pattern == "no_baseline":
        cell = reading.baseline if reading.baseline.open_reason else reading.opening
        return Said(say_no_baseline(cell, []))
    results = _results(symptoms, reading)
    if pattern == "cleared":
        return Said(f"Open: it cleared during the experiment. {results}. {_cleared(reading)}")
    conclusion = {
        "one_axis": _one_axis,
        "combination": _combination,
        "several_causes": _several_causes,
        "two_causes": _two_causes,
        "not_in_these_axes": _not_in_these,
        "undecided": _undecided,
    }[pattern](reading)
    parts = (_ruled_out(pattern, reading), _still_open(reading), _bound(reading), _control(reading))
    return Said(f"{results}: {conclusion}{''.join(parts)}", "" if pattern == "undecided" else conclusion)


def _results(symptoms: str, reading: Reading) -> str:
    # The trials that only opened the experiment are no rate.
    cell = reading.baseline
    model = reading.view.recording.transcription_model
    place = f"at {cell.target}" + (f" with {model}" if model else "")
    helping = [c for d in (*reading.singles, *reading.together) for c in d.comparisons if c.decision == "implicated"]
    counts = ", ".join(f"{c.cell.ratio} {phrase(c)}" for c in helping)
    return f"With this session {symptoms} {place}, {cell.ratio}" + (f"; {counts}" if counts else "")


def phrase(comparison: Comparison) -> str:
    """Name a change in a sentence: `at swedencentral`, `without noise_reduction`."""
    axes, values = comparison.axis.split(" + "), comparison.value.split(" + ")
    if len(axes) > 2:
        return "with all of it changed"
    return " ".join(_phrase(axis, value) for axis, value in zip(axes, values, strict=False))


def _phrase(axis: str, value: str) -> str:
    if axis == TARGET_AXIS:
        return f"at {value}"
    if axis == AUDIO_AXIS:
        return f"with {audio_in_words(value)}"
    if axis == DIALECT_AXIS:
        return f"in the dialect {value}"
    if axis == MODEL_AXIS or axis_label(axis) == "transcription model":
        return f"with {value}"
    return f"without {short_path(axis)}" if value == DROPPED else f"with {short_path(axis)}={value}"


def _one_axis(reading: Reading) -> str:
    guilty = _at_fault(reading)
    helping = _helping(guilty)
    passing = [phrase(c) for c in helping if not c.cell.failed]
    name = name_axis(guilty, reading.baseline)
    said = f". It passes {joined(passing)}." if passing else f", which lowers the rate from {_lowered(helping)}."
    if (same := unhelpful(guilty)) and not name.startswith("region"):
        said += f" Changing it does not help {joined([phrase(c) for c in same])}."
    return f"it is the {name}{said}{_also(reading, [guilty])}"


def _combination(reading: Reading) -> str:
    needed = _passing(reading)
    takes = say_it_takes([f"the {name_axis(decision, reading.baseline)}" for decision in needed])
    return f"{takes}{_also(reading, needed)}"


def _also(reading: Reading, said: Sequence[AxisDecision]) -> str:
    """Name what takes part in it beside what was said to be at fault."""
    others = [decision for decision in _implicated(reading) if decision not in said]
    cleared = reading.baseline if len(said) == 1 and clears(said[0]) else None
    return "".join(
        f" Changing the {name_axis(decision, reading.baseline)} also lowers the rate,"
        f" from {_lowered(_helping(decision))}{say_take_both(decision, cleared)}."
        for decision in others
    )


def _lowered(comparisons: Sequence[Comparison]) -> str:
    return joined([f"{c.against} to {c.cell.ratio} {phrase(c)}" for c in comparisons])


def _several_causes(reading: Reading) -> str:
    if causes := _causes(reading):
        return say_causes(causes)
    names = [f"the {name_axis(decision, reading.baseline)}" for decision in _implicated(reading)]
    return say_each_has_a_part(names)


def _two_causes(reading: Reading) -> str:
    pair = _pairs(reading)[0]
    helping = _helping(pair)
    effect = f"fails far less, from {_lowered(helping)}" if any(c.cell.failed for c in helping) else "passes"
    return f"there are two causes, {pair.label.replace(' + ', ' and ')}: only with both changed it {effect}."


def _not_in_these(reading: Reading) -> str:
    names = [f"the {name_axis(decision, reading.baseline)}" for decision in reading.singles]
    at_once = f", and {'both' if len(names) == 2 else 'all'} at once do not either" if reading.together else ""
    return (
        f"it is not in what was varied: changing {' or '.join(names)} does not help{at_once}."
        f" Look at what the cells have in common: {shared(decision.axis for decision in reading.singles)}."
    )


def _undecided(reading: Reading) -> str:
    helping = [c for decision in reading.together for c in _helping(decision)]
    if any(not c.cell.failed for c in helping):
        return "only with all of it changed it passes, and no pair is decided."
    if helping:
        return f"changed together it fails less, from {_lowered(helping[:1])}: there is another cause beside."
    if any(decision.decision != "ruled_out" for decision in reading.singles):
        return "that decides nothing yet."
    together = reading.experiment.stages[-1][0]
    at_once = "both" if len(together.changes) == 2 else "all of them"
    tried = f"undecided at {counted(together.trials, 'trial')}" if together.trials else "no trial counts yet"
    return f"no single change helps, and whether {at_once} at once do is open ({tried})."


def _cleared(reading: Reading) -> str:
    failed, passed = _clock(reading.failed_last), _clock(reading.passed_last)
    return (
        f"At the recorded target it failed last in the trial of {failed} and passed in the trial of {passed}:"
        " run again when it is back."
    )


def _ruled_out(pattern: AdaptivePattern, reading: Reading) -> str:
    names = [f"the {name_axis(d, reading.baseline)}" for d in reading.singles if d.decision == "ruled_out"]
    if not names or pattern == "not_in_these_axes" or _clearing_together(reading):
        # What does not help alone may be one of several that do together.
        return ""
    return f" Ruled out: {joined(names)}."


def _still_open(reading: Reading) -> str:
    found = []
    for decision in reading.singles:
        reasons = list(dict.fromkeys(c.reason for c in decision.comparisons if c.reason))
        if decision.decision == "open":
            found.append(f"the {name_axis(decision, reading.baseline)} ({'; '.join(reasons) or 'undecided'})")
    return f" Open: {joined(found)}." if found else ""


def _bound(reading: Reading) -> str:
    """Say what the passing cells exclude, by the weakest of them."""
    passing = [
        c.cell for d in reading.singles for c in d.comparisons if c.decision == "implicated" and not c.cell.failed
    ]
    if not passing:
        return ""
    weakest = min(passing, key=lambda cell: cell.trials)
    bound = exact_upper_bound(0, weakest.trials)
    return f" {weakest.ratio} excludes a rate above {bound:.0%} ({CONFIDENCE:.0%}, exact one-sided)."


def _control(reading: Reading) -> str:
    control = reading.control
    if not control.session_ids:
        return " It was not checked at the end that it still fails."
    if control.failed:
        return ""
    return f" The control at the end, {control.ratio}, is too short to tell whether it still fails."


def _implicated(reading: Reading) -> list[AxisDecision]:
    return [decision for decision in reading.singles if decision.decision == "implicated"]


def _passing(reading: Reading) -> list[AxisDecision]:
    """List the axes in which a change leaves no failure at all."""
    return [decision for decision in _implicated(reading) if clears(decision)]


def _clearing(reading: Reading) -> list[AxisDecision]:
    axes = {arm.changes[0][0] for arm in reading.experiment.stages[0] if arm.clears}
    return [decision for decision in reading.singles if decision.axis in axes]


def _clearing_together(reading: Reading) -> list[AxisDecision]:
    """List the axes of which several changes at once clear the failure, where no single one does."""
    clearing = {
        " + ".join(axis for axis, _ in arm.changes)
        for stage in reading.experiment.stages[1:]
        for arm in stage
        if arm.clears
    }
    return [decision for decision in reading.together if decision.axis in clearing]


def _pairs(reading: Reading) -> list[AxisDecision]:
    return [decision for decision in _clearing_together(reading) if decision.axis.count(" + ") == 1]


def _causes(reading: Reading) -> list[AxisDecision]:
    """List the fewest changes that clear it together: pairs, or all at once where nothing less has a part in it."""
    if (pairs := _pairs(reading)) or _implicated(reading):
        return pairs
    no_pair_does = all(arm.state == "ruled_out" for arm in reading.experiment.stages[-1])
    return _clearing_together(reading) if no_pair_does else []


def _at_fault(reading: Reading) -> AxisDecision:
    # Where one change clears it and another only lowers its rate, it is the one that clears it.
    return [*_passing(reading), *_clearing(reading), *_implicated(reading)][0]


def _helping(decision: AxisDecision) -> list[Comparison]:
    return [c for c in decision.comparisons if c.decision == "implicated"]


def _clock(session_id: str) -> str:
    at = started_at_by(session_id)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "an unknown time"
