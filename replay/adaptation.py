"""What a cell sends, where, and with what handshake: a recording, changed to what the cell asks for. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capture.realtime.configuration import get_path
from replay.audio_choice import AUDIO_AXIS, RECORDED, parse_audio
from replay.client import Upgrade
from replay.connection import Asked, ask_otherwise, model_in
from replay.handshake import asked_in, dialect_of_target, is_shaped_otherwise
from replay.paths import paths_of, those_of
from replay.plan import Plan, adapt
from replay.responses import adapt_responses
from replay.rewrite import TRANSCRIPTION_MODEL_PATHS
from replay.runs import CONNECTION_MODEL, DIALECT_AXIS, RunCell
from replay.sent_audio import speak
from replay.source import Source, is_home, recorded_target
from replay.transposition import Spoken

if TYPE_CHECKING:
    from capture.targets import Target


@dataclass(frozen=True, slots=True)
class Adapted:
    """A recording as one cell replays it."""

    plan: Plan
    target: Target
    """The cell's, with what the cell changes of its URL and headers."""
    upgrade: Upgrade


def adapt_for(cell: RunCell, source: Source, targets: Mapping[str, Target], *, seed: int = 0) -> Adapted:
    """Change a recording to what one cell asks for; `seed` makes its noise.

    `targets` are by their names: the cell's has to be among them. The recorded one, here or as the source's
    `home`, helps with deployments' names.
    """
    target = targets[cell.target]
    home = recorded_target(source, targets.values())
    at_home = is_home(target, source)
    deployed_at_home = home.transcription_models if home else {}
    new_names = target.transcription_models or (deployed_at_home if at_home else {})
    if at_home:
        # What the client called a model at this very target stays: with another name the failure might be cured.
        deployed_at_home, new_names = (_without_asked(names, source) for names in (deployed_at_home, new_names))
    upgrade_and_target = asked_by(cell, replace(source, home=home), target)
    dialect = dialect_to_write(source, upgrade_and_target.target)
    configured = adapt(
        adapt_responses(source.plan, those_of("response", cell.overrides), paths_of("response", cell.unset)),
        those_of("session", cell.overrides),
        recorded_models=deployed_at_home,
        target_models=new_names,
        unset_paths=paths_of("session", cell.unset),
        dialect=dialect,
    )
    # Last, for the audio has to be in the format that the configuration asks for.
    plan = speak(configured, parse_audio(cell.overrides.get(AUDIO_AXIS, RECORDED)), seed=seed)
    return Adapted(plan, upgrade_and_target.target, upgrade_and_target.upgrade)


def _without_asked(names: Mapping[str, str], source: Source) -> dict[str, str]:
    updates = [json.loads(step.content) for step in source.plan.updates]
    asked = [get_path(update, path) for update in updates for path in TRANSCRIPTION_MODEL_PATHS]
    return {model: deployment for model, deployment in names.items() if model not in asked}


def asked_by(cell: RunCell, source: Source, target: Target) -> Asked:
    """Give a target and its handshake as a cell asks, in the dialect that it is spoken to in."""
    spoken = cell.overrides.get(DIALECT_AXIS)
    asked = asked_as_recorded(source, target if spoken is None else asked_in(target, spoken))
    overrides = those_of("connection", cell.overrides)
    if CONNECTION_MODEL in overrides:
        # On Azure a model is asked for by the name of its deployment.
        overrides[CONNECTION_MODEL] = target.models.get(overrides[CONNECTION_MODEL], overrides[CONNECTION_MODEL])
    return ask_otherwise(asked, overrides, paths_of("connection", cell.unset))


def asked_as_recorded(source: Source, target: Target) -> Asked:
    """Give a target and the recorded handshake: in the target's dialect, with its provider's URL and its model.

    Where the target sets none it is the recorded one, as it is called there.
    """
    target = _naming_the_model(source, target)
    dialect = dialect_to_write(source, target)
    if dialect is None and is_shaped_otherwise(target, source.upgrade.path_and_query):
        dialect = _spoken_alike(source, target)
    upgrade = source.upgrade if dialect is None else source.upgrade.transposed(target, dialect)
    return Asked(target.asking_for_its_model(upgrade.path_and_query), upgrade)


def asks_as_recorded(source: Source, target: Target) -> bool:
    """Tell whether a target is asked for the recorded model in the recorded dialect, as far as its names tell."""
    asked = asked_as_recorded(source, target)
    path_and_query = asked.target.request_url(asked.upgrade.path_and_query).removeprefix(target.origin)
    named = {model_in(path_and_query), model_in(source.upgrade.path_and_query) or source.recording.model} - {None}
    return dialect_to_write(source, target) is None and len(named) < 2


def _naming_the_model(source: Source, target: Target) -> Target:
    recorded = model_in(source.upgrade.path_and_query)
    if target.model is not None or recorded is None or is_home(target, source):
        return target
    deployed_at_home = source.home.models if source.home else {}
    model = {name: model for model, name in deployed_at_home.items()}.get(recorded, recorded)
    named = target.models.get(model, model)
    return target if named == recorded else replace(target, model=named)


def _spoken_alike(source: Source, target: Target) -> Spoken | None:
    spoken = spoken_at(source, target)
    return spoken if spoken == source.recording.dialect else None


def dialect_to_write(source: Source, target: Target) -> Spoken | None:
    """Tell which dialect a recording has to be written in for a target; None where it stays in its own."""
    recorded = source.recording.dialect
    spoken = dialect_of_target(target, source.url, recorded)
    return spoken if recorded in ("ga", "beta") and spoken != recorded else None


def spoken_at(source: Source, target: Target) -> Spoken | None:
    """Tell the dialect in which a target is spoken to; None where neither it nor the recording shows one."""
    return dialect_of_target(target, source.url, source.recording.dialect)
