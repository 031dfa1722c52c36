"""Put a run together from sessions: those of several runs, or those that somebody tagged as belonging together. Pure.

A run made by `replay run` knows what it varied. Here that is read back from what each session says of itself: where
it went, and what its cell changed of its recording (`sessions.overrides`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast, get_args

from capture.errors import UsageProblem
from capture.realtime.outcomes import COMPLETED, trial_outcome
from replay.comparison import short_path
from replay.paths import axis_of
from replay.rewrite import TRANSCRIPTION_MODEL_PATHS
from replay.runs import (
    DIALECT_AXIS,
    DROPPED,
    MODEL_AXIS,
    TARGET_AXIS,
    Axis,
    Run,
    RunCell,
    RunRecording,
    Trial,
    TrialOutcome,
    describe_recording,
    shown,
)

Row = Mapping[str, Any]
Recorded = Callable[[str, str], object]
"""What a recording (its session_id) has at a path; None where nothing, or where it is gone."""

_UNKNOWN = "as recorded"
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Of a run none of whose sessions says when it was: such as an import of logs without times."""
_OF_CALLS = {
    MODEL_AXIS: "model",
    TRANSCRIPTION_MODEL_PATHS[0]: "transcription_model",
    "session.audio.output.voice": "voice",
    "session.audio.input.turn_detection.type": "turn_detection",
    "session.audio.input.format": "input_format",
    DIALECT_AXIS: "dialect",
}
"""Axes along which calls may differ -> the column that tells."""


@dataclass(frozen=True, slots=True)
class _Made:
    """One trial, with the values that put it into its cell."""

    row: Row
    replayed: str
    """The recording that it is a trial of."""
    values: dict[str, str]
    """Axis -> value; the target first."""
    nearness: int
    """How surely it is the recording as it was, at the recorded target; 0: it is not."""
    outcome: TrialOutcome
    cut_short: str
    """Why it is not known what else it would have come to; empty where it is."""


def compose_run(name: str, rows: Sequence[Row], originals: Mapping[str, Row], recorded: Recorded) -> Run:
    """Put a run together from rows of `sessions`; `originals` are the rows of the recordings that were replayed.

    With replays among the rows these are the trials, each of its own recording. Without any the rows are calls: the
    first that failed is what the others are compared with, and no trial itself, for it was picked because it failed.
    Raises `UsageProblem` where that leaves nothing to compare.
    """
    # Trials that opened or closed an experiment belong to no cell's rate.
    replays = [row for row in rows if row["replay_of"] and not _opens_or_closes(row)]
    if replays:
        of = list(dict.fromkeys(row["replay_of"] for row in replays))
        recordings = [_recording(session_id, originals.get(session_id), replays) for session_id in of]
        made = _made_of_replays(replays, originals, recorded)
    elif is_adaptive(rows):
        raise UsageProblem(f"of {name} there are only trials that opened or closed it: there is nothing to compare")
    else:
        reference = next((row for row in _in_order(rows) if row["failure_keys"]), None)
        if reference is None:
            raise UsageProblem(f"none of the {len(rows)} sessions of {name} failed: there is nothing to compare")
        recordings = [_recording(reference["session_id"], reference, ())]
        made = _made_of_calls([row for row in rows if row is not reference], reference)
    if not made:
        raise UsageProblem(f"{name} holds one session, {recordings[0].session_id}: there is nothing to compare it with")
    cells = [cell for recording in recordings for cell in _cells_of(recording, made)]
    return Run(
        run_id=name,
        started_at=min((row["started_at"] for row in rows if row["started_at"]), default=_UNKNOWN_TIME),
        recordings=recordings,
        axes=_axes_of(cells),
        cells=cells,
        trials=max(len(cell.trials) for cell in cells),
        status="done",
        composed_of=list(dict.fromkeys(row["run_id"] for row in _in_order(rows) if row["run_id"])),
        of_calls=not replays,
        of_adaptive=is_adaptive(rows),
    )


def is_adaptive(rows: Iterable[Row]) -> bool:
    """Tell whether trials among these rows were chosen by what came before them: such a run opens with a block 0."""
    return any(row["replay_of"] and _opens_or_closes(row) for row in rows)


def _opens_or_closes(row: Row) -> bool:
    return bool(row["block"] == 0 or row["trial_kind"] == "control")


def _made_of_replays(rows: Sequence[Row], originals: Mapping[str, Row], recorded: Recorded) -> list[_Made]:
    changed = {row["session_id"]: _changed(row) for row in rows}
    paths = list(dict.fromkeys(path for values in changed.values() for path in values))
    made = []
    for row in _in_order(rows):
        was = {path: _as_recorded(path, recorded(row["replay_of"], path)) for path in paths}
        now = was | changed[row["session_id"]]
        values = {TARGET_AXIS: _target(row), **{axis_of(path): value for path, value in now.items()}}
        near = _nearness(row, originals.get(row["replay_of"])) if now == was else 0
        is_known = row["trial_outcome"] in get_args(TrialOutcome)
        outcome = cast("TrialOutcome", row["trial_outcome"] if is_known else "not_run")
        end = row["end_reason"] or "it did not live to tell"
        made.append(_Made(row, row["replay_of"], values, near, outcome, "" if end == COMPLETED else end))
    return made


def _made_of_calls(rows: Sequence[Row], reference: Row) -> list[_Made]:
    differing = [axis for axis, column in _OF_CALLS.items() if len({row[column] for row in (*rows, reference)}) > 1]

    def values_of(row: Row) -> dict[str, str]:
        return {TARGET_AXIS: _target(row), **{axis: str(row[_OF_CALLS[axis]] or "none") for axis in differing}}

    made = []
    for row in _in_order(rows):
        ended = None if row["outcome"] == "incomplete" else COMPLETED
        outcome = trial_outcome(row["failure_keys"] or [], reference["failure_keys"], row["handshake_status"], ended)
        near = int(values_of(row) == values_of(reference))
        cut_short = "" if ended else row["outcome"]
        made.append(_Made(row, reference["session_id"], values_of(row), near, outcome, cut_short))
    return made


def _changed(row: Row) -> dict[str, str]:
    """Read from `overrides` what a trial changed: path -> value, as text.

    Raises `UsageProblem` where they are none of ours.
    """
    try:
        overrides = json.loads(row["overrides"] or "{}")
        gone = [str(path) for path in overrides.pop("unset", [])]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UsageProblem(f"the overrides of session {row['session_id']} say nothing of what it changed") from None
    return {path: shown(path, value) for path, value in overrides.items()} | dict.fromkeys(gone, DROPPED)


def _as_recorded(path: str, value: object) -> str:
    return _UNKNOWN if value is None else shown(path, value)


def _nearness(row: Row, original: Row | None) -> int:
    if original is None:
        return 0
    if _target(row) == _target(original):
        return 3
    if str(row["url"]).partition("?")[0] == str(original["url"]).partition("?")[0]:
        return 2
    return 1 if row["region"] and row["region"] == original["region"] else 0


def _cells_of(recording: RunRecording, made: Iterable[_Made]) -> list[RunCell]:
    trials: dict[str, list[_Made]] = {}
    for each in made:
        if each.replayed == recording.session_id:
            target, *settings = each.values.items()
            name = " · ".join([target[1], *(f"{short_path(axis)}={value}" for axis, value in settings)])
            trials.setdefault(name, []).append(each)
    home = max(trials, key=lambda name: trials[name][0].nearness, default="")
    return [
        RunCell(
            cell=name,
            session_id=recording.session_id,
            target=in_cell[0].values[TARGET_AXIS],
            region=in_cell[0].row["region"],
            model=in_cell[0].row["model"],
            values=in_cell[0].values,
            baseline=name == home and in_cell[0].nearness > 0,
            trials=[_trial(each, number, recording) for number, each in enumerate(in_cell, 1)],
        )
        for name, in_cell in trials.items()
    ]


def _trial(made: _Made, number: int, recording: RunRecording) -> Trial:
    row, note = made.row, ""
    not_again: list[str] = []
    if made.outcome == "failed_otherwise":
        note = row["first_error"] or ""
    elif made.outcome == "failed":
        not_again = recording.failures_not_in(row["failure_keys"])
        note = made.cut_short
    return Trial(
        trial=number,
        block=row["block"] or number,
        session_id=row["session_id"],
        outcome=made.outcome,
        not_again=not_again,
        note=note,
    )


def _axes_of(cells: Sequence[RunCell]) -> list[Axis]:
    names = dict.fromkeys(axis for cell in cells for axis in cell.values)
    homes_first = sorted(cells, key=lambda cell: not cell.baseline)
    return [
        Axis(axis=name, values=list(dict.fromkeys(cell.values[name] for cell in homes_first if name in cell.values)))
        for name in names
    ]


def _recording(session_id: str, row: Row | None, replays: Iterable[Row]) -> RunRecording:
    if row is None:
        # Gone; what failed in it came again in the trials that are called failed.
        failed = [each for each in replays if each["replay_of"] == session_id and each["trial_outcome"] == "failed"]
        keys = list(failed[0]["failure_keys"] or ()) if failed else []
        outcome = "failed" if keys else "ok"
        return RunRecording(session_id=session_id, outcome=outcome, failure_keys=keys, is_gone=True)
    return describe_recording(row)


def _target(row: Row) -> str:
    return str(row["target"] or row["host"] or "unknown")


def _in_order(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["session_id"])
