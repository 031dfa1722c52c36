"""Name what a replay can be made to do otherwise: by the path where it lies, or by a name of its own. Pure.

`session.…` is the session's configuration, `response.…` what a response.create asks for, `connection.…` the handshake;
`audio` and `dialect` are no places in a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from capture.realtime.configuration import beta_path
from replay.audio_choice import AUDIO_AXIS
from replay.runs import CONNECTION_MODEL, DIALECT_AXIS, MODEL_AXIS

Place = Literal["session", "response", "connection", "audio", "dialect"]

_NAMES_OF_SETTINGS = {
    "voice": "audio.output.voice",
    "transcription_model": "audio.input.transcription.model",
}
"""Names that stand for a path of the configuration -> that path in a GA session."""
SHORT_NAMES = (MODEL_AXIS, *_NAMES_OF_SETTINGS)
"""Names that `full_path` writes out."""
_NEAREST = 4


def place_of(path: str) -> Place:
    """Tell where a path lies; one that begins with nothing known is taken for the configuration's."""
    if path == AUDIO_AXIS:
        return "audio"
    if path == DIALECT_AXIS:
        return "dialect"
    head = path.partition(".")[0]
    return "response" if head == "response" else "connection" if head == "connection" else "session"


def full_path(name: str, dialect: str | None) -> str:
    """Write out `model`, `voice` or `transcription_model` as the path of a recording in this dialect."""
    if name == MODEL_AXIS:
        return CONNECTION_MODEL
    if name in _NAMES_OF_SETTINGS:
        path = _NAMES_OF_SETTINGS[name]
        return f"session.{beta_path(path) if dialect == 'beta' else path}"
    return name


def axis_of(path: str) -> str:
    """Name the axis that a path varies: the model is one however it is asked for."""
    return MODEL_AXIS if path == CONNECTION_MODEL else path


def those_of(place: Place, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Take the overrides that lie in one place."""
    return {path: value for path, value in overrides.items() if place_of(path) == place}


def paths_of(place: Place, paths: Iterable[str]) -> list[str]:
    """Take the paths that lie in one place."""
    return [path for path in paths if place_of(path) == place]


def nearest_hint(path: str, known: list[str], *, otherwise: str) -> str:
    """Say which known paths are most like one that is not known; `otherwise` where none is."""
    near = nearest_paths(path, known)
    return f"nearest are {', '.join(near)}" if near else otherwise


def nearest_paths(path: str, known: list[str]) -> list[str]:
    """List the known paths that are most like one that is not known."""
    last = path.rsplit(".", 1)[-1]
    same_ending = [candidate for candidate in known if candidate.rsplit(".", 1)[-1] == last]
    close = get_close_matches(path, known, n=_NEAREST)
    # Few of one name are sooner what was meant than what is spelled alike: session.voice, audio.output.voice.
    first, then = (same_ending, close) if len(same_ending) < _NEAREST else (close, same_ending)
    return list(dict.fromkeys([*first, *then]))[:_NEAREST]
