"""Lay out a run: every recording over every target with every combination of what is varied. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from capture.errors import UsageProblem
from replay.adaptation import asks_as_recorded
from replay.audio_choice import AUDIO_AXIS
from replay.comparison import short_path
from replay.paths import axis_of, full_path
from replay.runs import CONNECTION_MODEL, TARGET_AXIS, Axis, Run, RunCell, new_run_id, shown
from replay.settable import Wanted, check_wanted
from replay.source import Source, check_protocol, check_target, nearness, recorded_target

if TYPE_CHECKING:
    from capture.targets import Target


@dataclass(frozen=True, slots=True)
class Variation:
    """One path, or `audio` or another name, and the values it takes in turn."""

    path: str
    values: tuple[Any, ...]


def plan_run(
    sources: Sequence[Source],
    targets: Sequence[Target],
    *,
    variations: Sequence[Variation] = (),
    settings: Mapping[str, Any] | None = None,
    unset: Sequence[str] = (),
    trials: int = 5,
    seed: int = 0,
    concurrency: int = 8,
    speed: float = 1.0,
) -> Run:
    """Lay out a run: every recording over every target with every combination of the variations.

    Raises `UsageProblem` for a path that a recorded session does not have, for a target or a path given twice, for a
    protocol that is not replayed, and for values that only a credential tells apart: it is not kept, and neither is
    what told them apart.
    """
    _check_targets(targets)
    # Names such as `voice` are written out as the first recording has them; the others are checked against that.
    dialect = sources[0].recording.dialect if sources else None
    variations = [replace(variation, path=full_path(variation.path, dialect)) for variation in variations]
    settings = _written_out(settings or {}, dialect)
    _check_given_once([variation.path for variation in variations], settings)
    unset = [full_path(path, dialect) for path in unset]
    wanted = Wanted(settings, {variation.path: variation.values for variation in variations}, tuple(unset))
    for source in sources:
        check_protocol(source)
        check_wanted(wanted, source, targets)
    cells = [
        cell
        for source in sources
        for cell in _cells_of(source, targets, variations=variations, settings=settings, unset=unset)
    ]
    started_at = datetime.now(UTC)
    axes = [Axis(axis=TARGET_AXIS, values=[target.name for target in targets])]
    axes += [_axis_of(variation) for variation in variations]
    return Run(
        run_id=new_run_id(started_at),
        started_at=started_at,
        recordings=[source.recording for source in sources],
        axes=axes,
        cells=cells,
        trials=trials,
        seed=seed,
        concurrency=concurrency,
        speed=speed,
    )


def _written_out(settings: Mapping[str, Any], dialect: str | None) -> dict[str, Any]:
    written = {full_path(path, dialect): value for path, value in settings.items()}
    if len(written) < len(settings):
        names = [path for path in settings if full_path(path, dialect) != path]
        raise UsageProblem(f"{names[0]} is set twice, by its name and by its path: leave one out")
    return written


def _check_given_once(varied: Sequence[str], settings: Mapping[str, Any]) -> None:
    for path in varied:
        if varied.count(path) > 1:
            raise UsageProblem(f"{path} is varied twice: give all its values at once, as {path}=A,B,C")
        if path in settings and path != AUDIO_AXIS:
            raise UsageProblem(f"{path} is both set and varied: leave one out")


def _check_targets(targets: Sequence[Target]) -> None:
    names = [target.name for target in targets]
    if not names:
        raise UsageProblem("name at least one target with --to")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageProblem(f"target {', '.join(sorted(twice))} is given twice: for more trials use --trials")
    for target in targets:
        check_target(target)


def _cells_of(
    source: Source,
    targets: Sequence[Target],
    *,
    variations: Sequence[Variation],
    settings: Mapping[str, Any],
    unset: Sequence[str],
) -> list[RunCell]:
    cells = []
    for target, values in product(targets, product(*(variation.values for variation in variations))):
        varied = {variation.path: value for variation, value in zip(variations, values, strict=True)}
        overrides = {**settings, **varied}
        cells.append(
            RunCell(
                cell=" · ".join([target.name, *(f"{short_path(p)}={shown(p, v)}" for p, v in varied.items())]),
                session_id=source.recording.session_id,
                target=target.name,
                region=target.region,
                model=overrides.get(CONNECTION_MODEL, target.model),
                values={TARGET_AXIS: target.name, **{axis_of(p): shown(p, v) for p, v in varied.items()}},
                overrides=overrides,
                unset=list(unset),
            )
        )
    by_name = {target.name: target for target in targets}
    _mark_baseline(cells, source, by_name)
    return cells


def _axis_of(variation: Variation) -> Axis:
    axis = Axis(axis=axis_of(variation.path), values=[shown(variation.path, value) for value in variation.values])
    if len(set(axis.values)) < len(axis.values):
        raise UsageProblem(
            f"values of {variation.path} differ only in a credential, which is never kept: give them different labels"
        )
    return axis


def _mark_baseline(cells: Sequence[RunCell], source: Source, targets: Mapping[str, Target]) -> None:
    # The cell that is the recording as it was; without one, the first that was asked for.
    models = {model: name for name, model in _recorded_models(source, targets).items()}
    unchanged = [cell for cell in cells if not _unlike_recording(cell, source, models)]
    home = max(unchanged, key=lambda cell: _likeness(targets[cell.target], source), default=None)
    if home is None or not nearness(targets[home.target], source):
        home = cells[0]
    home.baseline, home.unlike_recording = True, _unlike_recording(home, source, models)


def _likeness(target: Target, source: Source) -> tuple[int, bool]:
    near = nearness(target, source)
    # Of two at the recorded URL the one that asks for the recorded model, in the recorded dialect.
    return near, near > 0 and asks_as_recorded(source, target)


def _unlike_recording(cell: RunCell, source: Source, models: Mapping[str, str]) -> list[str]:
    recorded = {path: source.recorded(path) for path in cell.overrides}
    changed = [
        path
        for path, was in recorded.items()
        if shown(path, cell.overrides[path])
        not in (shown(path, was), shown(path, models.get(was, was) if isinstance(was, str) else was))
    ]
    return [*changed, *cell.unset]


def _recorded_models(source: Source, targets: Mapping[str, Target]) -> dict[str, str]:
    recorded = recorded_target(source, targets.values())
    return recorded.transcription_models | recorded.models if recorded else {}
