"""Write a recorded track as a WAV file: what plays anywhere."""

from __future__ import annotations

import wave
from pathlib import Path

from analyze.track_audio import track_samples
from capture.errors import UsageProblem
from capture.private_files import replacing
from capture.recording.reader import Recording


def wav_paths(session_id: str, folder: Path) -> dict[str, Path]:
    """Name the file of each side's track."""
    # A foreign file may call a session by a path.
    name = session_id.replace("/", "_").replace("\0", "_")
    return {track: folder / f"{name}-{track}.wav" for track in ("client", "server")}


def write_track(recording: Recording, track: str, path: Path, *, overwrite: bool = False) -> float:
    """Write one track (`client`, `server` or `other`) as 16-bit PCM; give its length in milliseconds.

    Raises `UsageProblem` where the session has no such audio, for a file that is there already unless `overwrite`, and
    where the file cannot be written; it is then as it was before.
    """
    samples, rate = track_samples(recording, track)
    try:
        if path.exists() and not overwrite:
            raise UsageProblem(f"{path} exists already")
        if path.exists() and not path.is_file():
            # A folder or a device: the file would take its place.
            raise UsageProblem(f"{path} cannot be written: it is no regular file")
        # A caller's voice: nobody else's business, like the recordings.
        with replacing(path) as stream, wave.open(stream, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(samples.astype("<i2").tobytes())
    except OSError as error:
        raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error
    return len(samples) * 1000 / rate
