"""Measure how long each turn of a caller waited, while a session is sealed; pure.

A turn, and where its times count from, are what `analyze/sql/views/turns.sql` says of the same events: a test holds
the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from capture.realtime.events import EventHeader

Row = dict[str, Any]

_BUFFER = "input_audio_buffer."
_COMMITTED, _STOPPED, _ASKED = f"{_BUFFER}committed", f"{_BUFFER}speech_stopped", f"{_BUFFER}commit"
_MESSAGE, _RESPONSE, _DONE = "conversation.item.create", "response.created", "response.done"
_AUDIO = frozenset({"response.output_audio.delta", "response.audio.delta"})
_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_TRANSCRIBED = frozenset({f"{_TRANSCRIPTION}completed", f"{_TRANSCRIPTION}failed"})
_TOLD = frozenset({_COMMITTED, _STOPPED, _ASKED, _MESSAGE, _RESPONSE, _DONE}) | _AUDIO | _TRANSCRIBED


@dataclass(slots=True)
class _Turn:
    """A turn as it opens; its answers are looked up at the end."""

    item_id: str | None
    end_of_speech_ms: float | None
    committed_ms: float | None = None
    responses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Message:
    """A written message of the client, which may open a turn: that shows by what comes next."""

    item_id: str | None
    at_ms: float | None
    may_open: bool


class TurnLatencies:
    """Takes in the events of both senders in their order; gives what each turn took."""

    def __init__(self) -> None:
        self._turns: list[_Turn] = []
        self._message: _Message | None = None
        self._is_answered = True
        """Whether a response began since the last commit; before any of either, too."""
        self._asked_ms: float | None = None
        self._stopped_ms: float | None = None
        self._first_audio_ms: dict[str, float] = {}
        self._done_ms: dict[str, float] = {}
        self._transcribed_ms: dict[str, float] = {}

    def observe(self, header: EventHeader, offset_ns: int, *, in_conversation: bool = True) -> None:
        """Take in an event. Below zero an offset is an order and no time: such turns have no latencies.

        `in_conversation` is told of a response.created; a response out of band answers nobody.
        """
        event_type = header.type
        if event_type not in _TOLD:
            return
        at_ms = offset_ns / 1e6 if offset_ns >= 0 else None
        if event_type in _AUDIO:
            if header.response_id is not None and at_ms is not None:
                self._first_audio_ms.setdefault(header.response_id, at_ms)
        elif event_type in _TRANSCRIBED:
            if header.item_id is not None and not header.content_index and at_ms is not None:
                self._transcribed_ms[header.item_id] = at_ms
        elif event_type == _DONE:
            if header.response_id is not None and at_ms is not None:
                self._done_ms[header.response_id] = at_ms
        elif in_conversation:
            self._mark(event_type, header, at_ms)

    def rows(self) -> list[Row]:
        """Give each turn's latencies in milliseconds: commit, first_audio, transcription, response; None: none."""
        return [self._latencies(turn) for turn in self._turns]

    def _mark(self, event_type: str, header: EventHeader, at_ms: float | None) -> None:
        if event_type == _STOPPED:
            self._stopped_ms = at_ms
        elif event_type == _ASKED:
            self._asked_ms = at_ms
        elif event_type == _MESSAGE:
            # With a call_id it is a tool's output, which goes on with the turn that called the tool.
            if header.call_id is None:
                self._message = _Message(header.item_id, at_ms, may_open=self._is_answered)
        elif event_type == _COMMITTED:
            self._commit(header.item_id, at_ms)
        else:
            self._respond(header.response_id)

    def _commit(self, item_id: str | None, at_ms: float | None) -> None:
        spoken = next((ms for ms in (self._stopped_ms, self._asked_ms) if ms is not None), at_ms)
        self._turns.append(_Turn(item_id, spoken, committed_ms=at_ms))
        self._message = self._asked_ms = self._stopped_ms = None
        self._is_answered = False

    def _respond(self, response_id: str | None) -> None:
        message, self._message, self._is_answered = self._message, None, True
        if message is not None and message.may_open:
            self._turns.append(_Turn(message.item_id, message.at_ms))
        if self._turns and response_id is not None:
            self._turns[-1].responses.append(response_id)

    def _latencies(self, turn: _Turn) -> Row:
        spoken_ms, committed_ms = turn.end_of_speech_ms, turn.committed_ms
        heard = [self._first_audio_ms[each] for each in turn.responses if each in self._first_audio_ms]
        done = [self._done_ms[each] for each in turn.responses if each in self._done_ms]
        transcribed_ms = None if turn.item_id is None else self._transcribed_ms.get(turn.item_id)
        return {
            "commit_ms": _elapsed(spoken_ms, committed_ms),
            "first_audio_ms": _elapsed(spoken_ms, min(heard, default=None)),
            "transcription_ms": _elapsed(committed_ms, transcribed_ms),
            "response_ms": _elapsed(spoken_ms, max(done, default=None)),
        }


def _elapsed(start_ms: float | None, end_ms: float | None) -> float | None:
    return None if start_ms is None or end_ms is None else end_ms - start_ms
