"""Audio as sessions carry it: formats, G.711, clips from files, resampling."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from capture.errors import UsageProblem

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

AudioType = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One mono format of a session's audio: 16-bit little-endian PCM, or G.711 u-law or A-law."""

    type: AudioType
    rate: int
    """Samples a second."""

    @property
    def bytes_per_sample(self) -> int:
        """2 for PCM, 1 for G.711."""
        return 2 if self.type == "audio/pcm" else 1

    @property
    def bytes_per_ms(self) -> float:
        """48 for PCM at 24 kHz, 8 for G.711 at 8 kHz."""
        return self.rate * self.bytes_per_sample / 1000

    def milliseconds(self, byte_count: int) -> float:
        """Tell how long so many bytes play."""
        return byte_count / self.bytes_per_ms

    def silence(self, duration_ms: float) -> bytes:
        """Make silence: whole samples, rounded down."""
        zero = {"audio/pcm": b"\x00\x00", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}[self.type]
        return zero * int(self.rate * duration_ms / 1000)

    def decode(self, encoded: bytes) -> NDArray[np.int16]:
        """Turn bytes into 16-bit samples; an odd last byte is left out."""
        import numpy as np

        if self.type == "audio/pcm":
            return np.frombuffer(encoded, dtype="<i2", count=len(encoded) // 2)
        g711 = _g711()
        expand = g711.ulaw2lin if self.type == "audio/pcmu" else g711.alaw2lin
        return np.frombuffer(expand(encoded, 2), dtype=np.int16)

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Turn 16-bit samples into bytes."""
        linear = samples.astype("<i2", copy=False).tobytes()
        if self.type == "audio/pcm":
            return linear
        g711 = _g711()
        compress = g711.lin2ulaw if self.type == "audio/pcmu" else g711.lin2alaw
        return cast("bytes", compress(linear, 2))


PCM16_24K = AudioFormat("audio/pcm", 24000)


@cache
def _g711() -> ModuleType:
    # Deprecated in the standard library since 3.11; from 3.13 on audioop-lts provides it (pyproject.toml).
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    return audioop


def read_clip(path: Path) -> tuple[NDArray[np.int16], int]:
    """Read a sound file (WAV, FLAC, OGG …) as mono 16-bit samples and its rate.

    Raises `UsageProblem` where the file is missing, is no audio, or is empty.
    """
    import soundfile

    if not path.is_file():
        raise UsageProblem(f"there is no audio file {path}: give a WAV, FLAC or OGG file")
    try:
        # As bytes: a name need not be UTF-8.
        frames, rate = soundfile.read(os.fsencode(path), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        said = getattr(error, "error_string", error)
        raise UsageProblem(f"{path} is no audio file that can be read ({said}): give WAV, FLAC or OGG") from error
    if not len(frames):
        raise UsageProblem(f"{path} holds no audio: give a clip with at least one sample")
    return _to_int16(frames.mean(axis=1)), int(rate)


def resample(samples: NDArray[np.int16], from_rate: int, to_rate: int) -> NDArray[np.int16]:
    """Convert samples to another rate (soxr, high quality)."""
    import soxr

    if from_rate == to_rate:
        return samples
    return cast("NDArray[np.int16]", soxr.resample(samples, from_rate, to_rate, quality="HQ"))


def clip_as(path: Path, audio_format: AudioFormat) -> bytes:
    """Read a sound file as the bytes of a session's format.

    Raises `UsageProblem` as `read_clip` does.
    """
    samples, rate = read_clip(path)
    return audio_format.encode(resample(samples, rate, audio_format.rate))


def _to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    import numpy as np

    # Float files may hold anything, NaN too: that is silence.
    scaled: NDArray[np.float32] = np.nan_to_num(np.rint(samples * 32768))
    return np.clip(scaled, -32768, 32767).astype(np.int16)
