"""Tie what the caller says to what they had heard: where answers begin and end, in a recording and in a replay; pure.

Who listens talks on when an answer is over, or cuts into it at a certain word. In another session the answer comes
sooner or later, and is shorter or longer; the onset of what the caller says next moves with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from capture.audio import AudioFormat
from capture.realtime.asides import Asides
from capture.realtime.audio_formats import decoded_bytes
from capture.realtime.dialects import ga_name

Json = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """One response of the conversation, on the clock of those who feed it."""

    begun_ns: int
    first_audio_ns: int | None = None
    heard_until_ns: int = 0
    """When the audio received so far has been played, from its first piece on and in real time."""
    done_ns: int | None = None
    status: str = "in_progress"
    items: set[str] = field(default_factory=set)

    @property
    def end_ns(self) -> int | None:
        """When it is over for who listens: generated and played; None while it is still generated."""
        return None if self.done_ns is None else max(self.done_ns, self.heard_until_ns)

    def stop(self, now_ns: int) -> None:
        """Take in that it is played no further."""
        self.heard_until_ns = min(self.heard_until_ns, now_ns)


class _Delta(msgspec.Struct):
    delta: str
    response_id: str
    item_id: str = ""


_decode_delta = msgspec.json.Decoder(_Delta).decode


class Answers:
    """The responses of a conversation in their order; those out of band are heard by nobody.

    `speed` divides the time that audio plays.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.begun: list[Answer] = []
        self._speed = speed
        self._by_id: dict[str, Answer] = {}
        self._asides = Asides()

    def observe(self, now_ns: int, sender: str, event: Json, output_format: AudioFormat) -> None:
        """Take one message in."""
        event_type = ga_name(str(event.get("type")))
        is_aside = self._asides.observe(event)
        if sender == "client":
            if event_type == "conversation.item.truncate":
                # Who truncates has stopped playing.
                for answer in self.begun:
                    if str(event.get("item_id")) in answer.items:
                        answer.stop(now_ns)
        elif event_type == "response.created":
            if not is_aside:
                self._begin(now_ns, event.get("response"))
        elif event_type == "response.done":
            self._end(now_ns, event.get("response"))
        elif event_type == "response.output_audio.delta":
            response_id, item_id, delta = (event.get(name) for name in ("response_id", "item_id", "delta"))
            if isinstance(delta, str):
                self._play(now_ns, str(response_id), str(item_id), delta, output_format)

    def observe_audio(self, now_ns: int, content: str | bytes, output_format: AudioFormat) -> None:
        """Take in an audio delta as it came, which is cheaper than parsing it for everyone."""
        try:
            found = _decode_delta(content)
        except (msgspec.DecodeError, UnicodeError):
            return
        self._play(now_ns, found.response_id, found.item_id, found.delta, output_format)

    def _begin(self, now_ns: int, response: object) -> None:
        if isinstance(response, dict):
            answer = Answer(now_ns)
            self.begun.append(answer)
            self._by_id[str(response.get("id"))] = answer

    def _end(self, now_ns: int, response: object) -> None:
        answer = self._by_id.get(str(response.get("id"))) if isinstance(response, dict) else None
        if answer is None or not isinstance(response, dict) or answer.done_ns is not None:
            return
        answer.done_ns = now_ns
        answer.status = str(response.get("status"))
        if answer.status == "cancelled":
            # Whether the caller spoke or the client cancelled it: nobody plays it on.
            answer.stop(now_ns)

    def _play(self, now_ns: int, response_id: str, item_id: str, delta: str, output_format: AudioFormat) -> None:
        answer = self._by_id.get(response_id)
        if answer is None or answer.done_ns is not None:
            return
        if answer.first_audio_ns is None:
            answer.first_audio_ns = now_ns
        answer.items.add(item_id)
        duration_ns = int(output_format.milliseconds(decoded_bytes(delta)) * 1e6 / self._speed)
        answer.heard_until_ns = max(answer.heard_until_ns, now_ns) + duration_ns


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an onset followed in the recording."""

    response: int
    """Ordinal of the response in the conversation, from 1."""
    kind: Literal["after", "into", "after_done"]
    """`after`: it had been played; `into`: from its first audio on; `after_done`: from its end, played or not."""
    offset_ns: int
    """Recorded time from there to the onset."""
    since_done_ns: int = 0
    """Recorded time from the response's end to the onset; below zero where it was still going on."""
    cancels: bool = False
    """Whether the recorded response ended as cancelled."""
    turns: int | None = None
    """Spoken turns that were committed before the onset; None where that is not to be compared."""

    def shortened(self, skipped_ns: int) -> Anchor:
        """Leave out time that lies between the response's end and the onset: nobody waits through the playback."""
        gap_ns = max(0, self.since_done_ns - skipped_ns)
        return replace(self, kind="after_done", offset_ns=gap_ns, since_done_ns=gap_ns)


def find_anchors(onsets: list[tuple[int, int]], answers: Answers) -> list[Anchor | None]:
    """Tell what each onset followed, by its time and the turns committed by then; None: no answer that is new.

    Two onsets after one answer keep their distance: only the first is anchored to it. Before the first audio of an
    answer the caller has heard nothing of it.
    """
    found: list[Anchor | None] = []
    heard = 0
    for at_ns, turns in onsets:
        number = sum(answer.begun_ns <= at_ns for answer in answers.begun)
        anchor = _anchor_to(answers.begun[number - 1], number, at_ns, turns) if number > heard else None
        heard = number if anchor is not None else heard
        found.append(anchor)
    return found


def _anchor_to(answer: Answer, number: int, at_ns: int, turns: int) -> Anchor | None:
    end_ns = answer.end_ns
    since_done_ns = -1 if answer.done_ns is None else at_ns - answer.done_ns
    if end_ns is not None and at_ns >= end_ns:
        return Anchor(number, "after", at_ns - end_ns, since_done_ns, turns=turns)
    if answer.first_audio_ns is None or at_ns < answer.first_audio_ns:
        return None
    cancels = answer.status == "cancelled"
    return Anchor(number, "into", at_ns - answer.first_audio_ns, since_done_ns, cancels, turns)


def onset_ns(anchor: Anchor, answer: Answer, speed: float) -> tuple[int | None, bool]:
    """Tell when an onset is due after its answer in the new session; None as long as that is not known.

    The second value tells that the answer was over before the caller cut into it: then it is due at its end.
    """
    offset_ns = int(anchor.offset_ns / speed)
    # Without a clock nothing is played: what had been generated is waited for, and nothing else.
    if anchor.kind == "after_done" or (math.isinf(speed) and anchor.since_done_ns >= 0):
        return (None if answer.done_ns is None else answer.done_ns + offset_ns), False
    if anchor.kind == "after":
        return (None if answer.end_ns is None else answer.end_ns + offset_ns), False
    at_ns = None if answer.first_audio_ns is None else answer.first_audio_ns + offset_ns
    if answer.end_ns is not None and (at_ns is None or at_ns > answer.end_ns):
        return answer.end_ns, True
    return at_ns, False
