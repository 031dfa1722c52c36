"""Transcribe a user's turn: deltas and completed, or failed; beside the response, not in step with it."""

from __future__ import annotations

import math

from replay.simulator.clips import split_tokens
from replay.simulator.faults.effects import TranscriptionEffect, TranscriptionFailed, TranscriptionRepeated
from replay.simulator.session.conversation import Item, Json
from replay.simulator.session.runs import Event, Run

_TOKEN_MS = 15
_COMPLETED_AFTER_MS = 150
_REPEATED_AFTER_MS = 100
_INPUT_TOKENS_PER_S = 10
_BY_DURATION = ("whisper-1", "gpt-realtime-whisper")
"""Models that bill by the second and tell so in `usage`; all others bill tokens."""


class TranscriptionRun(Run):
    """One turn's transcription. The simulator does not listen: the text is the scenario's."""

    def __init__(
        self,
        item: Item,
        model: str,
        text: str,
        *,
        started_ns: int,
        delay_ms: float,
        spoilt: TranscriptionEffect | None = None,
    ) -> None:
        super().__init__(started_ns)
        self._item = item
        self._model = model
        self._text = text
        if isinstance(spoilt, TranscriptionFailed):
            self._plan([(delay_ms, lambda: [self._fail(spoilt)])])
            return
        # whisper-1 does not stream: its one delta is the whole turn.
        tokens = (text,) if model == "whisper-1" else split_tokens(text)
        deltas = [(delay_ms + index * _TOKEN_MS, self._say(token)) for index, token in enumerate(tokens)]
        end_ms = delay_ms + len(tokens) * _TOKEN_MS + _COMPLETED_AFTER_MS
        times = spoilt.times if isinstance(spoilt, TranscriptionRepeated) else 1
        ends = ((end_ms + index * _REPEATED_AFTER_MS, self._complete) for index in range(times))
        self._plan([*((at, lambda event=event: [event]) for at, event in deltas), *ends])

    def _event(self, outcome: str, **fields: object) -> Event:
        return {
            "type": f"conversation.item.input_audio_transcription.{outcome}",
            "item_id": self._item.item_id,
            "content_index": 0,
            **fields,
        }

    def _say(self, token: str) -> Event:
        return self._event("delta", delta=token)

    def _complete(self) -> list[Event]:
        self._item.content = {**self._item.content, "content": [{"type": "input_audio", "transcript": self._text}]}
        return [self._event("completed", transcript=self._text, usage=self._usage())]

    def _fail(self, failure: TranscriptionFailed) -> Event:
        error = {
            "type": failure.type,
            "code": failure.code,
            "message": failure.message.replace("{item_id}", self._item.item_id),
            "param": failure.param,
        }
        return self._event("failed", error=error)

    def _usage(self) -> Json:
        seconds = self._item.audio_ms / 1000
        if self._model in _BY_DURATION:
            return {"type": "duration", "seconds": math.ceil(seconds)}
        heard, said = math.ceil(seconds * _INPUT_TOKENS_PER_S), len(split_tokens(self._text))
        return {
            "type": "tokens",
            "total_tokens": heard + said,
            "input_tokens": heard,
            "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
            "output_tokens": said,
        }
