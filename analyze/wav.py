"""Write a recorded track as a WAV file: what plays anywhere."""

from __future__ import annotations

import wave
from pathlib import Path

from capture.audio import resample
from capture.errors import UsageProblem
from capture.recording.reader import Recording


def write_track(recording: Recording, track: str, path: Path) -> float:
    """Write one track (`client`, `server` or `other`) as 16-bit PCM; give its length in milliseconds.

    Of a session that was not kept whole the spans are joined: an hour of silence in place of a hole helps nobody.
    Raises `UsageProblem` where the session has no such audio or the file cannot be written.
    """
    spans = recording.audio(track)
    if not spans:
        raise UsageProblem(f"session {recording.session_id} has no {track} audio")
    rate = spans[0][0].rate
    # A track that changes its format goes into one file at the rate it began with.
    parts = [resample(span.decode(encoded), span.rate, rate) for span, encoded in spans]
    pcm = b"".join(part.astype("<i2").tobytes() for part in parts)
    try:
        with path.open("wb") as stream, wave.open(stream, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(pcm)
    except OSError as error:
        raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error
    return len(pcm) / 2 * 1000 / rate
