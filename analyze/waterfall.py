"""The steps of a turn one after the other, from the end of speech to the end of the answer; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analyze.answers import Turn

END_OF_SPEECH = "end of speech"
_STEPS = (
    ("commit", "committed_ms"),
    ("first transcript", "first_transcript_ms"),
    ("first audio", "first_audio_ms"),
    ("done", "response_done_ms"),
)
"""Name for people, property of a turn."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a turn."""

    name: str
    """`end of speech`, `commit`, `first transcript`, `first audio` or `done`."""
    at_ms: float
    """On the session's clock."""
    since_speech_ms: float
    """Since the end of speech; below 0 where it came before: a text in pieces, an answer to a turn cut short."""
    since_last_ms: float
    """Since the step before it; 0 for the first."""


def steps_of(turn: Turn) -> list[Step]:
    """Give the steps of a turn in the order in which they came; none where nobody knows when speech ended."""
    end_ms = turn.end_of_speech_ms
    return [] if end_ms is None else list(_steps(turn, end_ms))


def _steps(turn: Turn, end_ms: float) -> Iterator[Step]:
    known = [(at_ms, name) for name, attribute in _STEPS if (at_ms := getattr(turn, attribute)) is not None]
    # The words of a caller who still speaks may come before all others.
    in_order = sorted([(end_ms, END_OF_SPEECH), *known], key=lambda step: step[0])
    last_ms = in_order[0][0]
    for at_ms, name in in_order:
        yield Step(name, at_ms, at_ms - end_ms, at_ms - last_ms)
        last_ms = at_ms
