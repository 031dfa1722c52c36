"""Measure how long a caller waited in each turn, from the end of speech to the first audio of the answer; pure.

Turns are those of the view `latencies` (analyze/sql/views): a commit opens one, or the last written message before a
response where no speech was committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

_AUDIO = {"response.output_audio.delta", "response.audio.delta"}


class Timed(Protocol):
    """What is read of a recorded message (`capture.recording.reader.RecordedMessage`)."""

    @property
    def offset_ns(self) -> int:
        """Time since the session's start."""

    @property
    def type(self) -> str | None:
        """Event type."""

    @property
    def response_id(self) -> str | None:
        """The response it belongs to."""

    @property
    def call_id(self) -> str | None:
        """The call it answers."""


@dataclass
class _Turn:
    ended_ns: int
    first_audio_ns: int | None = None


@dataclass
class _Turns:
    turns: list[_Turn] = field(default_factory=list)
    by_response: dict[str, _Turn] = field(default_factory=dict)
    stopped_ns: int | None = None
    asked_ns: int | None = None
    message_ns: int | None = None
    has_unanswered_speech: bool = False

    def take(self, message: Timed) -> None:
        at_ns = message.offset_ns
        match message.type:
            case "input_audio_buffer.speech_stopped":
                self.stopped_ns = at_ns
            case "input_audio_buffer.commit":
                self.asked_ns = at_ns
            case "input_audio_buffer.committed":
                self._commit(at_ns)
            case "conversation.item.create" if message.call_id is None:
                # Beside speech that waits for its answer a message is context, and opens nothing.
                self.message_ns = None if self.has_unanswered_speech else at_ns
            case "response.created":
                self._answer(message.response_id)
            case kind if kind in _AUDIO:
                turn = self.by_response.get(message.response_id or "")
                if turn is not None and turn.first_audio_ns is None:
                    turn.first_audio_ns = at_ns

    def _commit(self, at_ns: int) -> None:
        ended_ns = self.stopped_ns if self.stopped_ns is not None else self.asked_ns
        self.turns.append(_Turn(at_ns if ended_ns is None else ended_ns))
        self.stopped_ns = self.asked_ns = self.message_ns = None
        self.has_unanswered_speech = True

    def _answer(self, response_id: str | None) -> None:
        if self.message_ns is not None:
            self.turns.append(_Turn(self.message_ns))
        self.message_ns, self.has_unanswered_speech = None, False
        if self.turns and response_id is not None:
            self.by_response[response_id] = self.turns[-1]


def first_audio_ms(messages: Iterable[Timed]) -> list[float]:
    """Give the wait of each turn that was answered with audio, in milliseconds and in order."""
    found = _Turns()
    for message in messages:
        found.take(message)
    return [(turn.first_audio_ns - turn.ended_ns) / 1e6 for turn in found.turns if turn.first_audio_ns is not None]
