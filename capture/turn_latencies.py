"""Measure how long each turn of a caller waited, while a session is sealed; pure.

A turn, and where its times count from, are what `analyze/sql/views/turns.sql` says of the same events: a test holds
the two together.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from capture.realtime.answering import CREATE, refuses_commit
from capture.realtime.asides import Asides
from capture.realtime.events import EventHeader, object_of

Json = dict[str, Any]
Row = dict[str, Any]

_BUFFER = "input_audio_buffer."
_COMMITTED, _STOPPED, _ASKED = f"{_BUFFER}committed", f"{_BUFFER}speech_stopped", f"{_BUFFER}commit"
_TIMED_OUT, _ERROR = f"{_BUFFER}timeout_triggered", "error"
_ITEM, _RESPONSE, _DONE = "conversation.item.create", "response.created", "response.done"
_AUDIO = frozenset({"response.output_audio.delta", "response.audio.delta"})
_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_TRANSCRIBED = frozenset({f"{_TRANSCRIPTION}completed", f"{_TRANSCRIPTION}failed"})
_BOUNDS = frozenset({_COMMITTED, _STOPPED, _ASKED, _TIMED_OUT, _ERROR, _ITEM, _RESPONSE})
_TOLD = _BOUNDS | _AUDIO | _TRANSCRIBED | {_DONE, CREATE}


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
    is_context: bool
    """The system's or the assistant's, that is."""


class _Asks:
    """The client's commits, each until the endpoint takes the audio in or refuses to.

    It answers them in order. Of one that it never answers, or otherwise than by the error of an empty buffer, nobody is
    told: from there on a commit would be held against that of the turn before. Answers are in order where the waiting
    commits come to an end; where they never do, the latest commit counts.
    """

    def __init__(self) -> None:
        self._waiting: deque[float | None] = deque()
        self._latest_ms: float | None = None
        self._unsettled: list[tuple[_Turn, float | None]] = []
        """Turns that took one of these, and when it was asked if answers are in order."""

    def ask(self, at_ms: float | None) -> None:
        """Take in a commit of the client."""
        self._waiting.append(at_ms)
        self._latest_ms = at_ms

    def refuse(self) -> None:
        """Take in that the endpoint had nothing to take in."""
        if self._waiting:
            self._waiting.popleft()
        self._end()

    def take(self, turn: _Turn) -> None:
        """Take in that the endpoint took in the speech of a turn whose end it had not heard itself."""
        if self._waiting:
            turn.end_of_speech_ms = turn.committed_ms if self._latest_ms is None else self._latest_ms
            self._unsettled.append((turn, self._waiting.popleft()))
        self._end()

    def pass_over(self) -> None:
        """Take in that the endpoint took speech in of its own accord."""
        self._latest_ms = None

    def _end(self) -> None:
        self._latest_ms = None
        if not self._waiting:
            for turn, asked_ms in self._unsettled:
                turn.end_of_speech_ms = asked_ms
            self._unsettled.clear()


class TurnLatencies:
    """Takes in the events of both senders in their order; gives what each turn took."""

    def __init__(self) -> None:
        self._turns: list[_Turn] = []
        self._message: _Message | None = None
        self._is_answered = True
        """Whether a response began since the last commit; before any of either, too."""
        self._has_response = False
        self._goes_on = False
        """Whether the next response goes on with the turn that the last one belongs to."""
        self._asks = _Asks()
        self._asides = Asides()
        self._is_ended_by_endpoint = False
        """Whether the endpoint has heard the end of speech since the last commit, or silence for too long."""
        self._stopped_ms: float | None = None
        self._first_audio_ms: dict[str, float] = {}
        self._done_ms: dict[str, float] = {}
        self._transcribed_ms: dict[str, float] = {}

    def observe(self, header: EventHeader, offset_ns: int, event: Json | None = None) -> None:
        """Take in an event. Below zero an offset is an order and no time: such turns have no latencies.

        `event` (parsed) is read for response.create and response.created (a response out of band answers nobody) and
        for conversation.item.create.
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
        elif not self._asides.observe(event or {}) and event_type != CREATE:
            self._mark(event_type, header, at_ms, event or {})

    def rows(self) -> list[Row]:
        """Give each turn's latencies in milliseconds: commit, first_audio, transcription, response; None: none."""
        return [self._latencies(turn) for turn in self._turns]

    def _mark(self, event_type: str, header: EventHeader, at_ms: float | None, event: Json) -> None:
        if event_type == _STOPPED:
            self._stopped_ms, self._is_ended_by_endpoint = at_ms, True
        elif event_type == _TIMED_OUT:
            self._is_ended_by_endpoint = True
        elif event_type == _ASKED:
            self._asks.ask(at_ms)
        elif event_type == _ERROR:
            if refuses_commit(header):
                self._asks.refuse()
        elif event_type == _ITEM:
            self._add(header, at_ms, object_of(event, "item"))
        elif event_type == _COMMITTED:
            self._commit(header.item_id, at_ms)
        else:
            self._respond(header.response_id)

    def _add(self, header: EventHeader, at_ms: float | None, item: Json) -> None:
        # With a call_id it is a tool's output; that and a tool's approval go on with the turn that called the tool.
        # Before any response it is history.
        if header.call_id is not None or item.get("type") == "mcp_approval_response":
            self._goes_on = self._has_response
        else:
            is_context = item.get("role") not in (None, "user")
            self._message = _Message(header.item_id, at_ms, may_open=self._is_answered, is_context=is_context)

    def _commit(self, item_id: str | None, at_ms: float | None) -> None:
        turn = _Turn(item_id, at_ms if self._stopped_ms is None else self._stopped_ms, committed_ms=at_ms)
        self._turns.append(turn)
        if self._is_ended_by_endpoint:
            # A commit of the client that is under way has its own answer: by now there was nothing left for it.
            self._asks.pass_over()
        else:
            self._asks.take(turn)
        self._message = self._stopped_ms = None
        self._is_ended_by_endpoint = self._is_answered = False

    def _respond(self, response_id: str | None) -> None:
        message, self._message, self._is_answered = self._message, None, True
        goes_on, self._goes_on, self._has_response = self._goes_on, False, True
        if message is not None and message.may_open and not (message.is_context and goes_on):
            self._turns.append(_Turn(message.item_id, message.at_ms))
        if self._turns and response_id is not None:
            self._turns[-1].responses.append(response_id)

    def _latencies(self, turn: _Turn) -> Row:
        spoken_ms, committed_ms = turn.end_of_speech_ms, turn.committed_ms
        heard = [self._first_audio_ms[each] for each in turn.responses if each in self._first_audio_ms]
        # A tool's call is no end: where the answer that followed has none, neither has the turn.
        done_ms = self._done_ms.get(turn.responses[-1]) if turn.responses else None
        transcribed_ms = None if turn.item_id is None else self._transcribed_ms.get(turn.item_id)
        return {
            "commit_ms": _elapsed(spoken_ms, committed_ms),
            "first_audio_ms": _elapsed(spoken_ms, min(heard, default=None)),
            "transcription_ms": _elapsed(committed_ms, transcribed_ms),
            "response_ms": _elapsed(spoken_ms, done_ms),
        }


def _elapsed(start_ms: float | None, end_ms: float | None) -> float | None:
    return None if start_ms is None or end_ms is None else end_ms - start_ms
