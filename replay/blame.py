"""Read which settings a recording's failures point to: what errors name, and what a failed transcription used. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from capture.realtime.configuration import beta_path, get_path
from capture.realtime.events import read_header

Json = dict[str, Any]

_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_TRANSCRIPTION_MODEL = "audio.input.transcription.model"
# Where an error has no param, its words may name the field: "Invalid value: 'x'. … 'session.audio.output.voice'".
_FIELD = re.compile(r"'((?:session|response)\.[^'\s]+)'")
_GROUPS = {"session", "session.audio", "session.audio.input", "session.audio.output", "response", "response.audio"}
"""Objects that hold settings, and are none themselves."""
_MISSING = object()


class Told(Protocol):
    """What is read of a recorded message."""

    @property
    def sender(self) -> str:
        """`client` or `server`."""

    @property
    def type(self) -> str | None:
        """Event type."""

    @property
    def content(self) -> str | bytes:
        """The whole message."""


class Blame:
    """Collects what a session's errors name; feed it every message."""

    def __init__(self) -> None:
        self._fields: dict[str, None] = {}

    def observe(self, message: Told) -> None:
        """Take one message in; all but the endpoint's complaints are passed over."""
        event_type = message.type or ""
        complains = event_type in ("error", "response.done") or event_type.endswith(".failed")
        if message.sender != "server" or not complains or not isinstance(message.content, str):
            return
        header = read_header(message.content)
        if header is None:
            return
        named = _FIELD.search(header.error_message or "")
        field = header.error_param or (named[1] if named else None)
        if field:
            # Of a list the whole is set or left out: session.tools[0].name is session.tools.
            self._fields[field.partition("[")[0]] = None

    def named(self, asked: Json) -> list[str]:
        """List the settings that errors named, as paths; `asked` is the configuration that the client asked for.

        Of the configuration only what was asked for counts: the setting itself, or the one that it is a part of.
        """
        found = (_asked_part(field, asked) for field in self._fields)
        return list(dict.fromkeys(path for path in found if path is not None))


def blamed_by(failure_keys: Iterable[str], dialect: str | None) -> list[str]:
    """List the settings that failures point to by what they are: a failed transcription points to its model."""
    if not any(key.removeprefix("absent:").startswith(_TRANSCRIPTION) for key in failure_keys):
        return []
    return [f"session.{beta_path(_TRANSCRIPTION_MODEL) if dialect == 'beta' else _TRANSCRIPTION_MODEL}"]


def is_blamed(path: str, blamed: Iterable[str]) -> bool:
    """Tell whether a setting is blamed itself, or holds what is, or is a part of it."""
    return any(
        path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in blamed if other
    )


def _asked_part(field: str, asked: Json) -> str | None:
    if field.startswith("response."):
        return field
    path = field if field.startswith("session.") else f"session.{field}"
    while path not in _GROUPS:
        if get_path({"session": asked}, path, _MISSING) is not _MISSING:
            return path
        path = path.rpartition(".")[0]
    return None
