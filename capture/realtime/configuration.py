"""Follow a session's configuration: what session.update asked for, what the endpoint echoed.

Both dialects are read (protocol section 1.5): GA nests under `audio.input` and `audio.output`, beta is flat.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capture.audio import PCM16_24K, AudioFormat
from capture.realtime.audio_formats import parse_format
from capture.realtime.events import storable

Json = dict[str, Any]

_UPDATES = {"session.update", "transcription_session.update"}
_ECHOES = {
    "session.created",
    "session.updated",
    "transcription_session.created",
    "transcription_session.updated",
}

_END_OF_TIME_S = 2**33
"""Later than any session; more would not fit the timestamps of the tables."""

CONFIGURATION_EVENTS = frozenset(_UPDATES | _ECHOES)
"""Types of the events that ask for a configuration, or echo it."""

_GA_TO_BETA = {
    "audio.input.format": "input_audio_format",
    "audio.output.format": "output_audio_format",
    "audio.output.voice": "voice",
    "audio.input.turn_detection": "turn_detection",
    "audio.input.transcription": "input_audio_transcription",
}


class ConfigurationTracker:
    """Asked and echoed configuration of one session; feed it every parsed message."""

    def __init__(self) -> None:
        self.asked: Json = {}
        """All session.update objects so far, merged in the order they were sent."""
        self.echoed: Json = {}
        """The endpoint's session object, as it last told it."""
        self.created: Json = {}
        """The endpoint's session object as it was first told, before any update took effect."""
        self._updates_open = 0
        self._transcription_events = False

    def observe(self, sender: str, event: Json) -> None:
        """Take one message in; other messages than configuration are passed over."""
        session, event_type = event.get("session"), event.get("type")
        if not isinstance(session, dict) or not isinstance(event_type, str):
            return
        if sender == "client" and event_type in _UPDATES:
            self.asked = merge(self.asked, session)
            self._updates_open += 1
        elif sender == "server" and event_type in _ECHOES:
            self.echoed = session
            if event_type.endswith(".updated"):
                self._updates_open = max(self._updates_open - 1, 0)
            else:
                self.created = self.created or session
            self._transcription_events = event_type.startswith("transcription_session.")

    @property
    def is_answered(self) -> bool:
        """Whether something was asked, and every update was echoed: none was refused, none is under way."""
        return bool(self.asked) and self._updates_open == 0

    @property
    def model(self) -> str | None:
        """Realtime model as asked in session.update; the URL may name another one."""
        return _text(self.asked.get("model"))

    @property
    def model_echoed(self) -> str | None:
        """Realtime model as the endpoint tells it."""
        return _text(self.echoed.get("model"))

    @property
    def transcription_model(self) -> str | None:
        """Input transcription model as asked."""
        return _text(_child(read_setting(self.asked, "audio.input.transcription"), "model"))

    @property
    def transcription_model_echoed(self) -> str | None:
        """Input transcription model as the endpoint tells it."""
        return _text(_child(read_setting(self.echoed, "audio.input.transcription"), "model"))

    @property
    def voice(self) -> str | None:
        """Voice in force; a custom voice by its id, one of Azure Voice Live by its name."""
        voice = self.setting("audio.output.voice")
        return _text(voice) or _text(_child(voice, "id")) or _text(_child(voice, "name"))

    @property
    def turn_detection(self) -> str | None:
        """`server_vad`, `semantic_vad`, or `none` where turns are manual; None where nobody said."""
        for session in (self.echoed, self.asked):
            found = read_setting(session, "audio.input.turn_detection", missing=_MISSING)
            if found is not _MISSING:
                return _text(_child(found, "type")) or "none"
        return None

    @property
    def input_format(self) -> AudioFormat:
        """Format of the client's audio; 24 kHz PCM where nobody said otherwise."""
        # Asked before echoed: the client encodes what it asked for from the moment it asked.
        asked = parse_format(read_setting(self.asked, "audio.input.format"))
        return asked or parse_format(read_setting(self.echoed, "audio.input.format")) or PCM16_24K

    @property
    def output_format(self) -> AudioFormat:
        """Format of the endpoint's audio; 24 kHz PCM where nobody said otherwise."""
        return parse_format(self.setting("audio.output.format")) or PCM16_24K

    @property
    def server_session_id(self) -> str | None:
        """The endpoint's `sess_…` id; support asks for it."""
        return _text(self.echoed.get("id"))

    @property
    def expires_at_s(self) -> int | None:
        """When the endpoint means to end the session, seconds since 1970."""
        expires_at = self.echoed.get("expires_at")
        return expires_at if type(expires_at) is int and 0 < expires_at < _END_OF_TIME_S else None

    @property
    def is_transcription_session(self) -> bool:
        """Whether the session only transcribes, so that no responses are due."""
        # GA says so in `type`, beta by the name of its events, others by `object` alone; a client may ask in vain.
        return (
            self._transcription_events
            or self.echoed.get("type") == "transcription"
            or self.echoed.get("object") == "realtime.transcription_session"
        )

    def setting(self, path: str) -> object:
        """Read a setting as echoed, else as asked: some endpoints echo a part of the configuration only."""
        echoed = read_setting(self.echoed, path)
        return read_setting(self.asked, path) if echoed is None else echoed

    def in_force(self, path: str) -> object:
        """Read a setting of the configuration in force: what was echoed, or what was asked until there is an echo."""
        # Echoed before asked: an update that was rejected was asked and never came into force.
        return read_setting(self.echoed or self.asked, path)


_MISSING = object()


def read_setting(session: Json, path: str, missing: object = None) -> object:
    """Read a setting by its GA path, in a GA or a beta session object."""
    found = get_path(session, path, _MISSING)
    if found is _MISSING:
        found = get_path(session, beta_path(path), _MISSING)
    return missing if found is _MISSING else found


def merge(base: Json, update: Json) -> Json:
    """Merge as session.update does: objects deeply, everything else (null too) replaced."""
    merged = dict(base)
    for name, value in update.items():
        before = merged.get(name)
        merged[name] = merge(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def get_path(tree: Json, path: str, missing: object = None) -> object:
    """Read the value at a dotted path, such as `audio.input.transcription.model`."""
    node: object = tree
    for name in path.split("."):
        if not isinstance(node, dict) or name not in node:
            return missing
        node = node[name]
    return node


def set_path(tree: Json, path: str, value: object) -> Json:
    """Copy a tree with the value at a dotted path replaced; objects on the way are made where missing.

    What lies beside the path is shared with the tree: a message may be nested deeper than a copy of it could go.
    """
    changed = dict(tree)
    *parents, last = path.split(".")
    node = changed
    for name in parents:
        child = node.get(name)
        node[name] = dict(child) if isinstance(child, dict) else {}
        node = node[name]
    node[last] = value
    return changed


def list_paths(tree: Json, prefix: str = "") -> Iterator[str]:
    """List every dotted path of a tree, objects before what they hold."""
    for name, value in tree.items():
        path = f"{prefix}{name}"
        yield path
        if isinstance(value, dict):
            yield from list_paths(value, f"{path}.")


def beta_path(path: str) -> str:
    """Name a setting of a GA session, such as `audio.input.turn_detection.type`, as a beta session does."""
    for ga, beta in _GA_TO_BETA.items():
        if path == ga or path.startswith(f"{ga}."):
            return beta + path.removeprefix(ga)
    return path


def _child(node: object, name: str) -> object:
    return node.get(name) if isinstance(node, dict) else None


def _text(value: object) -> str | None:
    return storable(value) if isinstance(value, str) else None
