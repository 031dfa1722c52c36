"""Find where the caller began to speak, to write, or cut in, and tie it to the answer they had heard; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from capture.audio import PCM16_24K, AudioFormat
from capture.recording.audio_measures import dbfs
from replay.anchors import Answers, find_anchors
from replay.plan import Step
from replay.spoken_turns import SpokenTurn, SpokenTurns

Json = dict[str, Any]

_SPEECH_RANGE_DB = 25.0
"""Appends that are not further below the loudest one of their turn hold speech."""
_BEFORE_SPEECH_MS = 300.0
"""So much before speech belongs to it: endpoints put it before the turn (protocol section 4)."""


@dataclass
class Heard:
    """What a planner noted besides its steps."""

    answers: Answers = field(default_factory=Answers)
    acts: list[int] = field(default_factory=list)
    """Steps by which the client wrote something, or cut an answer off."""
    commits_ns: list[int] = field(default_factory=list)
    """When spoken turns were committed."""

    def observe(self, at_ns: int, sender: str, event: Json, output_format: AudioFormat) -> None:
        """Take one message in; audio deltas go to `answers` directly."""
        self.answers.observe(at_ns, sender, event, output_format)
        if sender == "server" and event.get("type") == "input_audio_buffer.committed":
            self.commits_ns.append(at_ns)


def anchor_steps(
    steps: Sequence[Step], turns: Sequence[SpokenTurn], spoken: SpokenTurns, heard: Heard, zero_ns: int
) -> tuple[Step, ...]:
    """Mark the steps at which an onset is tied to an answer, and the appends between two turns.

    The times of `heard` are those of the recording; the steps' clock began at `zero_ns`.
    """
    marked = list(steps)
    begins = set(heard.acts)
    free_from = 0
    for turn in turns if spoken.appends else ():
        onset = _onset(steps, turn, spoken)
        for place in range(free_from, onset):
            at = spoken.appends[place]
            marked[at] = replace(marked[at], is_pause=True)
        begins.add(spoken.appends[onset])
        free_from = max(free_from, spoken.append_at(turn.end_ms - 1e-6) + 1)
    timed = [(step, at_ns) for step in sorted(begins) if (at_ns := steps[step].not_before_ns) is not None]
    onsets = [
        (at_ns + zero_ns, sum(commit_ns <= at_ns + zero_ns for commit_ns in heard.commits_ns)) for _, at_ns in timed
    ]
    for (step, _), anchor in zip(timed, find_anchors(onsets, heard.answers), strict=True):
        marked[step] = replace(marked[step], anchor=anchor)
    return tuple(marked)


def _onset(steps: Sequence[Step], turn: SpokenTurn, spoken: SpokenTurns) -> int:
    """Give the place among the appends at which a turn begins."""
    first = spoken.append_at(turn.start_ms)
    if turn.is_heard:
        return first
    # Without a VAD it is everything since the commit before, also what was not said.
    last = max(first + 1, spoken.append_at(turn.end_ms - 1e-6) + 1)
    appends = [steps[at] for at in spoken.appends[first:last]]
    levels = list(_levels(appends))
    loudest = max(levels)
    loud = next((at for at, level in enumerate(levels) if level >= loudest - _SPEECH_RANGE_DB), 0)
    before_ms = 0.0
    while loud > 0 and before_ms < _BEFORE_SPEECH_MS:
        loud -= 1
        before_ms += _length_ms(appends[loud])
    return first + loud


def _levels(appends: Sequence[Step]) -> Iterator[float]:
    for step in appends:
        samples = (step.audio_format or PCM16_24K).decode(step.audio).astype("f8")
        yield dbfs(float((samples**2).mean()) / 32768**2 if len(samples) else 0.0)


def _length_ms(step: Step) -> float:
    return (step.audio_format or PCM16_24K).milliseconds(len(step.audio))
