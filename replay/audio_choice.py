"""Say which audio a replay sends: what was recorded, another clip, silence, or the recording with noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capture.errors import UsageProblem

AUDIO_AXIS = "audio"
"""The name under which the audio is varied and set, beside the paths of the configuration."""
RECORDED, SILENCE, NOISE = "recorded", "silence", "noise"
_LOUDEST_SNR_DB = 120


@dataclass(frozen=True, slots=True)
class AudioChoice:
    """What is sent in the place of the recorded audio."""

    kind: Literal["recorded", "silence", "noise", "clip"] = "recorded"
    snr_db: float = 0.0
    """For noise: recorded speech against it."""
    clip: Path | None = None

    def __str__(self) -> str:
        """Write the choice as it is given."""
        return f"{NOISE}:{self.snr_db:g}" if self.kind == "noise" else str(self.clip or self.kind)


def parse_audio(value: object) -> AudioChoice:
    """Read `recorded`, `silence`, `noise:SNR`, or a file; raises `UsageProblem` for what is none of them."""
    if value in (RECORDED, SILENCE):
        return AudioChoice("recorded" if value == RECORDED else "silence")
    if not isinstance(value, str) or not value.strip():
        raise UsageProblem(f"audio takes recorded, silence, noise:SNR or a file, not {value!r}")
    kind, _, ratio = value.partition(":")
    if kind != NOISE:
        return AudioChoice("clip", clip=Path(value).expanduser())
    try:
        snr_db = float(ratio)
    except ValueError:
        snr_db = math.nan
    if not abs(snr_db) <= _LOUDEST_SNR_DB:
        raise UsageProblem(f"noise takes a ratio to the recorded speech in dB, such as noise:20, not {value!r}")
    return AudioChoice("noise", snr_db=snr_db)


def audio_in_words(value: str) -> str:
    """Name a value of the audio axis in a sentence, such as `noise at 20 dB SNR`."""
    choice = parse_audio(value)
    if choice.clip is not None:
        return f"the clip {choice.clip.name}"
    words = {"recorded": "the recorded audio", "silence": "silence", "noise": f"noise at {choice.snr_db:g} dB SNR"}
    return words[choice.kind]
