"""Read what a run proved: which axis is at fault, what is ruled out, what is open, what was not tested.

Pure: a run with its outcomes in, a verdict out (the rules: docs/replay.md).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from capture.errors import UsageProblem
from replay import wording
from replay.audio_choice import AUDIO_AXIS, RECORDED
from replay.common_changes import CommonChange, is_as_recorded, list_common_changes, say_common_changes
from replay.comparison import AxisDecision, CellResult, axis_label, decide, decide_together, short_path, tally
from replay.experiment import Batch
from replay.isolation import Reading, read_isolation
from replay.isolation_wording import AdaptivePattern, find_pattern
from replay.isolation_wording import say as say_isolated
from replay.paths import full_path
from replay.rewrite import TRANSCRIPTION_MODEL_PATHS
from replay.runs import DIALECT_AXIS, DROPPED, MODEL_AXIS, TARGET_AXIS, Axis, Run, RunRecording
from replay.several_failures import View, list_others, list_views

Pattern = AdaptivePattern | Literal["nothing_varied", "recording_did_not_fail"]


@dataclass(frozen=True, slots=True)
class NotTested:
    """Something that a run leaves open by its design."""

    what: str
    command: str
    """The command that would test it, capitals to be filled in; empty where there is none yet."""


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
    common_changes: tuple[CommonChange, ...] = ()
    """What all trials have otherwise than the recording."""
    failure_key: str | None = None
    """Which failure this is about, where the trials told the recording's failures apart; None: all of them as one."""

    @property
    def is_of_recorded_audio(self) -> bool:
        """Whether trials sent the audio that was recorded."""
        return all(change.axis != AUDIO_AXIS for change in self.common_changes)


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
    verdicts = [(view, _read_view(view)) for view in list_views(run, recording)]
    view, telling = max(verdicts, key=lambda each: _telling(each[1]))
    return replace(telling, sentence=telling.sentence + wording.say_others(list_others(run, recording, view)))


def _telling(verdict: Verdict) -> int:
    if any(wording.clears(decision) for decision in verdict.axes):
        return 2
    return int(any(decision.decision == "implicated" for decision in verdict.axes))


def _read_view(view: View) -> Verdict:
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
    not_tested = _list_not_tested(run, recording, baseline, cells, common)
    return Verdict(
        run_id=run.run_id,
        session_id=recording.session_id,
        pattern=pattern,
        sentence=_say(
            pattern, recording, baseline, cells, decisions, together, axes, not_tested, common, of_calls=run.of_calls
        )
        + (wording.say_pace(run.speed) if pattern == "not_reproduced" else "")
        + wording.say_composed(run.run_id, run.composed_of, of_calls=run.of_calls, of_adaptive=run.of_adaptive),
        cells=tuple(cells),
        axes=(*decisions, *together),
        not_tested=not_tested,
        common_changes=common,
        failure_key=view.failure_key,
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
    reading = read_isolation(run)
    pattern = find_pattern(reading)
    told = reading.view
    not_tested = (*_list_not_tried(run, reading), *_list_not_tested(run, recording, reading.baseline, reading.cells))
    topics = [topic.what for topic in not_tested if not topic.what.startswith("another")]
    return Verdict(
        run_id=run.run_id,
        session_id=recording.session_id,
        pattern=pattern,
        sentence=say_isolated(pattern, told.recording, reading)
        + (wording.say_pace(run.speed) if pattern == "not_reproduced" else "")
        + wording.say_not_tested(topics)
        + wording.say_others(list_others(run, recording, told)),
        cells=reading.cells,
        axes=(*reading.singles, *reading.together),
        not_tested=not_tested,
        failure_key=told.failure_key,
    )


def _list_not_tried(run: Run, reading: Reading) -> list[NotTested]:
    """List what an experiment that was ended from outside, or by fewer trials than are asked for now, would do next."""
    if not run.request or not isinstance(reading.experiment.decide_next(), Batch):
        return []
    return [
        NotTested("another look at what is open", _command("wiretape", "replay", "isolate", "--resume", run.run_id))
    ]


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


def _say(
    pattern: Pattern,
    recording: RunRecording,
    baseline: CellResult | None,
    cells: Sequence[CellResult],
    decisions: Sequence[AxisDecision],
    together: Sequence[AxisDecision],
    axes: Sequence[Axis],
    not_tested: Sequence[NotTested],
    common: Sequence[CommonChange],
    *,
    of_calls: bool,
) -> str:
    changed = say_common_changes(common)
    subject = ("these calls" if of_calls else "this session") + changed
    if pattern == "recording_did_not_fail":
        return wording.say_recording_was_ok(cells, axes, changed)
    if recording.is_gone:
        return wording.say_recording_is_gone(recording.session_id)
    if baseline is None or (pattern == "no_baseline" and baseline.open_reason):
        return wording.say_no_baseline(baseline, axes)
    if pattern == "no_baseline":
        return wording.say_not_as_recorded(baseline, cells, axes, subject)
    if pattern == "not_reproduced":
        return wording.say_not_reproduced(baseline, cells, axes, subject)
    results = wording.say_results(wording.symptom(recording.failure_keys), baseline, cells, axes, subject)
    untested = wording.say_not_tested([topic.what for topic in not_tested if not topic.what.startswith("another")])
    if pattern == "nothing_varied":
        return f"{results}: reproduced, and nothing was varied.{untested}"
    conclusion = {
        "one_axis": wording.say_one_axis,
        "combination": wording.say_combination,
        "several_causes": wording.say_several_causes,
        "two_causes": wording.say_several_causes,
        "not_in_these_axes": wording.say_not_in_these,
        "undecided": wording.say_undecided,
    }[pattern]([*decisions, *together], baseline)
    is_recorded_audio = not of_calls and all(change.axis != AUDIO_AXIS for change in common)
    elsewhere = wording.say_elsewhere(baseline, cells, axes, one_recording=is_recorded_audio)
    return f"{results}: {conclusion}{elsewhere}{untested}"


def _list_not_tested(
    run: Run,
    recording: RunRecording,
    baseline: CellResult | None,
    cells: Sequence[CellResult],
    common: Sequence[CommonChange] = (),
) -> tuple[NotTested, ...]:
    if recording.is_gone:
        return ()
    target = baseline.target if baseline is not None else (recording.target or "TARGET")
    replay = ["wiretape", "replay", "run", recording.session_id, "--to", target]
    trials = ["--trials", str(run.trials if run.design == "factorial" else 5)]
    varied = {axis.axis for axis in run.axes if len(axis.values) > 1}
    found = [NotTested(change.untested, _command(*replay, *trials)) for change in common]
    # Set in every trial, these are said to be untested already.
    varied |= {MODEL_AXIS, DIALECT_AXIS} & {change.axis for change in common}
    if TARGET_AXIS not in varied:
        found.append(NotTested("other targets", _command(*replay, "--to", "ANOTHER_TARGET", *trials)))
    if recording.transcription_model and not varied & set(TRANSCRIPTION_MODEL_PATHS):
        path = full_path("transcription_model", recording.dialect)
        values = f"{path}={recording.transcription_model},ANOTHER_MODEL"
        found.append(NotTested("other transcription models", _command(*replay, "--vary", values, *trials)))
    if AUDIO_AXIS not in varied:
        values = f"{AUDIO_AXIS}={RECORDED},OTHER_CLIP.flac"
        found.append(NotTested("other audio", _command(*replay, "--vary", values, *trials)))
    if DROPPED not in {value for axis in run.axes for value in axis.values}:
        found.append(NotTested("other options", _options_command(replay, trials, recording, varied)))
    if MODEL_AXIS not in varied:
        another = ["--vary", f"{MODEL_AXIS}={recording.model},ANOTHER_MODEL"] if recording.model else []
        other_model = another or ["--to", "TARGET_WITH_ANOTHER_MODEL"]
        apart = " apart from the target" if len({cell.model for cell in cells}) > 1 else ""
        found.append(NotTested(f"the realtime model{apart}", _command(*replay, *other_model, *trials)))
    if DIALECT_AXIS not in varied:
        other_dialect = "TARGET_THAT_SPEAKS_GA" if recording.dialect == "beta" else "TARGET_THAT_SPEAKS_BETA"
        found.append(NotTested("the dialect", _command(*replay, "--to", other_dialect, *trials)))
    region = baseline.region if baseline is not None else None
    if region and TARGET_AXIS in varied and {c.region for c in cells} == {region}:
        found.append(NotTested("other regions", _command(*replay, "--to", "TARGET_IN_ANOTHER_REGION", *trials)))
    if region and TARGET_AXIS in varied and len({c.target for c in cells if c.region == region}) < 2:
        what = f"another target in region {region} (without it the region is not told from the target)"
        found.append(NotTested(what, _command(*replay, "--to", f"ANOTHER_TARGET_IN_{region.upper()}", *trials)))
    return tuple(found)


def _options_command(replay: list[str], trials: list[str], recording: RunRecording, varied: set[str]) -> str:
    for path, value in recording.options.items():
        if path not in varied:
            return _command(*replay, "--vary", f"{path}={_as_value(value)},{_contrast(value)}", *trials)
    return ""


def _contrast(value: Any) -> str:
    # Dropping an option tells most; a number cannot be dropped, so it is doubled.
    return _as_value(value * 2) if isinstance(value, int | float) and not isinstance(value, bool) else "null"


def _as_value(value: Any) -> str:
    # As `--vary` reads it: words bare, everything with a comma or a space in it as JSON.
    is_word = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w.-]*", value)
    return value if is_word else msgspec.json.encode(value).decode()


def _command(*words: str) -> str:
    return shlex.join(words)


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
