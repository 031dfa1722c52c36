"""What an isolate run can change of a recording, one thing at a time: its axes and their values.

An axis is a function from what is known (`Known`) to its choices. A new one is written beside the others and
entered in `_AXES`, at its place in the order: the likely and cheap ones first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from capture.arguments import parse_values
from capture.errors import UsageProblem
from capture.realtime.configuration import get_path
from capture.targets import Target
from replay.comparison import axis_label, short_path
from replay.matrix import shown
from replay.plan import Plan
from replay.rewrite import TRANSCRIPTION_MODEL_PATHS, check_paths
from replay.runs import DROPPED, MODEL_AXIS, TARGET_AXIS
from replay.source import Source

Json = dict[str, Any]

_GROUPS = ("audio", "audio.input", "audio.output", "audio.input.transcription", "input_audio_transcription")
"""Objects that hold options, and are none themselves."""
_NO_OPTIONS = {
    # Without these the session would be another one, or the audio noise; models are axes of their own.
    *("type", "id", "object", "model"),
    *("audio.input.format", "audio.output.format", "input_audio_format", "output_audio_format"),
    *("audio.input.transcription.model", "input_audio_transcription.model"),
}
_LIKELY = ("transcription", "noise_reduction", "turn_detection")
"""Options that failures have turned on, the likeliest first; the others follow as they were asked."""
_MISSING = object()


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
        return shown(axis, self.source.plan.setting(axis))


def list_choices(known: Known) -> list[Choice]:
    """List every single change to try.

    Raises `UsageProblem` for a path that the recorded session does not have, and where nothing is left to vary.
    """
    choices = [choice for axis in _AXES for choice in axis(known) if choice.value != known.recorded(choice.axis)]
    if not choices:
        raise UsageProblem("nothing to vary: name another target with --to, or values with --axis")
    seen: dict[tuple[str, str], Choice] = {}
    for choice in choices:
        seen.setdefault((choice.axis, choice.value), choice)
    return list(seen.values())


def parse_axis(text: str) -> tuple[str, tuple[Any, ...]]:
    """Read `NAME=A,B` as given with `--axis`; `NAME=none` leaves an axis out.

    Raises `UsageProblem` without a name or values.
    """
    name, separator, listed = text.partition("=")
    if not separator or not name.strip() or not listed.strip():
        raise UsageProblem(f"{text!r} names no axis: write NAME=A,B with model, transcription_model, options or a path")
    if listed.strip() == "none":
        return name.strip(), ()
    return name.strip(), tuple(parse_values(listed))


def choose_target(known: Known, choices: Iterable[Choice]) -> Target:
    """Give where a cell with these choices is sent to: with a target and a model chosen, that model there."""
    by_axis = {choice.axis: choice for choice in choices if choice.target is not None}
    target = next((choice.target for choice in by_axis.values() if choice.target is not None), known.baseline)
    if TARGET_AXIS in by_axis and MODEL_AXIS in by_axis:
        elsewhere = by_axis[TARGET_AXIS].target or target
        return _with_model(elsewhere, known.source, by_axis[MODEL_AXIS].value)
    return target


def _targets(known: Known) -> Iterator[Choice]:
    for target in known.targets:
        if target.name != known.baseline.name and not _is_same_place(target, known.baseline):
            yield Choice(TARGET_AXIS, target.name, target=target)


def _models(known: Known) -> Iterator[Choice]:
    for target in known.targets:
        if target.name != known.baseline.name and _is_same_place(target, known.baseline):
            yield Choice(MODEL_AXIS, target.model or "", target=target)
    for model in known.asked.get(MODEL_AXIS, ()):
        if not isinstance(model, str):
            raise UsageProblem(f"--axis {MODEL_AXIS}: {model!r} is no name of a model")
        yield Choice(MODEL_AXIS, model, target=_with_model(known.baseline, known.source, model))


def _transcription_models(known: Known) -> Iterator[Choice]:
    recorded = known.source.recording.transcription_model
    if not recorded:
        return
    path = TRANSCRIPTION_MODEL_PATHS[known.source.recording.dialect == "beta"]
    names = {deployment: model for model, deployment in known.baseline.transcription_models.items()}
    contrast = "whisper-1" if names.get(recorded, recorded) != "whisper-1" else "gpt-4o-transcribe"
    for model in known.asked.get("transcription_model", (contrast,)):
        if model == names.get(recorded):
            # The recorded model, called otherwise at its target.
            continue
        yield Choice(path, shown(path, model), overrides={path: model})


def _options(known: Known) -> Iterator[Choice]:
    wanted = known.asked.get("options")
    found = _option_paths(known.source.plan.configuration.asked)
    if wanted is not None:
        unknown = [name for name in wanted if name not in {p for path in found for p in (path, short_path(path))}]
        if unknown:
            names = ", ".join(map(short_path, found)) or "none"
            raise UsageProblem(f"the recorded session sets no option {unknown[0]!r}; it sets {names}")
    for path in found:
        is_wanted = wanted is None or path in wanted or short_path(path) in wanted
        if is_wanted and path not in known.asked and not _is_default(path, known.source.plan):
            yield Choice(path, DROPPED, unset=(path,))


def _paths(known: Known) -> Iterator[Choice]:
    named = {path: values for path, values in known.asked.items() if path.startswith("session.")}
    check_paths(named, known.source.plan.configurations)
    strange = known.asked.keys() - named.keys() - {MODEL_AXIS, "transcription_model", "options"}
    if strange:
        raise UsageProblem(
            f"there is no axis {min(strange)!r}: take {MODEL_AXIS}, transcription_model, options,"
            " or a path that begins with session."
        )
    for path, values in named.items():
        for value in values:
            yield Choice(path, shown(path, value), overrides={path: value})


_AXES: tuple[Callable[[Known], Iterator[Choice]], ...] = (
    _targets,
    _transcription_models,
    _models,
    _options,
    _paths,
)
"""The axes, the likely and cheap ones first. A new one goes here."""


def _is_same_place(one: Target, other: Target) -> bool:
    # Two targets at one resource that differ in their model vary the model, and nothing else.
    return one.origin == other.origin and one.region == other.region and one.model != other.model


def _with_model(target: Target, source: Source, model: str) -> Target:
    asked = target.request_url(source.upgrade.path_and_query).partition("?")[2]
    if "intent=transcription" in asked:
        raise UsageProblem("a transcription session takes no model in its URL: vary transcription_model")
    # A target with a query of its own is used as it is, so the model has to go through its extra query.
    name = "deployment" if "deployment=" in asked else MODEL_AXIS
    return replace(target, model=model, query={**target.query, name: model})


def _option_paths(asked: Json) -> list[str]:
    found = [path for path in _walk(asked) if path not in _NO_OPTIONS]
    found.sort(key=lambda path: next((at for at, part in enumerate(_LIKELY) if part in path), len(_LIKELY)))
    return [f"session.{path}" for path in found]


def _walk(node: Json, prefix: str = "") -> Iterator[str]:
    for name, value in node.items():
        path = f"{prefix}{name}"
        if path in _GROUPS:
            if isinstance(value, dict):
                yield from _walk(value, f"{path}.")
        elif value is not None and value != {} and value != []:
            # null is how an option is turned off: without it the default would be turned on.
            yield path


def _is_default(path: str, plan: Plan) -> bool:
    """Tell whether the endpoint would do the same unasked, by its session.created."""
    asked = get_path({"session": plan.configuration.asked}, path)
    created = get_path({"session": plan.configuration.created}, path, _MISSING)
    if isinstance(asked, dict) and isinstance(created, dict):
        return all(created.get(name, _MISSING) == value for name, value in asked.items())
    return bool(asked == created)
