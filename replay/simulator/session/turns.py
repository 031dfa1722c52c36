"""The client's turns: audio in, turns out, by voice activity or by hand.

A turn's item id is announced when speech starts, before the item exists, and holds through stop and commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from capture.audio import PCM16_24K, AudioFormat
from capture.realtime.audio_formats import parse_format
from replay.simulator.session.input_audio import InputAudio
from replay.simulator.session.vad import SpeechStarted, SpeechStopped, VadSettings, VoiceActivity

_KEPT_SILENCE_MS = 30_000
"""While nobody speaks, the buffer keeps this much: enough for any padding, and an idle hour costs no memory."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The user began to speak."""

    item_id: str
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """The user fell silent: the turn is over and committed."""

    item_id: str
    audio_end_ms: int
    audio: bytes
    audio_format: AudioFormat


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The client committed the buffer by hand."""

    item_id: str
    audio: bytes
    audio_format: AudioFormat


class Turns:
    """Cuts the appended audio into turns; `make_item_id` is asked once a turn."""

    def __init__(self, session: dict[str, Any], make_item_id: Callable[[], str]) -> None:
        self._make_item_id = make_item_id
        self.deaf = False
        """Whether voice activity detection hears nothing, whatever is appended."""
        self._input = InputAudio(PCM16_24K)
        self._detection: dict[str, Any] | None = None
        self._activity: VoiceActivity | None = None
        self._item_id: str | None = None
        self._speech_start_ms = 0
        self.configure(session)

    def configure(self, session: dict[str, Any]) -> None:
        """Take the session's input format and turn detection over; unchanged, a turn in progress goes on."""
        settings = session["audio"]["input"]
        audio_format = parse_format(settings["format"]) or PCM16_24K
        detection = settings["turn_detection"]
        if audio_format == self._input.audio_format and detection == self._detection:
            return
        self._input.change_format(audio_format)
        self._detection = detection
        self._listen_afresh()

    def append(self, audio: bytes) -> list[TurnStarted | TurnStopped]:
        """Write audio to the buffer."""
        self._input.append(audio)
        if self._activity is None:
            return []
        changes = [] if self.deaf else [self._follow(change) for change in self._activity.feed(audio)]
        if not self._activity.speaking:
            self._input.drop_before(self._input.end_ms - _KEPT_SILENCE_MS)
        return changes

    def commit(self) -> TurnCommitted:
        """Commit the buffer by hand; raises `ClientMistake` where there is too little."""
        audio = self._input.commit()
        turn = TurnCommitted(self._item_id or self._make_item_id(), audio, self._input.audio_format)
        self._listen_afresh()
        return turn

    def clear(self) -> None:
        """Drop the buffer, and the turn in progress with it."""
        self._input.clear()
        self._listen_afresh()

    def _listen_afresh(self) -> None:
        self._item_id = None
        self._activity = None
        if self._detection is not None:
            settings = VadSettings.from_turn_detection(self._detection)
            self._activity = VoiceActivity(settings, self._input.audio_format, self._input.end_ms)

    def _follow(self, change: SpeechStarted | SpeechStopped) -> TurnStarted | TurnStopped:
        if isinstance(change, SpeechStarted):
            self._item_id = self._make_item_id()
            self._speech_start_ms = change.audio_start_ms
            return TurnStarted(self._item_id, change.audio_start_ms)
        item_id, self._item_id = self._item_id or self._make_item_id(), None
        audio = self._input.take(self._speech_start_ms, change.audio_end_ms)
        return TurnStopped(item_id, change.audio_end_ms, audio, self._input.audio_format)
