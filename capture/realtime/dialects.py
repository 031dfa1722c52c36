"""Tell which dialect a session speaks, and call one event by one name in all of them (protocol section 1.4)."""

from __future__ import annotations

from typing import Any, Literal

Dialect = Literal["ga", "beta", "other"]

GA_NAMES = {
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "conversation.item.created": "conversation.item.added",
    "transcription_session.update": "session.update",
    "transcription_session.updated": "session.updated",
}
"""Beta event name to its GA name; names that both share are not listed."""

_OTHER_PROTOCOLS = (
    "session.start",
    "session.input_audio.",
    "session.output_audio.",
    "session.input_audio_buffer.",
)
_BETA_FIELDS = {"modalities", "input_audio_format", "output_audio_format", "input_audio_transcription"}
_BETA_ONLY = {
    name
    for name in GA_NAMES
    # The GA types still list conversation.item.created, and xAI sends response.text.* beside GA names.
    if name != "conversation.item.created" and not name.startswith("response.text.")
}
_GA_ONLY_PREFIX = "response.output_"
_GA_SHARED = ("response.output_item.",)


class DialectDetector:
    """Collects the marks of a dialect over a session; feed it every message, then read `dialect`."""

    def __init__(self) -> None:
        self._marks: dict[Dialect, int] = {"ga": 0, "beta": 0, "other": 0}

    def observe(self, event_type: str, event: dict[str, Any] | None = None) -> None:
        """Take one message in; `event` (parsed) matters for session.* only."""
        mark = _mark_of(event_type, event or {})
        if mark is not None:
            self._marks[mark] += 1

    def observe_handshake(self, url: str, request_headers: dict[str, str]) -> None:
        """Take the upgrade in: beta clients say so in a header or with `api-version`."""
        if "openai-beta" in request_headers or "api-version=" in url:
            self._marks["beta"] += 1

    @property
    def dialect(self) -> Dialect:
        """The dialect most marks speak for; `other` where there are none or another protocol is spoken."""
        if self._marks["other"] or not any(self._marks.values()):
            return "other"
        return "ga" if self._marks["ga"] >= self._marks["beta"] else "beta"


def ga_name(event_type: str) -> str:
    """Name an event as GA does."""
    return GA_NAMES.get(event_type, event_type)


def _mark_of(event_type: str, event: dict[str, Any]) -> Dialect | None:
    if event_type.startswith(_OTHER_PROTOCOLS):
        return "other"
    if event_type in _BETA_ONLY:
        return "beta"
    if event_type == "conversation.item.added":
        return "ga"
    if event_type.startswith(_GA_ONLY_PREFIX) and not event_type.startswith(_GA_SHARED):
        return "ga"
    session = event.get("session")
    if isinstance(session, dict):
        if "audio" in session or session.get("type") in ("realtime", "transcription"):
            return "ga"
        if _BETA_FIELDS & session.keys():
            return "beta"
    return None
