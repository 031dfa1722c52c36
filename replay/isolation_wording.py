"""Say what an adaptive run found: its pattern, and the sentences for the ticket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from replay.arms import ArmDecision
from replay.audio_choice import AUDIO_AXIS, audio_in_words
from replay.comparison import AxisDecision, Comparison, axis_label, short_path
from replay.isolation import Reading
from replay.runs import DIALECT_AXIS, DROPPED, MODEL_AXIS, TARGET_AXIS, RunRecording
from replay.statistics import CONFIDENCE, exact_upper_bound
from replay.wording import joined, name_axis, say_it_takes, say_no_baseline, say_not_reproduced, shared, symptom

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
    clearing = {arm.changes[0][0] for arm in singles if arm.clears}
    if clearing:
        return "combination" if len(clearing) > 1 else "one_axis"
    together = [arm for stage in experiment.stages[1:] for arm in stage]
    if any(arm.clears and len(arm.changes) == 2 for arm in together):
        return "two_causes"
    partial = {arm.changes[0][0] for arm in singles if arm.state == "implicated"}
    if partial:
        return "several_causes" if len(partial) > 1 else "one_axis"
    # Where all of them at once helped, it is in these axes, though no pair was found.
    settled = all(arm.state == "ruled_out" for arm in (*singles, *_all_at_once(together)))
    return "not_in_these_axes" if settled else "undecided"


def say(pattern: AdaptivePattern, recording: RunRecording, reading: Reading) -> str:
    """Sum up in plain sentences, the one that counts first."""
    if pattern == "not_reproduced":
        return say_not_reproduced(reading.opening, [reading.opening], [])
    if pattern == "no_baseline":
        cell = reading.baseline if reading.baseline.open_reason else reading.opening
        return say_no_baseline(cell, [])
    results = _results(recording, reading)
    if pattern == "cleared":
        return f"Open: it cleared during the experiment. {results}. {_cleared(reading)}"
    conclusion = {
        "one_axis": _one_axis,
        "combination": _combination,
        "several_causes": _several_causes,
        "two_causes": _two_causes,
        "not_in_these_axes": _not_in_these,
        "undecided": _undecided,
    }[pattern](reading)
    parts = (_ruled_out(pattern, reading), _still_open(reading), _bound(reading), _control(reading))
    return f"{results}: {conclusion}{''.join(parts)}"


def _results(recording: RunRecording, reading: Reading) -> str:
    # The trials that only opened the experiment are no rate.
    cell = reading.baseline
    models = [recording.transcription_model] if recording.transcription_model else []
    place = f"at {cell.target}" + (f" with {models[0]}" if models else "")
    helping = [c for d in (*reading.singles, *reading.together) for c in d.comparisons if c.decision == "implicated"]
    counts = ", ".join(f"{c.cell.ratio} {phrase(c)}" for c in helping)
    return f"With this session {symptom(recording.failure_keys)} {place}, {cell.ratio}" + (
        f"; {counts}" if counts else ""
    )


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
    [guilty] = _implicated(reading)
    helping = [c for c in guilty.comparisons if c.decision == "implicated"]
    changed = joined([phrase(c) for c in helping])
    if all(not c.cell.failed for c in helping):
        return f"it is the {name_axis(guilty, reading.baseline)}. It passes {changed}."
    lowered = joined([f"{c.against} to {c.cell.ratio} {phrase(c)}" for c in helping])
    return f"it is the {name_axis(guilty, reading.baseline)}, which lowers the rate from {lowered}."


def _combination(reading: Reading) -> str:
    needed = [decision for decision in _implicated(reading) if _clears(reading, decision)]
    return say_it_takes([f"the {name_axis(decision, reading.baseline)}" for decision in needed])


def _several_causes(reading: Reading) -> str:
    names = [f"the {name_axis(decision, reading.baseline)}" for decision in _implicated(reading)]
    return f"{joined(names)} each have a part in it, and none alone clears it: there is more than one cause."


def _two_causes(reading: Reading) -> str:
    pair = next(d for d in reading.together if d.decision == "implicated" and d.axis.count(" + ") == 1)
    return f"there are two causes, {pair.label.replace(' + ', ' and ')}: only with both changed it passes."


def _not_in_these(reading: Reading) -> str:
    names = [f"the {name_axis(decision, reading.baseline)}" for decision in reading.singles]
    at_once = ", and all at once do not either" if len(names) > 2 and reading.together else ""
    return (
        f"it is not in what was varied: changing {' or '.join(names)} does not help{at_once}."
        f" Look at what the cells have in common: {shared(decision.axis for decision in reading.singles)}."
    )


def _undecided(reading: Reading) -> str:
    at_once = any(d.decision == "implicated" for d in reading.together)
    return "only with all of it changed it passes, and no pair is decided." if at_once else "that decides nothing yet."


def _cleared(reading: Reading) -> str:
    failed, passed = _clock(reading.failed_last), _clock(reading.passed_last)
    return (
        f"At the recorded target it failed last in the trial of {failed} and passed in the trial of {passed}:"
        " run again when it is back."
    )


def _ruled_out(pattern: AdaptivePattern, reading: Reading) -> str:
    names = [f"the {name_axis(d, reading.baseline)}" for d in reading.singles if d.decision == "ruled_out"]
    if not names or pattern in ("not_in_these_axes", "two_causes"):
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


def _clears(reading: Reading, decision: AxisDecision) -> bool:
    return any(arm.clears for arm in reading.experiment.stages[0] if arm.changes[0][0] == decision.axis)


def _all_at_once(arms: Sequence[ArmDecision]) -> list[ArmDecision]:
    return [arm for arm in arms if len(arm.changes) > 2]


def _clock(session_id: str) -> str:
    found = re.match(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)-", session_id)
    return "{}-{}-{} {}:{}:{} UTC".format(*found.groups()) if found else "an unknown time"
