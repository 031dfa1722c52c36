"""List what a run leaves open by its design, each with the command that would test it; pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from replay.audio_choice import AUDIO_AXIS, RECORDED
from replay.common_changes import CommonChange
from replay.comparison import CellResult
from replay.paths import full_path
from replay.rewrite import TRANSCRIPTION_MODEL_PATHS
from replay.runs import DIALECT_AXIS, DROPPED, MODEL_AXIS, TARGET_AXIS, Run, RunRecording

_TRIALS = 5
"""Trials a cell to suggest after a run that chose its own."""


@dataclass(frozen=True, slots=True)
class NotTested:
    """Something that a run leaves open by its design."""

    what: str
    command: str
    """The command that would test it, capitals to be filled in; empty where there is none yet."""


def list_not_tested(
    run: Run,
    recording: RunRecording,
    baseline: CellResult | None,
    cells: Sequence[CellResult],
    common: Sequence[CommonChange] = (),
) -> tuple[NotTested, ...]:
    """List what was not varied with a recording, and what all trials have otherwise than it (`common`)."""
    if recording.is_gone:
        return ()
    varied = {axis.axis for axis in run.axes if len(axis.values) > 1}
    # Set in every trial, these are said to be untested already.
    varied |= {MODEL_AXIS, DIALECT_AXIS} & {change.axis for change in common}
    options_dropped = DROPPED in {value for axis in run.axes for value in axis.values}
    ask = _Ask(
        recording=recording,
        target=baseline.target if baseline is not None else (recording.target or "TARGET"),
        trials=run.trials if run.design == "factorial" else _TRIALS,
    )
    return (
        *(ask.for_(change.untested) for change in common),
        *_targets(ask, varied),
        *_transcription_models(ask, varied),
        *_audio(ask, varied),
        *(() if options_dropped else _options(ask, varied)),
        *_models(ask, varied, cells),
        *_dialects(ask, varied),
        *_regions(ask, varied, baseline, cells),
    )


@dataclass(frozen=True, slots=True)
class _Ask:
    """Writes commands that replay the recording once more."""

    recording: RunRecording
    target: str
    trials: int

    def for_(self, what: str, *more: str) -> NotTested:
        replay = ("wiretape", "replay", "run", self.recording.session_id, "--to", self.target)
        return NotTested(what, shlex.join((*replay, *more, "--trials", str(self.trials))))


def _targets(ask: _Ask, varied: set[str]) -> Iterator[NotTested]:
    if TARGET_AXIS not in varied:
        yield ask.for_("other targets", "--to", "ANOTHER_TARGET")


def _transcription_models(ask: _Ask, varied: set[str]) -> Iterator[NotTested]:
    model = ask.recording.transcription_model
    if model and not varied & set(TRANSCRIPTION_MODEL_PATHS):
        path = full_path("transcription_model", ask.recording.dialect)
        yield ask.for_("other transcription models", "--vary", f"{path}={model},ANOTHER_MODEL")


def _audio(ask: _Ask, varied: set[str]) -> Iterator[NotTested]:
    if AUDIO_AXIS not in varied:
        yield ask.for_("other audio", "--vary", f"{AUDIO_AXIS}={RECORDED},OTHER_CLIP.flac")


def _options(ask: _Ask, varied: set[str]) -> Iterator[NotTested]:
    for path, value in ask.recording.options.items():
        if path not in varied:
            yield ask.for_("other options", "--vary", f"{path}={_as_value(value)},{_contrast(value)}")
            return
    yield NotTested("other options", "")


def _models(ask: _Ask, varied: set[str], cells: Sequence[CellResult]) -> Iterator[NotTested]:
    if MODEL_AXIS in varied:
        return
    model = ask.recording.model
    another = ("--vary", f"{MODEL_AXIS}={model},ANOTHER_MODEL") if model else ("--to", "TARGET_WITH_ANOTHER_MODEL")
    apart = " apart from the target" if len({cell.model for cell in cells}) > 1 else ""
    yield ask.for_(f"the realtime model{apart}", *another)


def _dialects(ask: _Ask, varied: set[str]) -> Iterator[NotTested]:
    if DIALECT_AXIS not in varied:
        other = "TARGET_THAT_SPEAKS_GA" if ask.recording.dialect == "beta" else "TARGET_THAT_SPEAKS_BETA"
        yield ask.for_("the dialect", "--to", other)


def _regions(
    ask: _Ask, varied: set[str], baseline: CellResult | None, cells: Sequence[CellResult]
) -> Iterator[NotTested]:
    region = baseline.region if baseline is not None else None
    if not region or TARGET_AXIS not in varied:
        return
    if {cell.region for cell in cells} == {region}:
        yield ask.for_("other regions", "--to", "TARGET_IN_ANOTHER_REGION")
    if len({cell.target for cell in cells if cell.region == region}) < 2:
        what = f"another target in region {region} (without it the region is not told from the target)"
        yield ask.for_(what, "--to", f"ANOTHER_TARGET_IN_{region.upper()}")


def _contrast(value: Any) -> str:
    # Dropping an option tells most; a number cannot be dropped, so it is doubled.
    return _as_value(value * 2) if isinstance(value, int | float) and not isinstance(value, bool) else "null"


def _as_value(value: Any) -> str:
    # As `--vary` reads it: words bare, everything with a comma or a space in it as JSON.
    is_word = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w.-]*", value)
    return value if is_word else msgspec.json.encode(value).decode()
