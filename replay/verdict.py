"""Read what a run proved: which axis is at fault, what is ruled out, what is open, what was not tested.

Pure: a run with its outcomes in, a verdict out (the rules: docs/replay.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from capture.errors import UsageProblem
from replay import wording
from replay.audio_choice import AUDIO_AXIS
from replay.common_changes import CommonChange, is_as_recorded, list_common_changes, say_common_changes
from replay.comparison import AxisDecision, CellResult, axis_label, decide, decide_together, short_path, tally
from replay.experiment import Batch
from replay.isolation import Reading, most_telling, read_views
from replay.isolation_wording import AdaptivePattern, find_pattern
from replay.isolation_wording import say as say_isolated
from replay.not_tested import NotTested, list_not_tested
from replay.runs import Axis, Run, RunRecording
from replay.several_failures import FailureCount, View, count_each, list_views

Pattern = AdaptivePattern | Literal["nothing_varied", "recording_did_not_fail"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run proved about one recording."""

    run_id: str
    session_id: str
    pattern: Pattern
    sentence: str
    """For the ticket."""
    cells: tuple[CellResult, ...]
    """Counts with Wilson's 95 % interval."""
    axes: tuple[AxisDecision, ...]
    """Decisions with their exact tests."""
    not_tested: tuple[NotTested, ...]
    conclusion: str = ""
    """What the counts come to, as it stands behind them in the sentence; empty where it comes to nothing yet, or the
    sentence begins with it."""
    common_changes: tuple[CommonChange, ...] = ()
    """What all trials have otherwise than the recording."""
    failure_key: str | None = None
    """Which failure this is about, where the trials told the recording's failures apart; None: all of them as one."""
    tests_hold: bool = True
    """Whether decisions and p values are those of how the trials were chosen; counts and intervals hold in any case."""

    @property
    def is_of_recorded_audio(self) -> bool:
        """Whether trials sent the audio that was recorded."""
        return all(change.axis != AUDIO_AXIS for change in self.common_changes)


@dataclass(frozen=True, slots=True)
class _FactorialReading:
    """What a factorial run comes to, seen by one view: what its sentence is made of."""

    view: View
    counts: Sequence[FailureCount]
    baseline: CellResult | None
    cells: Sequence[CellResult]
    axes: Sequence[Axis]
    """With the values that were tried, of those that were varied."""
    decisions: Sequence[AxisDecision]
    together: Sequence[AxisDecision]
    """On several axes at once."""
    common: Sequence[CommonChange]
    not_tested: Sequence[NotTested]

    @property
    def subject(self) -> str:
        """What the trials replayed."""
        return ("these calls" if self.view.run.of_calls else "this session") + say_common_changes(self.common)


def read_verdicts(run: Run) -> list[Verdict]:
    """Give the verdict of each recording of a run."""
    return [read_verdict(run, recording.session_id) for recording in run.recordings]


def read_verdict(run: Run, session_id: str | None = None) -> Verdict:
    """Give the verdict on one recording of a run, on its first unless told otherwise.

    Raises `UsageProblem` where the run did not replay that recording.
    """
    recording = _find_recording(run, session_id)
    if run.design == "adaptive":
        return _read_adaptive(run, recording)
    run = msgspec.structs.replace(run, axes=_axes_of(recording, run))
    counts = count_each(run, recording)
    views = [(view, _read_view(view, counts)) for view in list_views(run, recording)]
    told, verdict = max(views, key=lambda each: wording.rank(each[1].axes))
    helping = {view.failure_key: wording.list_helping(each.axes) for view, each in views}
    return replace(
        verdict,
        sentence=verdict.sentence
        + wording.say_each(told.failure_key, counts, helping)
        + wording.say_composed(run.run_id, run.composed_of, of_calls=run.of_calls, of_adaptive=run.of_adaptive),
    )


def _read_view(view: View, counts: Sequence[FailureCount]) -> Verdict:
    run, recording = view.run, view.recording
    cells = [tally(cell, run.model_of(cell)) for cell in run.cells if cell.session_id == recording.session_id]
    baseline = next((cell for cell in cells if cell.baseline), None)
    axes = [axis for axis in run.axes if len(axis.values) > 1]
    decisions = decide(baseline, cells, axes, view.views) if baseline is not None else ()
    together = decide_together(baseline, cells, axes, decisions, view.views) if baseline is not None else ()
    home = next((cell for cell in run.cells if cell.baseline and cell.session_id == recording.session_id), None)
    common = tuple(list_common_changes(run, home)) if home is not None else ()
    as_recorded = home is None or is_as_recorded(run, home)
    pattern = _read_pattern(recording, baseline, decisions, together, as_recorded=as_recorded)
    not_tested = list_not_tested(run, recording, baseline, cells, common)
    reading = _FactorialReading(view, counts, baseline, cells, axes, decisions, together, common, not_tested)
    said = _say(pattern, reading)
    return Verdict(
        run_id=run.run_id,
        session_id=recording.session_id,
        pattern=pattern,
        sentence=said.sentence + (wording.say_pace(run.speed) if pattern == "not_reproduced" else ""),
        cells=tuple(cells),
        axes=(*decisions, *together),
        not_tested=not_tested,
        conclusion=said.conclusion,
        common_changes=common,
        failure_key=view.failure_key,
        tests_hold=not run.of_adaptive,
    )


def _axes_of(recording: RunRecording, run: Run) -> list[Axis]:
    """Give the axes with the values that were tried with one recording: of runs put together each has its own."""
    if len(run.recordings) == 1:
        return run.axes
    tried = {pair for cell in run.cells if cell.session_id == recording.session_id for pair in cell.values.items()}
    return [
        msgspec.structs.replace(axis, values=[value for value in axis.values if (axis.axis, value) in tried])
        for axis in run.axes
    ]


def _read_adaptive(run: Run, recording: RunRecording) -> Verdict:
    readings = read_views(run)
    reading = most_telling(readings)
    pattern = find_pattern(reading)
    told = reading.view
    counts = count_each(run, recording)
    helping = {each.view.failure_key: wording.list_helping((*each.singles, *each.together)) for each in readings}
    not_tested = (*_list_not_tried(run, reading), *list_not_tested(run, recording, reading.baseline, reading.cells))
    topics = [topic.what for topic in not_tested if not topic.what.startswith("another")]
    said = say_isolated(pattern, wording.symptoms(recording.failure_keys, told.failure_key, counts), reading)
    return Verdict(
        run_id=run.run_id,
        session_id=recording.session_id,
        pattern=pattern,
        sentence=said.sentence
        + (wording.say_pace(run.speed) if pattern == "not_reproduced" else "")
        + wording.say_not_tested(topics)
        + wording.say_each(told.failure_key, counts, helping),
        cells=reading.cells,
        axes=(*reading.singles, *reading.together),
        not_tested=not_tested,
        conclusion=said.conclusion,
        failure_key=told.failure_key,
    )


def _list_not_tried(run: Run, reading: Reading) -> list[NotTested]:
    """List what an experiment that was ended from outside, or by fewer trials than are asked for now, would do next."""
    if not run.request or not isinstance(reading.experiment.decide_next(), Batch):
        return []
    return [NotTested("another look at what is open", f"wiretape replay isolate --resume {run.run_id}")]


def _find_recording(run: Run, session_id: str | None) -> RunRecording:
    for recording in run.recordings:
        if session_id in (None, recording.session_id):
            return recording
    raise UsageProblem(f"run {run.run_id} did not replay {session_id}")


def _read_pattern(
    recording: RunRecording,
    baseline: CellResult | None,
    decisions: Sequence[AxisDecision],
    together: Sequence[AxisDecision],
    *,
    as_recorded: bool,
) -> Pattern:
    if recording.is_gone:
        return "no_baseline"
    if not recording.failure_keys:
        return "recording_did_not_fail"
    if baseline is None or baseline.open_reason:
        return "no_baseline"
    if not baseline.failed:
        # That a changed session passes says nothing of the recorded one.
        return "not_reproduced" if as_recorded else "no_baseline"
    if not decisions:
        return "nothing_varied"
    found = [decision.decision for decision in decisions]
    clearing = sum(wording.clears(decision) for decision in decisions)
    if clearing > 1:
        return "combination"
    if "implicated" in found:
        return "one_axis" if clearing or found.count("implicated") == 1 else "several_causes"
    if causes := wording.find_causes(together):
        return "two_causes" if len(causes) == 1 and causes[0].axis.count(" + ") == 1 else "several_causes"
    # What no single change helps, several at once may.
    return "undecided" if any(each.decision != "ruled_out" for each in (*decisions, *together)) else "not_in_these_axes"


def _say(pattern: Pattern, reading: _FactorialReading) -> wording.Said:
    recording, baseline, cells, axes = reading.view.recording, reading.baseline, reading.cells, reading.axes
    if pattern == "recording_did_not_fail":
        return wording.Said(wording.say_recording_was_ok(cells, axes, say_common_changes(reading.common)))
    if recording.is_gone:
        return wording.Said(wording.say_recording_is_gone(recording.session_id))
    if baseline is None or (pattern == "no_baseline" and baseline.open_reason):
        return wording.Said(wording.say_no_baseline(baseline, axes))
    if pattern == "no_baseline":
        return wording.Said(wording.say_not_as_recorded(baseline, cells, axes, reading.subject))
    if pattern == "not_reproduced":
        recorded_at = None if reading.view.run.of_calls else recording.target
        return wording.Said(wording.say_not_reproduced(baseline, cells, axes, reading.subject, recorded_at))
    return _conclude(pattern, baseline, reading)


def _conclude(pattern: Pattern, baseline: CellResult, reading: _FactorialReading) -> wording.Said:
    symptoms = wording.symptoms(reading.view.recording.failure_keys, reading.view.failure_key, reading.counts)
    results = wording.say_results(symptoms, baseline, reading.cells, reading.axes, reading.subject)
    topics = [topic.what for topic in reading.not_tested if not topic.what.startswith("another")]
    untested = wording.say_not_tested(topics)
    if pattern == "nothing_varied":
        reproduced = "reproduced" if all(count.failed for count in reading.counts) else "reproduced in part"
        return wording.Said(f"{results}: {reproduced}, and nothing was varied.{untested}")
    conclusion = {
        "one_axis": wording.say_one_axis,
        "combination": wording.say_combination,
        "several_causes": wording.say_several_causes,
        "two_causes": wording.say_several_causes,
        "not_in_these_axes": wording.say_not_in_these,
        "undecided": wording.say_undecided,
    }[pattern]([*reading.decisions, *reading.together], baseline)
    elsewhere = wording.say_elsewhere(
        baseline,
        reading.cells,
        reading.axes,
        one_recording=not reading.view.run.of_calls and all(change.axis != AUDIO_AXIS for change in reading.common),
        one_failure=reading.view.failure_key is not None,
    )
    sentence = f"{results}: {conclusion}{elsewhere}{untested}"
    return wording.Said(sentence, "" if pattern == "undecided" else conclusion)


__all__ = [
    "AxisDecision",
    "CellResult",
    "NotTested",
    "Pattern",
    "Verdict",
    "axis_label",
    "read_verdict",
    "read_verdicts",
    "short_path",
]
