"""What a scripted client sends as audio: clips or parts of them, silence, noise."""

from __future__ import annotations

from collections.abc import Iterator

from capture.audio import PCM16_24K, clip_as
from replay.simulator.clips import clip_path
from replay.simulator.script import Step

CHUNK_MS = 40
"""Audio in one `input_audio_buffer.append`."""
_FULL_SCALE = 32768


def audio_of(step: Step, seed: int) -> bytes:
    """Give the audio of a step, 16-bit PCM at 24 kHz; noise comes from the seed."""
    if step.speak is not None:
        said = clip_as(clip_path(step.speak), PCM16_24K)
        start = _bytes_of(step.from_ms or 0)
        return said[start:] if step.ms is None else said[start : start + _bytes_of(step.ms)]
    if step.noise_dbfs is not None:
        return _noise(step.noise_dbfs, step.ms or 0, seed)
    return PCM16_24K.silence(step.silence_ms or 0)


def chunks_of(audio: bytes) -> Iterator[bytes]:
    """Cut audio as it is sent."""
    size = _bytes_of(CHUNK_MS)
    return (audio[start : start + size] for start in range(0, len(audio), size))


def _bytes_of(duration_ms: float) -> int:
    return int(PCM16_24K.rate * duration_ms / 1000) * PCM16_24K.bytes_per_sample


def _noise(level_dbfs: float, duration_ms: float, seed: int) -> bytes:
    import numpy as np

    count = int(PCM16_24K.rate * duration_ms / 1000)
    samples = np.random.default_rng(seed).standard_normal(count) * (_FULL_SCALE * 10 ** (level_dbfs / 20))
    return PCM16_24K.encode(np.rint(samples).clip(-_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16))
