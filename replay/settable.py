"""Check what a replay is asked to change of a recording, before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from capture.errors import UsageProblem
from capture.realtime.configuration import list_paths
from capture.realtime.session_fields import documented_paths
from replay.adaptation import asked_as_recorded
from replay.audio_choice import AUDIO_AXIS, parse_audio
from replay.connection import check_connection
from replay.paths import SHORT_NAMES, paths_of, those_of
from replay.responses import check_responses, response_paths
from replay.rewrite import check_paths, check_unset
from replay.runs import CONNECTION_MODEL, DIALECT_AXIS
from replay.source import Source

if TYPE_CHECKING:
    from capture.targets import Target

_DIALECTS = ("ga", "beta")
_SESSION_MODEL = "session.model"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that is to be changed, by path."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """What is put in every cell."""
    varied: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values to be taken in turn."""
    unset: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Sequence[Any]]:
        """All values by path."""
        return {**{path: (value,) for path, value in self.settings.items()}, **self.varied}


def check_wanted(wanted: Wanted, source: Source, targets: Iterable[Target]) -> None:
    """Check everything that is to be changed of one recording, for each target that it is sent to.

    Raises `UsageProblem` with the nearest paths for one that the recording does not have, and for a value that its
    place cannot hold.
    """
    values, recording = wanted.values, source.recording
    for name in (AUDIO_AXIS, DIALECT_AXIS):
        if name in wanted.unset:
            raise UsageProblem(f"{name!r} cannot be unset: set it")
    for path, other in product(wanted.unset, values):
        if other == path or other.startswith(f"{path}."):
            raise UsageProblem(f"{path!r} cannot be unset while {other!r} is set")
    if AUDIO_AXIS in wanted.settings and AUDIO_AXIS in wanted.varied:
        raise UsageProblem("the audio is chosen twice: vary it, or set it")
    for value in values.get(AUDIO_AXIS, ()):
        parse_audio(value)
    check_dialects(values.get(DIALECT_AXIS, ()), source)
    check_paths(those_of("session", values), source.plan.configurations, _documented(source))
    check_unset(paths_of("session", wanted.unset), source.plan.configurations[0])
    gone = paths_of("response", wanted.unset)
    check_responses(source.plan, list(those_of("response", values)), gone, recording.dialect)
    asked, gone = those_of("connection", values), paths_of("connection", wanted.unset)
    for target in targets if asked or gone else ():
        check_connection(asked, gone, asked_as_recorded(source, target))


def settable_paths(source: Source) -> list[str]:
    """List what can be set of a recording: paths, and the names that stand for some; queries and headers are open."""
    told = [path for tree in source.plan.configurations for path in list_paths(tree) if path != "session"]
    paths = dict.fromkeys([*told, *_documented(source), *response_paths(source.plan, source.recording.dialect)])
    paths.pop(_SESSION_MODEL, None)
    return [*SHORT_NAMES, AUDIO_AXIS, DIALECT_AXIS, *paths, CONNECTION_MODEL]


def _documented(source: Source) -> list[str]:
    dialect = source.recording.dialect
    return [f"session.{path}" for path in documented_paths(dialect)] if dialect in _DIALECTS else []


def check_dialects(values: Iterable[Any], source: Source) -> None:
    """Check the dialects that a recording is to be written in.

    Raises `UsageProblem` for what is none, and for a recording that shows no dialect.
    """
    for value in values:
        if value not in _DIALECTS:
            raise UsageProblem(f"dialect takes ga or beta, not {value!r}")
        if source.recording.dialect not in _DIALECTS:
            raise UsageProblem(
                f"recording {source.recording.session_id} shows no dialect, so it cannot be written in another"
            )
