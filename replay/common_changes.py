"""Tell what all trials of a run have otherwise than the recording: what was set, and not varied; pure.

A verdict holds only with these changes, and says so: of the recording as it was it knows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from capture.plain_text import shorten
from replay.audio_choice import AUDIO_AXIS, audio_in_words
from replay.comparison import axis_label, short_path
from replay.paths import axis_of
from replay.runs import DIALECT_AXIS, Run, RunCell, shown

_LONGEST = 60
"""In characters: instructions may be pages long, and are to be found in the run."""


@dataclass(frozen=True, slots=True)
class CommonChange:
    """Something that no trial has as it was recorded."""

    axis: str
    """As if it were varied: a path, `audio`, `model`, …; `length` and `pauses` of a session that was shortened."""
    phrase: str
    """What the trials have instead, in a sentence: `whisper-1`, `without noise_reduction`."""
    untested: str
    """What no trial shows: `the transcription model as recorded`."""


def list_common_changes(run: Run, baseline: RunCell) -> list[CommonChange]:
    """List what all trials of a run change, by the cell that the others are compared with."""
    varied = {axis.axis for axis in run.axes if len(axis.values) > 1}
    # A run of an older wiretape does not tell what is as recorded: all that was set may be otherwise.
    changed = baseline.unlike_recording
    found = [
        _set_to(path, baseline.overrides.get(path), is_unset=path in baseline.unset)
        for path in (*baseline.overrides, *baseline.unset)
        if axis_of(path) not in varied and (changed is None or path in changed)
    ]
    if run.until_turn is not None:
        found.append(CommonChange("length", f"up to turn {run.until_turn}", f"what comes after turn {run.until_turn}"))
    if run.longest_idle_s is not None:
        found.append(CommonChange("pauses", f"pauses of {run.longest_idle_s:g} s at most", "the pauses as recorded"))
    return found


def is_as_recorded(run: Run, baseline: RunCell) -> bool:
    """Tell whether a baseline sends what was recorded, wherever it sends it."""
    return not baseline.unlike_recording and not list_common_changes(run, baseline)


def say_common_changes(changes: Iterable[CommonChange]) -> str:
    """Say in brackets what every trial has otherwise; empty where nothing."""
    phrases = ", ".join(change.phrase for change in changes)
    return f" ({phrases} in every trial)" if phrases else ""


def _set_to(path: str, value: Any, *, is_unset: bool) -> CommonChange:
    axis = axis_of(path)
    name = axis_label(axis)
    untested = f"the {'realtime model' if name == 'model' else name} as recorded"
    if is_unset:
        return CommonChange(axis, f"without {short_path(axis)}", untested)
    if axis == AUDIO_AXIS:
        return CommonChange(axis, audio_in_words(value), untested)
    said = shorten(shown(path, value), _LONGEST)
    if axis == DIALECT_AXIS:
        said = f"the dialect {said}"
    elif name != "transcription model":
        said = f"{short_path(axis)}={said}"
    return CommonChange(axis, said, untested)
