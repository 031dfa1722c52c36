"""Mix the samples that a stretch of appends is to carry: as recorded, silence, with noise, or a clip; pure.

All of a stretch is mixed and brought to its rate in one piece, so that nothing clicks where two appends meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np

from capture.audio import AudioFormat, read_clip, resample
from replay.audio_choice import AudioChoice
from replay.spoken_turns import SpokenTurn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

_FRAME_MS = 20
_SPEECH_RANGE_DB = 25
"""Frames that are not further below the loudest one are speech."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Audio of consecutive appends of one format that are to have one format."""

    recorded: AudioFormat
    wanted: AudioFormat
    samples: Samples
    """As recorded."""
    borders: tuple[int, ...]
    """Where each append's samples end."""
    from_ms: float = 0.0
    """Where the stretch lies in the recorded audio."""

    @property
    def ends(self) -> list[int]:
        """Where each append's samples end at the wanted rate."""
        return [round(border * self.wanted.rate / self.recorded.rate) for border in self.borders]

    def convert(self, samples: Samples) -> Samples:
        """Bring samples to the wanted rate, exactly as many as the appends take."""
        length = self.ends[-1]
        converted = resample(samples, self.recorded.rate, self.wanted.rate)[:length]
        return np.pad(converted, (0, length - len(converted)))

    def span(self, turn: SpokenTurn, rate: int) -> tuple[int, int]:
        """Give where a turn begins and ends within the stretch, in samples at a rate."""
        last = round(len(self.samples) * rate / self.recorded.rate)
        start, end = (round((at_ms - self.from_ms) * rate / 1000) for at_ms in (turn.start_ms, turn.end_ms))
        return min(max(start, 0), last), min(max(end, 0), last)


@dataclass(frozen=True, slots=True)
class Mixed:
    """What a stretch carries now."""

    samples: Samples
    """At the wanted rate, with those of added appends where they belong."""
    added: dict[int, list[int]] = field(default_factory=dict)
    """By the append after which they come, the lengths of added ones."""
    clips: int = 0
    """How often the clip is said."""


def mix(
    stretch: Stretch, choice: AudioChoice, turns: Sequence[SpokenTurn], random: np.random.Generator | None = None
) -> Mixed:
    """Mix the chosen audio; `turns` are where the caller spoke, `random` makes the noise.

    Raises `UsageProblem` for a clip that cannot be read.
    """
    if choice.kind == "silence":
        return Mixed(np.zeros(stretch.ends[-1], dtype=np.int16))
    if choice.kind == "noise":
        return Mixed(stretch.convert(_add_noise(stretch, choice.snr_db, turns, random or np.random.default_rng(0))))
    if choice.clip is not None:
        samples, rate = read_clip(choice.clip)
        return _say(stretch, resample(samples, rate, stretch.wanted.rate), turns)
    return Mixed(stretch.convert(stretch.samples))


def speech_rms(samples: Samples, rate: int) -> float:
    """Measure how loud speech is, pauses left out: the root mean square of its frames."""
    power, is_speech = _frame_power(samples, rate)
    return float(np.sqrt(power[is_speech].mean())) if is_speech.any() else 0.0


def find_speech(stretch: Stretch) -> SpokenTurn | None:
    """Give the recorded speech as one turn, for a recording in which no turn was heard; None in digital silence."""
    _, is_speech = _frame_power(stretch.samples, stretch.recorded.rate)
    loud = np.flatnonzero(is_speech)
    if not len(loud):
        return None
    first_ms, last_ms = float(loud[0] * _FRAME_MS), float((loud[-1] + 1) * _FRAME_MS)
    return SpokenTurn(stretch.from_ms + first_ms, stretch.from_ms + last_ms, 0)


def _frame_power(samples: Samples, rate: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give the power of each frame, and whether it is loud enough for speech."""
    length = max(1, rate * _FRAME_MS // 1000)
    padded = np.pad(samples, (0, -len(samples) % length)).astype(np.float64)
    power: NDArray[np.float64] = np.square(padded).reshape(-1, length).mean(axis=1)
    loudest = float(power.max(initial=0.0))
    return power, (power > 0) & (power >= loudest / 10 ** (_SPEECH_RANGE_DB / 10))


def _add_noise(stretch: Stretch, snr_db: float, turns: Sequence[SpokenTurn], random: np.random.Generator) -> Samples:
    spans = [stretch.span(turn, stretch.recorded.rate) for turn in turns]
    heard = [stretch.samples[start:end] for start, end in spans if end > start]
    level = speech_rms(np.concatenate(heard) if heard else stretch.samples, stretch.recorded.rate)
    noise = random.standard_normal(len(stretch.samples)) * (level / 10 ** (snr_db / 20))
    return np.clip(np.rint(stretch.samples + noise), -32768, 32767).astype(np.int16)


def _say(stretch: Stretch, clip: Samples, turns: Sequence[SpokenTurn]) -> Mixed:
    """Say the clip at the onset of each turn; a turn that it does not fit into takes more appends."""
    ends = stretch.ends
    length = median_low([stop - start for start, stop in pairwise([0, *ends])]) or len(clip)
    starts: list[int] = []
    added: dict[int, list[int]] = {}
    free_from = longer_by = 0
    for turn in turns:
        start, end = stretch.span(turn, stretch.wanted.rate)
        start = max(start, free_from)
        if start >= ends[-1]:
            continue
        starts.append(start + longer_by)
        # Turns that overlap, which only an endpoint that miscounts tells of, are said one after the other.
        free_from = end = max(start, end)
        longer = len(clip) - (end - start)
        if longer > 0:
            append = next(at for at, border in enumerate(ends) if border >= end)
            whole, rest = divmod(longer, length)
            added.setdefault(append, []).extend([length] * whole + [rest] * (rest > 0))
            longer_by += longer
            free_from = ends[append]
    samples = np.zeros(ends[-1] + longer_by, dtype=np.int16)
    for start in starts:
        samples[start : start + len(clip)] = clip
    return Mixed(samples, added, len(starts))
