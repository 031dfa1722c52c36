"""Keep an open microphone open while a replay waits longer than its recording did; pure.

A client that streams silence between two turns goes on doing so, in real time: without it a VAD never hears the end of
a turn, and an endpoint may take the caller for gone. A client that sends nothing between turns gets nothing added.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from capture.audio import AudioFormat
from replay.plan import APPEND, Step
from replay.rewrite import Change
from replay.spoken_turns import audio_length

SILENCE_CHUNK_MS = 20
_SLACK_NS = 250_000_000
"""A pause between two appends that is no longer is none: networks and machines hold an open microphone up so long."""
_SHORTEST_CHUNK_NS = 5_000_000
"""Without a clock silence is sent four times as fast as it plays, and not at once: what it brings about takes time."""


def silence(audio_format: AudioFormat, duration_ms: float) -> str:
    """Write an append of silence."""
    return json.dumps({"type": APPEND, "audio": base64.b64encode(audio_format.silence(duration_ms)).decode()})


def chunk_ns(duration_ms: float, speed: float) -> int:
    """Tell how long after one append of silence the next one is due."""
    return max(_SHORTEST_CHUNK_NS, int(duration_ms * 1_000_000 / speed))


class Microphone:
    """Follows what is appended, and tells when silence is due."""

    def __init__(self, speed: float) -> None:
        self.open_ms = 0.0
        """Audio that was appended since the last commit that is known, or clear."""
        self._added_ms = 0.0
        self._left_out_ms = 0.0
        self._speed = speed
        self._last: Step | None = None
        self._last_ms = 0.0
        self._sent_ns = 0
        self._next_due_ns: int | None = None

    def note(self, step: Step, sent_ns: int) -> None:
        """Take in a step that was sent, with the time at which it was due or else sent."""
        if step.type != APPEND or step.audio_format is None:
            return
        last = self._last
        # Nearly all appends of a client are equally long, and this is called for each of them.
        if last is None or len(last.content) != len(step.content) or last.audio_format is not step.audio_format:
            self._last_ms = step.audio_format.milliseconds(audio_length(step.content))
        self._last, self._sent_ns, self._next_due_ns = step, sent_ns, None
        self.open_ms += self._last_ms

    def due_ns(self, coming: Sequence[Step], at: int, until_ns: int, *, is_speech_open: bool = False) -> int | None:
        """Tell when the next silence is due before the step at a place is sent; None where none is.

        `until_ns` is when that step is due, or when it is given up. Speech that is held in its middle stays as it is: a
        VAD counts audio, not seconds. Speech that a VAD has heard no end of gets silence in any case, for without it
        nothing would ever come of what is waited for.
        """
        last = self._last
        if last is None or last.not_before_ns is None or self._last_ms <= 0:
            return None
        following = next((coming[place] for place in range(at, len(coming)) if coming[place].type == APPEND), None)
        if following is not None and not (following.is_pause or following.anchor is not None):
            return None
        is_open = is_speech_open
        if following is not None and following.not_before_ns is not None:
            paused_ns = following.not_before_ns - last.not_before_ns - int(self._last_ms * 1e6)
            is_open = is_open or paused_ns <= _SLACK_NS
        if self._next_due_ns is None:
            self._next_due_ns = self._sent_ns + chunk_ns(self._last_ms, self._speed)
        return self._next_due_ns if is_open and self._next_due_ns + self._chunk_ns // 2 < until_ns else None

    def hear(self, audio_format: AudioFormat) -> str:
        """Give the append of silence that is due."""
        self._added_ms += self._silence_ms
        self.open_ms += self._silence_ms
        self._next_due_ns = (self._next_due_ns or self._sent_ns) + self._chunk_ns
        return silence(audio_format, self._silence_ms)

    def leave_out(self, step: Step) -> None:
        """Take in an append of a pause that is not sent."""
        if step.audio_format is not None:
            self._left_out_ms += step.audio_format.milliseconds(audio_length(step.content))

    def take_changes(self) -> list[Change]:
        """Say how much longer or shorter than the recorded one the pause was that ends now."""
        if not self._left_out_ms and not self._added_ms:
            return []
        before, after = (json.dumps(f"{ms / 1000:.2f} s") if ms else "" for ms in (self._left_out_ms, self._added_ms))
        self._left_out_ms = self._added_ms = 0.0
        return [Change("pause", "", before, after)]

    @property
    def _silence_ms(self) -> float:
        return min(max(self._last_ms, SILENCE_CHUNK_MS), 200.0)

    @property
    def _chunk_ns(self) -> int:
        return chunk_ns(self._silence_ms, self._speed)
