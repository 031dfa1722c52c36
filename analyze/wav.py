"""Write a recorded track as a WAV file: what plays anywhere."""

from __future__ import annotations

import wave
from pathlib import Path

from analyze.track_audio import track_samples
from capture.errors import UsageProblem
from capture.recording.reader import Recording


def write_track(recording: Recording, track: str, path: Path) -> float:
    """Write one track (`client`, `server` or `other`) as 16-bit PCM; give its length in milliseconds.

    Raises `UsageProblem` where the session has no such audio or the file cannot be written.
    """
    samples, rate = track_samples(recording, track)
    try:
        with path.open("wb") as stream, wave.open(stream, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(samples.astype("<i2").tobytes())
    except OSError as error:
        raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error
    return len(samples) * 1000 / rate
