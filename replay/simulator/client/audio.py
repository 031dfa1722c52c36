"""What a scripted client sends as audio: clips or parts of them, silence, noise; and how it spoils them."""

from __future__ import annotations

from collections.abc import Iterator

from capture.audio import PCM16_24K, AudioFormat, read_clip, resample
from replay.simulator.client.script import Step
from replay.simulator.clips import clip_path

CHUNK_MS = 40
"""Audio in one `input_audio_buffer.append`."""
_FULL_SCALE = 32768


def format_of(step: Step) -> AudioFormat:
    """Tell the format in which the audio of a step really is; 16-bit PCM at 24 kHz where nothing is said."""
    if step.format is not None:
        return AudioFormat(step.format, step.captured_rate or 8000)
    return AudioFormat("audio/pcm", step.captured_rate or PCM16_24K.rate)


def audio_of(step: Step, seed: int) -> bytes:
    """Give the audio of a step; noise comes from the seed."""
    if step.speak is not None:
        return _clip(step)
    if step.noise_dbfs is not None:
        return _noise(step.noise_dbfs, step.ms or 0, seed)
    return PCM16_24K.silence(step.silence_ms or 0)


def chunks_of(step: Step, seed: int) -> Iterator[tuple[float, bytes]]:
    """Cut the audio of a step as it is sent; with each chunk, when that is: milliseconds from the beginning."""
    audio, size = audio_of(step, seed), _bytes_of(CHUNK_MS, format_of(step))
    for number, start in enumerate(range(0, len(audio), size), 1):
        chunk, due_ms = audio[start : start + size], float((number - 1) * CHUNK_MS)
        if step.skip_every and number % step.skip_every == 0:
            continue
        yield due_ms, chunk
        if step.repeat_every and number % step.repeat_every == 0:
            yield due_ms, chunk


def _clip(step: Step) -> bytes:
    import numpy as np

    audio_format = format_of(step)
    samples, rate = read_clip(clip_path(step.speak or ""))
    samples = resample(samples, rate, audio_format.rate)
    if step.gain_db is not None:
        louder = samples * 10 ** (step.gain_db / 20)
        samples = np.rint(louder).clip(-_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    said = audio_format.encode(samples.byteswap() if step.swap_bytes else samples)
    start = _bytes_of(step.from_ms or 0, audio_format)
    return said[start:] if step.ms is None else said[start : start + _bytes_of(step.ms, audio_format)]


def _bytes_of(duration_ms: float, audio_format: AudioFormat) -> int:
    return int(audio_format.rate * duration_ms / 1000) * audio_format.bytes_per_sample


def _noise(level_dbfs: float, duration_ms: float, seed: int) -> bytes:
    import numpy as np

    count = int(PCM16_24K.rate * duration_ms / 1000)
    samples = np.random.default_rng(seed).standard_normal(count) * (_FULL_SCALE * 10 ** (level_dbfs / 20))
    return PCM16_24K.encode(np.rint(samples).clip(-_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16))
