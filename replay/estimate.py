"""Estimate what replays cost before they are made: sessions, minutes of audio, tokens; pure.

Tokens are taken from what the recorded responses used, where they told it: that counts the context that every
response reads again. Otherwise from the audio alone, at the rates by which OpenAI bills it: 1 token for 100 ms
sent, 1 for 50 ms answered; then the context is missing, and it is the least.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from capture.narration import counted
from replay.plan import Plan
from replay.source import Source

Basis = Literal["recording", "audio"]

ANSWER_S = 5
"""Rough time for the last answer of a trial."""
_MS_PER_INPUT_TOKEN, _MS_PER_OUTPUT_TOKEN = 100, 50
_BASIS_WORDS: dict[frozenset[Basis], str] = {
    frozenset({"recording"}): "as the recorded responses used",
    frozenset({"audio"}): "at least, by the audio: 1 for 100 ms sent, 1 for 50 ms answered",
    frozenset({"recording", "audio"}): "as recorded where the responses told it, else at least, by the audio",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a number of replays cost, about."""

    sessions: int = 0
    sent_ms: float = 0.0
    """Audio that the plans append; silence until a last turn is over, 10 s at most, comes on top."""
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    bases: frozenset[Basis] = frozenset()
    """Where the tokens come from."""
    lasts_s: float = 0.0
    """Time of the sessions one after another; not a number where nothing waits for the clock."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.sessions + other.sessions,
            self.sent_ms + other.sent_ms,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.bases | other.bases,
            self.lasts_s + other.lasts_s,
        )

    def times(self, count: int) -> Cost:
        """Give the cost of so many."""
        return Cost(
            self.sessions * count,
            self.sent_ms * count,
            self.input_tokens * count,
            self.output_tokens * count,
            self.bases,
            self.lasts_s * count,
        )

    def seconds_at(self, concurrency: int) -> float:
        """Tell about how many seconds they take, so many at a time."""
        return self.lasts_s / max(1, min(concurrency, self.sessions))

    def minutes_at(self, concurrency: int) -> float | None:
        """Give about how many minutes they take, so many at a time; None where nothing waits for the clock."""
        seconds = self.seconds_at(concurrency)
        return None if math.isnan(seconds) else round(seconds / 60, 2)

    def time_in_words(self, concurrency: int) -> str:
        """Say how long they take, so many at a time: `about 4 min in all`."""
        seconds = self.seconds_at(concurrency)
        return "as fast as it goes" if math.isnan(seconds) else f"about {say_duration(seconds)} in all"

    @property
    def sent_minutes(self) -> float:
        """Minutes of audio that are sent."""
        return self.sent_ms / 60_000

    @property
    def basis(self) -> str:
        """Say where the tokens come from."""
        return _BASIS_WORDS.get(self.bases, "")

    @property
    def in_words(self) -> str:
        """Say it in a line: `6 sessions, 0.3 minutes of audio, about 1,200 input and 300 output tokens (…)`."""
        tokens = f"about {self.input_tokens:,.0f} input and {self.output_tokens:,.0f} output tokens ({self.basis})"
        return f"{self.size_in_words}, {tokens}"

    @property
    def size_in_words(self) -> str:
        """Say how much it is, without the tokens: `6 sessions, 0.3 minutes of audio`."""
        return f"{counted(self.sessions, 'session')}, {round(self.sent_minutes, 2):,g} minutes of audio"

    def as_json(self) -> dict[str, Any]:
        """Give it as it is printed."""
        return {
            "sessions": self.sessions,
            "sent_minutes": round(self.sent_minutes, 3),
            "input_tokens": round(self.input_tokens),
            "output_tokens": round(self.output_tokens),
            "tokens_from": self.basis,
        }


def cost_of(source: Source, plan: Plan, *, speed: float = 1.0) -> Cost:
    """Estimate one replay of a recording with a plan made of it (a cell's, see `adaptation.adapt_for`)."""
    sent_ms = plan.audio_ms
    usage = source.usage
    # Without a clock the endpoint and the line set the pace.
    stays_ns = 0 if plan.late_failure is None else max(0, plan.late_failure.after_ns)
    lasts_s = math.nan if math.isinf(speed) else (plan.duration_ns + stays_ns) / 1e9 / speed + ANSWER_S
    if usage.input_tokens or usage.output_tokens:
        # A plan that was shortened, or that a clip made longer, uses as much more or less.
        share = sent_ms / usage.sent_ms if sent_ms and usage.sent_ms else 1.0
        used = (usage.input_tokens or 0) * share, (usage.output_tokens or 0) * share
        return Cost(1, sent_ms, *used, frozenset({"recording"}), lasts_s)
    spoken = sent_ms / _MS_PER_INPUT_TOKEN, usage.answered_ms / _MS_PER_OUTPUT_TOKEN
    return Cost(1, sent_ms, *spoken, frozenset({"audio"}), lasts_s)


def total(costs: Iterable[Cost]) -> Cost:
    """Add costs up."""
    return sum(costs, Cost())


def say_duration(seconds: float) -> str:
    """Say a time as people do: `1.5 s`, `4 min`, `8 h`."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.3g} h"
