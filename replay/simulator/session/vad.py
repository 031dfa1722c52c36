"""Voice activity by energy, in audio time: appended audio in, speech started and stopped out.

Frames of 32 ms as in the real endpoint, whose `audio_start_ms` plus padding and `audio_end_ms` are multiples of them.
A frame's level stands for the probability of speech that the real one estimates: -70 dBFS is 0, -30 dBFS is 1, so the
default threshold of 0.5 lies at -50 dBFS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.audio import AudioFormat

FRAME_MS = 32
_ONSET_FRAMES = 2
"""A single loud frame is a click, not speech."""
_RELEASE = 0.15
"""Speech goes on down to this much below the threshold, so that soft syllables do not cut it."""

# The real one waits for a finished thought, up to 8, 4 or 2 s; energy cannot tell, so it waits longer or shorter.
_EAGERNESS_SILENCE_MS = {"low": 2000, "medium": 1000, "auto": 1000, "high": 500}


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began; `audio_start_ms` includes the prefix padding."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Silence has lasted long enough; `audio_end_ms` includes it, and is where the turn's audio ends."""

    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class VadSettings:
    """What a detector listens for."""

    threshold: float
    """0 to 1."""
    prefix_padding_ms: int
    silence_duration_ms: int

    @classmethod
    def from_turn_detection(cls, turn_detection: dict[str, Any]) -> VadSettings:
        """Read the session's `turn_detection`."""
        if turn_detection["type"] == "semantic_vad":
            return cls(0.5, 300, _EAGERNESS_SILENCE_MS[turn_detection["eagerness"]])
        return cls(
            turn_detection["threshold"],
            turn_detection["prefix_padding_ms"],
            turn_detection["silence_duration_ms"],
        )


class VoiceActivity:
    """Follows one stream of audio from a point in audio time."""

    def __init__(self, settings: VadSettings, audio_format: AudioFormat, start_ms: float) -> None:
        self._settings = settings
        self._format = audio_format
        self._frame_bytes = audio_format.rate * FRAME_MS // 1000 * audio_format.bytes_per_sample
        self._pending = bytearray()
        self._at_ms = start_ms
        """Start of the next frame."""
        self._earliest_ms = start_ms
        """Padding does not reach back into the turn before."""
        self._loud_frames = 0
        self._silent_ms = 0
        self.speaking = False

    def feed(self, audio: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take appended audio in, of any length, and tell what changed."""
        self._pending += audio
        frame_count = len(self._pending) // self._frame_bytes
        if not frame_count:
            return []
        whole = frame_count * self._frame_bytes
        samples = self._format.decode(bytes(self._pending[:whole]))
        del self._pending[:whole]
        changes = []
        for probability in _speech_probability(samples.reshape(frame_count, -1)):
            change = self._step(probability)
            if change is not None:
                changes.append(change)
        return changes

    def _step(self, probability: float) -> SpeechStarted | SpeechStopped | None:
        self._at_ms += FRAME_MS
        return self._listen_for_end(probability) if self.speaking else self._listen_for_start(probability)

    def _listen_for_start(self, probability: float) -> SpeechStarted | None:
        self._loud_frames = self._loud_frames + 1 if probability >= self._settings.threshold else 0
        if self._loud_frames < _ONSET_FRAMES:
            return None
        onset_ms = self._at_ms - _ONSET_FRAMES * FRAME_MS
        self.speaking, self._silent_ms = True, 0
        return SpeechStarted(round(max(self._earliest_ms, onset_ms - self._settings.prefix_padding_ms)))

    def _listen_for_end(self, probability: float) -> SpeechStopped | None:
        loud = probability >= self._settings.threshold - _RELEASE
        self._silent_ms = 0 if loud else self._silent_ms + FRAME_MS
        if self._silent_ms < max(self._settings.silence_duration_ms, FRAME_MS):
            return None
        self.speaking, self._loud_frames, self._earliest_ms = False, 0, self._at_ms
        return SpeechStopped(round(self._at_ms))


def _speech_probability(frames: NDArray[np.int16]) -> list[float]:
    power = np.square(frames, dtype=np.float32).mean(axis=1) / 32768.0**2
    level_dbfs = 10 * np.log10(np.maximum(power, 1e-12))
    return [float(level) for level in (level_dbfs + 70) / 40]
