"""Answer: one response from `response.created` to `rate_limits.updated`, in the order of the real endpoint.

An answer speaks the scenario's clip, or writes its text. Calling a function (tool_calls.py) is another kind of answer:
another list of moments between created and done.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from capture.audio import PCM16_24K
from capture.realtime.audio_formats import parse_format
from replay.simulator.clips import CHUNK_MS, AudioChunk, read_chunks, read_text, split_tokens
from replay.simulator.clock import NS_PER_MS
from replay.simulator.faults.effects import (
    AudioEffect,
    AudioWithheld,
    ResponseEffect,
    ResponseFailed,
    ResponseIncomplete,
    ResponseNeverDone,
)
from replay.simulator.session.conversation import Conversation, Item, Json
from replay.simulator.session.rate_limits import TokenBudget
from replay.simulator.session.runs import Event, Run
from replay.simulator.session.spoiling import Moment, end_early, leave_undone, spoil_audio
from replay.simulator.session.usage import TokenCount, count_output, show_usage

_TOKEN_MS = 20
"""Between two text deltas: words run ahead of the audio that speaks them."""
_RATE_LIMITS_AFTER_MS = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model answers, and how fast."""

    clip: str
    speed: float
    first_delta_ms: float


class ResponseRun(Run):
    """One response. Without a conversation it is out of band: its items are nobody's."""

    def __init__(
        self,
        response_id: str,
        item_id: str,
        settings: Json,
        answer: Answer,
        *,
        conversation: Conversation | None,
        conversation_id: str,
        heard: TokenCount,
        budget: TokenBudget,
        started_ns: int,
        spoilt: ResponseEffect | None = None,
        audio_spoilt: AudioEffect | None = None,
    ) -> None:
        super().__init__(started_ns)
        self.response_id = response_id
        self.active = True
        """Until `response.done`."""
        self.spoke = False
        """Whether any audio has been sent."""
        self._settings = settings
        self._conversation = conversation
        self._conversation_id = conversation_id if conversation is not None else None
        self._heard = heard
        self._budget = budget
        self._spoilt = spoilt
        self._speaks = settings["output_modalities"] == ["audio"]
        if isinstance(audio_spoilt, AudioWithheld) and not audio_spoilt.transcript:
            self._speaks = False
        self._audio_format = parse_format(settings["audio"]["output"]["format"]) or PCM16_24K
        self._item = Item(self._empty_item(item_id), audio_format=self._audio_format)
        self._opened = False
        self._previous_item_id: str | None = None
        self._said: list[str] = []
        self._said_count = TokenCount(0, 0)
        moments = self._spoil(spoil_audio(self._moments_of(answer), audio_spoilt))
        self._plan((moment.at_ms, moment.live) for moment in moments)

    def cancel(self, reason: str, now_ns: int) -> list[Event]:
        """End it early: `turn_detected` or `client_cancelled`."""
        self._moments.clear()
        if isinstance(self._spoilt, ResponseNeverDone):
            # It hangs: not even this ends it, but nothing waits for it any longer.
            self.active = False
            return []
        closing = self._end_early("cancelled", {"reason": reason})
        self._moments.append((now_ns + _RATE_LIMITS_AFTER_MS * NS_PER_MS, self._tell_limits))
        return closing

    def _spoil(self, moments: list[Moment]) -> list[Moment]:
        spoilt = self._spoilt
        match spoilt:
            case ResponseFailed():
                return end_early(moments, spoilt.after_deltas, partial(self._fail, spoilt))
            case ResponseIncomplete():
                details = {"reason": spoilt.reason}
                return end_early(moments, spoilt.after_deltas, partial(self._end_early, "incomplete", details))
            case ResponseNeverDone():
                return leave_undone(moments)
        return moments

    def _moments_of(self, answer: Answer) -> list[Moment]:
        tokens = split_tokens(read_text(answer.clip))
        chunks = read_chunks(answer.clip, self._audio_format) if self._speaks else ()
        first_ms, chunk_ms = answer.first_delta_ms, CHUNK_MS / answer.speed
        end_ms = first_ms + max(len(tokens) * _TOKEN_MS, len(chunks) * chunk_ms)
        words = (partial(self._say, token) for token in tokens)
        audio = (partial(self._play, chunk) for chunk in chunks)
        return [
            Moment(0, "created", self._create),
            Moment(first_ms, "opened", self._open_item),
            *(Moment(first_ms + index * _TOKEN_MS, "words", say) for index, say in enumerate(words)),
            *(Moment(first_ms + index * chunk_ms, "audio", play) for index, play in enumerate(audio)),
            *self._moments_of_end(end_ms),
        ]

    def _moments_of_end(self, end_ms: float) -> list[Moment]:
        return [
            Moment(end_ms, "closed", partial(self._close_item, "completed")),
            Moment(end_ms, "done", partial(self._finish, "completed", None)),
            Moment(end_ms + _RATE_LIMITS_AFTER_MS, "limits", self._tell_limits),
        ]

    def _empty_item(self, item_id: str) -> Json:
        return {"id": item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}

    def _create(self) -> list[Event]:
        return [{"type": "response.created", "response": self._show("in_progress", None, usage=None)}]

    def _open_item(self) -> list[Event]:
        self._opened = True
        opening = [self._item_event("response.output_item.added")]
        if self._conversation is not None:
            self._previous_item_id = self._conversation.add(self._item)
            opening.append(self._conversation_event("conversation.item.added"))
        return [*opening, *self._open_part()]

    def _open_part(self) -> list[Event]:
        return [self._part_event("response.content_part.added", part=self._show_part())]

    def _say(self, token: str) -> list[Event]:
        self._said.append(token)
        kind = "output_audio_transcript" if self._speaks else "output_text"
        return [self._part_event(f"response.{kind}.delta", delta=token)]

    def _play(self, chunk: AudioChunk) -> list[Event]:
        self.spoke = True
        self._item.audio += chunk.audio
        return [self._part_event("response.output_audio.delta", delta=chunk.base64)]

    def _close_item(self, status: str) -> list[Event]:
        ends = self._close_parts(status)
        if self._conversation is not None:
            ends.append(self._conversation_event("conversation.item.done"))
        return [*ends, self._item_event("response.output_item.done")]

    def _close_parts(self, status: str) -> list[Event]:
        text = "".join(self._said)
        if self._speaks:
            content = {"type": "output_audio", "transcript": text}
            ends = [
                self._part_event("response.output_audio.done"),
                self._part_event("response.output_audio_transcript.done", transcript=text),
            ]
        else:
            content = {"type": "output_text", "text": text}
            ends = [self._part_event("response.output_text.done", text=text)]
        # A message that the client truncated meanwhile has lost its transcript for good.
        shown = self._item.content
        self._item.content = {**shown, "status": status, "content": shown["content"] or [content]}
        return [*ends, self._part_event("response.content_part.done", part=self._show_part())]

    def _end_early(self, status: str, details: Json, output_tokens: int | None = None) -> list[Event]:
        closing = self._close_item("incomplete") if self._opened else []
        return closing + self._finish(status, {"type": status, **details}, output_tokens)

    def _fail(self, failed: ResponseFailed) -> list[Event]:
        if failed.input_tokens is not None:
            self._heard = TokenCount(failed.input_tokens, 0)
        error = {"type": failed.type, "code": failed.code, "message": failed.message}
        return self._end_early("failed", {"error": error}, failed.output_tokens)

    def _finish(self, status: str, details: Json | None, output_tokens: int | None = None) -> list[Event]:
        self.active = False
        counted = count_output(len(self._said), self._item.audio_ms)
        self._said_count = counted if output_tokens is None else TokenCount(output_tokens, 0)
        usage = show_usage(self._heard, self._said_count)
        return [{"type": "response.done", "response": self._show(status, details, usage)}]

    def _tell_limits(self) -> list[Event]:
        self._budget.spend(self._heard.total + self._said_count.total, self._lived_ns)
        return [{"type": "rate_limits.updated", "rate_limits": [self._budget.show(self._lived_ns)]}]

    def _show(self, status: str, details: Json | None, usage: Json | None) -> Json:
        return {
            "object": "realtime.response",
            "id": self.response_id,
            "status": status,
            "status_details": details,
            "output": [self._item.content] if self._opened and not self.active else [],
            "conversation_id": self._conversation_id,
            "output_modalities": self._settings["output_modalities"],
            "max_output_tokens": self._settings["max_output_tokens"],
            "audio": self._settings["audio"],
            "usage": usage,
            "metadata": self._settings["metadata"],
        }

    def _show_part(self) -> Json:
        text = "".join(self._said)
        return {"type": "audio", "transcript": text} if self._speaks else {"type": "text", "text": text}

    def _part_event(self, event_type: str, **fields: Any) -> Event:
        return {
            "type": event_type,
            "response_id": self.response_id,
            "item_id": self._item.item_id,
            "output_index": 0,
            "content_index": 0,
            **fields,
        }

    def _item_event(self, event_type: str) -> Event:
        return {"type": event_type, "response_id": self.response_id, "output_index": 0, "item": self._item.content}

    def _conversation_event(self, event_type: str) -> Event:
        return {"type": event_type, "previous_item_id": self._previous_item_id, "item": self._item.content}
