"""Token counts as `response.done` tells them: estimates at the rates that real sessions show."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from replay.simulator.clips import split_tokens
from replay.simulator.session.conversation import Item, Json

_USER_AUDIO_TOKENS_PER_S = 10
_ASSISTANT_AUDIO_TOKENS_PER_S = 20


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens on one side of a response."""

    text: int
    audio: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.text + self.audio


def count_input(instructions: str, items: Iterable[Item]) -> TokenCount:
    """Count what the model reads: its instructions and the conversation so far."""
    text, audio = len(split_tokens(instructions)), 0
    for item in items:
        audio += _count_item_audio(item)
        text += sum(len(split_tokens(words)) for words in _item_texts(item.content))
    return TokenCount(text, audio)


def count_output(token_count: int, audio_ms: float) -> TokenCount:
    """Count what the model wrote and spoke."""
    return TokenCount(token_count, math.ceil(audio_ms / 1000 * _ASSISTANT_AUDIO_TOKENS_PER_S))


def show_usage(heard: TokenCount, said: TokenCount) -> Json:
    """Show the `usage` of a response."""
    none_cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": heard.total + said.total,
        "input_tokens": heard.total,
        "output_tokens": said.total,
        "input_token_details": {
            "text_tokens": heard.text,
            "audio_tokens": heard.audio,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": none_cached,
        },
        "output_token_details": {"text_tokens": said.text, "audio_tokens": said.audio},
    }


def _count_item_audio(item: Item) -> int:
    per_second = _ASSISTANT_AUDIO_TOKENS_PER_S if item.content.get("role") == "assistant" else _USER_AUDIO_TOKENS_PER_S
    return math.ceil(item.audio_ms / 1000 * per_second)


def _item_texts(content: Json) -> list[str]:
    parts = [part.get("text") for part in content.get("content", ())]
    whole = [content.get(name) for name in ("arguments", "output")]
    return [text for text in (*parts, *whole) if isinstance(text, str)]
