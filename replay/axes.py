"""What an isolate run can change of a recording, one thing at a time: its axes and their values.

An axis is a function from what is known (`Known`) to its choices. A new one is written beside the others and
entered in `_AXES`, at its place in the order: the likely and cheap ones first. What the recorded failure itself points
to comes before all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capture.arguments import parse_values
from capture.errors import UsageProblem
from capture.targets import Target
from replay.adaptation import spoken_at
from replay.audio_choice import AUDIO_AXIS, parse_audio
from replay.blame import is_blamed
from replay.comparison import axis_label, short_path
from replay.droppable import list_options
from replay.paths import full_path
from replay.runs import CONNECTION_MODEL, DIALECT_AXIS, DROPPED, MODEL_AXIS, TARGET_AXIS, shown
from replay.settable import Wanted, check_wanted
from replay.source import Source, recorded_target

_NAMED = (MODEL_AXIS, "transcription_model", "options", AUDIO_AXIS, DIALECT_AXIS)
"""Axes that `--axis` names; all others are paths."""


@dataclass(frozen=True)
class Choice:
    """One value of one axis: what a cell has other than the baseline."""

    axis: str
    value: str
    """As text, without credentials."""
    target: Target | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    unset: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name it in a cell's name."""
        if self.axis == TARGET_AXIS:
            return self.value
        return f"{axis_label(self.axis)}={self.value}"

    @property
    def path(self) -> str:
        """The path that it changes; empty for a target."""
        return next(iter((*self.unset, *self.overrides)), "")


@dataclass(frozen=True)
class Known:
    """What axes are made of."""

    source: Source
    baseline: Target
    targets: Sequence[Target]
    asked: Mapping[str, Sequence[Any]]
    """Axis, by the name of `--axis`, -> values to try."""

    def recorded(self, axis: str) -> str:
        """Write the baseline's value of an axis."""
        if axis == TARGET_AXIS:
            return self.baseline.name
        if axis == MODEL_AXIS:
            return self.baseline.model or self.source.recording.model or ""
        if axis == DIALECT_AXIS:
            return spoken_at(self.source, self.baseline) or ""
        return shown(axis, self.source.recorded(axis))


def list_choices(known: Known) -> list[Choice]:
    """List every single change to try, first those that the recorded failure points to.

    Raises `UsageProblem` for a path that the recorded session does not have, and where nothing is left to vary.
    """
    choices = [choice for axis in _AXES for choice in axis(known) if choice.value != known.recorded(choice.axis)]
    if not choices:
        raise UsageProblem("nothing to vary: name another target with --to, or values with --axis")
    seen: dict[tuple[str, str], Choice] = {}
    for choice in choices:
        seen.setdefault((choice.axis, choice.value), choice)
    blamed = known.source.recording.blamed
    return sorted(seen.values(), key=lambda choice: not is_blamed(choice.path, blamed))


def parse_axis(text: str) -> tuple[str, tuple[Any, ...]]:
    """Read `NAME=A,B` as given with `--axis`; `NAME=none` leaves an axis out.

    Raises `UsageProblem` without a name or values.
    """
    name, separator, listed = text.partition("=")
    if not separator or not name.strip() or not listed.strip():
        raise UsageProblem(f"{text!r} names no axis: write NAME=A,B with {', '.join(_NAMED)} or a path")
    if listed.strip() == "none":
        return name.strip(), ()
    return name.strip(), tuple(parse_values(listed))


def choose_target(known: Known, choices: Iterable[Choice]) -> Target:
    """Give where a cell with these choices is sent to: a target chosen as such goes before one chosen for its model."""
    chosen = [choice for choice in choices if choice.target is not None]
    chosen.sort(key=lambda choice: choice.axis != TARGET_AXIS)
    return next((choice.target for choice in chosen if choice.target is not None), known.baseline)


def _targets(known: Known) -> Iterator[Choice]:
    for target in known.targets:
        if target.name != known.baseline.name and not _differs_in(known, target):
            yield Choice(TARGET_AXIS, target.name, target=target)


def _models(known: Known) -> Iterator[Choice]:
    for target in known.targets:
        if target.name != known.baseline.name and _differs_in(known, target) == MODEL_AXIS:
            changed = {CONNECTION_MODEL: target.model} if target.model else {}
            yield Choice(MODEL_AXIS, target.model or "", target=target, overrides=changed)
    for path in (MODEL_AXIS, CONNECTION_MODEL):
        for model in known.asked.get(path, ()):
            if isinstance(model, str) and known.baseline.models.get(model) == known.recorded(MODEL_AXIS):
                # The recorded model, called otherwise at its target.
                continue
            yield _checked(known, Choice(MODEL_AXIS, str(model), overrides={CONNECTION_MODEL: model}))


def _dialects(known: Known) -> Iterator[Choice]:
    for target in known.targets:
        if target.name != known.baseline.name and _differs_in(known, target) == DIALECT_AXIS:
            spoken = spoken_at(known.source, target)
            yield Choice(DIALECT_AXIS, spoken or "", target=target, overrides={DIALECT_AXIS: spoken})
    for dialect in known.asked.get(DIALECT_AXIS, ()):
        yield _checked(known, Choice(DIALECT_AXIS, str(dialect), overrides={DIALECT_AXIS: dialect}))


def _audio(known: Known) -> Iterator[Choice]:
    for value in known.asked.get(AUDIO_AXIS, ()):
        yield Choice(AUDIO_AXIS, str(parse_audio(value)), overrides={AUDIO_AXIS: value})


def _transcription_models(known: Known) -> Iterator[Choice]:
    recorded = known.source.recording.transcription_model
    if not recorded:
        return
    path = full_path("transcription_model", known.source.recording.dialect)
    home = recorded_target(known.source, [known.baseline]) or known.baseline
    names = {deployment: model for model, deployment in home.transcription_models.items()}
    contrast = "whisper-1" if names.get(recorded, recorded) != "whisper-1" else "gpt-4o-transcribe"
    for model in known.asked.get("transcription_model", (contrast,)):
        if model == names.get(recorded):
            # The recorded model, called otherwise at its target.
            continue
        yield Choice(path, shown(path, model), overrides={path: model})


def _options(known: Known) -> Iterator[Choice]:
    wanted = known.asked.get("options")
    found = list_options(known.source)
    if wanted is not None:
        unknown = [name for name in wanted if name not in {p for path in found for p in (path, short_path(path))}]
        if unknown:
            names = ", ".join(map(short_path, found)) or "none"
            raise UsageProblem(f"the recorded session sets no option {unknown[0]!r}; it sets {names}")
    for path, is_default in found.items():
        is_wanted = wanted is None or path in wanted or short_path(path) in wanted
        if is_wanted and path not in known.asked and not is_default:
            yield Choice(path, DROPPED, unset=(path,))


def _paths(known: Known) -> Iterator[Choice]:
    for path, values in known.asked.items():
        if path in _NAMED or path == CONNECTION_MODEL:
            continue
        if not path.startswith(("session.", "response.", "connection.")):
            raise UsageProblem(
                f"there is no axis {path!r}: take {', '.join(_NAMED)}, or a path that begins with session., response."
                " or connection."
            )
        for value in values:
            yield _checked(known, Choice(path, shown(path, value), overrides={path: value}))


_AXES: tuple[Callable[[Known], Iterator[Choice]], ...] = (
    _targets,
    _transcription_models,
    _models,
    _dialects,
    _audio,
    _options,
    _paths,
)
"""The axes, the likely and cheap ones first. A new one goes here."""


def _checked(known: Known, choice: Choice) -> Choice:
    check_wanted(Wanted(choice.overrides), known.source, [known.baseline])
    return choice


def _differs_in(known: Known, target: Target) -> str | None:
    """Name the axis in which a target at the recorded place differs; None for another place.

    Two targets at one resource that differ in their model, or in their dialect, vary that and nothing else.
    """
    home = known.baseline
    if target.origin != home.origin or target.region != home.region:
        return None
    models = target.model != home.model
    dialects = spoken_at(known.source, target) != spoken_at(known.source, home)
    if models == dialects:
        return None
    return MODEL_AXIS if models else DIALECT_AXIS
