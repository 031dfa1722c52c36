"""Note, while a recording is read, where its caller's turns lie in the audio that was sent, and when something was due.

Positions are in milliseconds of audio appended so far, as endpoints count them (protocol section 1.6): a client that
sends faster than real time, or not at all for a while, does not move them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Any

from capture.audio import AudioFormat
from capture.realtime.progress import Progress

Json = dict[str, Any]

_EMPTIES = {"input_audio_buffer.committed", "input_audio_buffer.cleared"}


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One turn of the caller."""

    start_ms: float
    end_ms: float
    """Equal to the start as long as the turn has no end."""
    first_step: int
    """Messages of the client before the turn was noticed."""
    committed_step: int | None = None
    """Messages of the client before its commit was known; None: it never was."""
    is_heard: bool = False
    """Whether the endpoint told where it begins; else it is all that was appended up to its commit."""


class SpokenTurns:
    """Collects turns and busy times; feed it appends and events in their order."""

    def __init__(self, *, is_cut: bool) -> None:
        self.sent_ms = 0.0
        """Audio appended so far."""
        self._open_from_ms = 0.0
        self.appends: list[int] = []
        """The steps that append audio."""
        self._starts_ms: list[float] = []
        self._is_cut = is_cut
        self._turns: list[SpokenTurn] = []
        self._speaking: SpokenTurn | None = None
        self._segment: SpokenTurn | None = None
        self._commit_asked_ms: float | None = None
        self._due_since_ns: int | None = None
        self._due: list[tuple[int, int]] = []
        self._last_ns = 0

    def append(self, content: str | bytes, audio_format: AudioFormat, step: int) -> None:
        """Take in an append that is about to become a step."""
        if self._segment is None:
            self._segment = SpokenTurn(self.sent_ms, self.sent_ms, step)
        self.appends.append(step)
        self._starts_ms.append(self.sent_ms)
        self.sent_ms += audio_format.milliseconds(audio_length(content))

    @property
    def open_ms(self) -> float:
        """Audio that was appended since the last commit that is known, or clear."""
        return self.sent_ms - self._open_from_ms

    def append_at(self, at_ms: float) -> int:
        """Give the place among `appends` of the one that holds a position."""
        return max(0, bisect_right(self._starts_ms, at_ms) - 1)

    def observe(self, sender: str, event: Json, steps: int) -> None:
        """Take in an event; `steps` messages of the client came before it."""
        event_type = event.get("type")
        if event_type in _EMPTIES and sender == "server":
            self._open_from_ms = self.sent_ms
        if event_type == "input_audio_buffer.commit" and sender == "client":
            self._commit_asked_ms = self.sent_ms
        elif event_type == "input_audio_buffer.speech_started":
            at_ms = self._position(event.get("audio_start_ms"))
            self._close(None)
            self._speaking = SpokenTurn(at_ms, at_ms, steps, is_heard=True)
        elif event_type == "input_audio_buffer.speech_stopped" and self._speaking is not None:
            self._speaking = replace(self._speaking, end_ms=self._position(event.get("audio_end_ms")))
        elif event_type == "input_audio_buffer.committed" and sender == "server":
            self._close(steps)
        elif event_type == "input_audio_buffer.cleared":
            self._speaking = self._segment = None

    def note_due(self, progress: Progress, at_ns: int) -> None:
        """Take in what the endpoint owes at a time."""
        self._last_ns = max(self._last_ns, at_ns)
        is_due = progress.speech_is_open or bool(progress.missing())
        if is_due and self._due_since_ns is None:
            self._due_since_ns = at_ns
        elif not is_due and self._due_since_ns is not None:
            self._due.append((self._due_since_ns, at_ns))
            self._due_since_ns = None

    def turns(self) -> tuple[SpokenTurn, ...]:
        """List the turns, the last one too if it never ended."""
        self._close(None)
        return tuple(self._turns)

    def due_spans(self, zero_ns: int) -> tuple[tuple[int, int], ...]:
        """List from when to when something was due, on a clock that began at `zero_ns`."""
        still = [] if self._due_since_ns is None else [(self._due_since_ns, self._last_ns)]
        return tuple((start - zero_ns, end - zero_ns) for start, end in [*self._due, *still])

    def _position(self, stated_ms: object) -> float:
        # In a recording that was cut the endpoint counts audio that is not there.
        stated = isinstance(stated_ms, int | float) and not self._is_cut and 0 <= stated_ms <= self.sent_ms
        return float(stated_ms) if stated and isinstance(stated_ms, int | float) else self.sent_ms

    def _close(self, committed_step: int | None) -> None:
        turn = self._speaking
        if turn is None and committed_step is not None:
            turn = self._segment
            if turn is not None:
                asked_ms = self.sent_ms if self._commit_asked_ms is None else self._commit_asked_ms
                turn = replace(turn, end_ms=max(asked_ms, turn.start_ms))
        if turn is not None:
            end_ms = turn.end_ms if turn.end_ms > turn.start_ms else self.sent_ms
            self._turns.append(replace(turn, end_ms=end_ms, committed_step=committed_step))
        self._speaking = self._segment = self._commit_asked_ms = None


def audio_length(content: str | bytes) -> int:
    """Tell how many bytes of audio an append holds."""
    # Appends are nearly all of a recording: their length is read without parsing them.
    if isinstance(content, bytes):
        return 0
    start = content.find('"', content.find(":", content.find('"audio"')) + 1) + 1
    end = content.find('"', start)
    if start <= 0 or end < start:
        return 0
    return (end - start) * 3 // 4 - content.count("=", max(start, end - 2), end)
