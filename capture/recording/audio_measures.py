"""Measure a block of audio: how loud it is, how much of it is speech, whether the bytes are what they are called.

Measures only; what is good and what is bad is for readers to judge. Cheap enough for sealing: the level of every
20 ms frame, and a spectrum and a smoothness of a few frames of speech.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from capture.audio import AudioFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENT_DBFS = -150.0
"""Level of digital silence: lower than any other block of 16-bit samples (-144), and still a number."""

LooksLike = Literal["swapped", "shifted", "audio/pcm", "audio/pcmu", "audio/pcma"]

_FULL_SCALE = 32768
_LOUDEST = {"audio/pcm": 32767, "audio/pcmu": 32124, "audio/pcma": 32256}
"""Where a format's samples end: louder sound comes out as this."""
_FRAME_MS = 20
SILENCE_DBFS = -60.0
"""Below it a frame is silence."""
_UNHEARD_DBFS = -80.0
"""Below it levels are all the same: from nothing at all to a flicker of the last bit it is 60 dB."""
_SPEECH_MARGIN_DB = 10.0
_SPEECH_FLOOR_DBFS = (-50.0, -35.0)
_FEWEST_BYTE_VALUES = 32
"""Speech has most of the 256; with a few, as in a tone of ten samples, any reading may happen to be smooth."""
_LOOKED_AT = 48
"""Frames whose spectrum and smoothness are taken: one second of ten."""
_NEEDED = 10
"""Frames of speech below which neither tells anything."""
_EDGE_DB = -60.0
"""A band holds energy where it is not this far below the strongest one; a good resampler's stop band is at -100."""
_SMOOTH = 0.6
"""Smoothness of speech: 0.7 in the band of a telephone, 0.9 at 24 kHz."""
_NOISE = (-0.4, 0.55)
"""Smoothness of misread bytes; below it is a high tone."""
_MUCH_SMOOTHER = 0.5
_SMOOTHER = 0.7

Measures = dict[str, Any]
"""Columns of schema.AUDIO."""


def measure(block: bytes, audio_format: AudioFormat) -> Measures:
    """Measure a block; one without a whole sample has nothing to measure.

    Levels are relative to full scale (a square wave of 32768 is 0 dBFS). `bandwidth_hz` and `looks_like` are absent
    where too little of the block is speech, `looks_like` also where the bytes are best read as declared.
    """
    return measure_with_frames(block, audio_format)[0]


def measure_with_frames(block: bytes, audio_format: AudioFormat) -> tuple[Measures, NDArray[np.float64]]:
    """Measure a block; give the mean square of each of its 20 ms frames too, 1 being full scale."""
    samples = audio_format.decode(block)
    if not len(samples):
        return {}, np.empty(0)
    peak = max(-int(samples.min()), int(samples.max()))
    top = _LOUDEST[audio_format.type]
    scaled = samples.astype(np.float32)
    scaled /= _FULL_SCALE
    length = frame_length(audio_format.rate)
    frame_power, lengths = _frame_powers(scaled, length)
    levels = 10 * np.log10(np.maximum(frame_power, 1e-15))
    quiet, loud = np.percentile(levels, (10, 95))
    is_speech = levels >= _speech_bar(float(quiet))
    frame_ms = lengths * (1000 / audio_format.rate)
    measures: Measures = {
        "rms_dbfs": dbfs(float(np.dot(frame_power, lengths)) / len(samples)),
        "peak": peak / _FULL_SCALE,
        "clipped": int(((samples >= top) | (samples <= -top)).sum()) if peak >= top else 0,
        "dc_offset": float(scaled.mean()),
        "speech_ms": float(frame_ms[is_speech].sum()),
        "silence_ms": float(frame_ms[levels < SILENCE_DBFS].sum()),
        "level_range_db": float(max(loud, _UNHEARD_DBFS) - max(quiet, _UNHEARD_DBFS)),
    }
    frames = scaled[: len(scaled) // length * length].reshape(-1, length)
    spoken = np.flatnonzero(is_speech[: len(frames)])
    if len(spoken) >= _NEEDED:
        chosen = spoken[:: math.ceil(len(spoken) / _LOOKED_AT)]
        measures["bandwidth_hz"] = _bandwidth_hz(frames[chosen], audio_format.rate)
        measures["looks_like"] = _looks_like(block, audio_format, frames[chosen], chosen)
    return measures, frame_power


def frame_length(rate: int) -> int:
    """Tell how many samples a frame has."""
    return max(rate * _FRAME_MS // 1000, 1)


def _frame_powers(scaled: NDArray[np.float32], length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean square of each 20 ms frame, and its length in samples; the last frame may be shorter."""
    whole = len(scaled) // length
    frames = scaled[: whole * length].reshape(whole, length)
    powers = np.einsum("ij,ij->i", frames, frames).astype(np.float64) / length
    lengths = np.full(whole, float(length))
    rest = scaled[whole * length :]
    if len(rest):
        powers = np.append(powers, np.dot(rest, rest) / len(rest))
        lengths = np.append(lengths, float(len(rest)))
    return powers, lengths


def _speech_bar(quiet_dbfs: float) -> float:
    """Tell from which level on a frame is speech: 10 dB above the block's noise floor (its quietest tenth).

    The bar is never lower than -50 dBFS nor higher than -35 dBFS: a block full of speech has no quiet tenth. What lies
    between it and silence (-60 dBFS) is sound that is neither. Steady loud noise counts as speech.
    """
    # An energy rule, not a trained detector: one costs more than all the rest of sealing.
    return min(max(quiet_dbfs + _SPEECH_MARGIN_DB, _SPEECH_FLOOR_DBFS[0]), _SPEECH_FLOOR_DBFS[1])


def _bandwidth_hz(frames: NDArray[np.float32], rate: int) -> float:
    """Find the highest frequency that holds energy, to about 50 Hz."""
    spectrum = np.fft.rfft(frames * np.hanning(frames.shape[1]).astype(np.float32), axis=1)
    power = np.einsum("ij,ij->j", spectrum.real, spectrum.real) + np.einsum("ij,ij->j", spectrum.imag, spectrum.imag)
    # An offset is no sound.
    power[:2] = 0
    strong = np.flatnonzero(power >= power.max() * 10 ** (_EDGE_DB / 10))
    return float(strong[-1] * rate / frames.shape[1])


def _looks_like(
    block: bytes, audio_format: AudioFormat, frames: NDArray[np.float32], chosen: NDArray[np.intp]
) -> LooksLike | None:
    """Name the reading of the bytes that makes a smooth wave of them, where the declared one makes noise.

    Neighbouring samples of speech are alike, those of misread bytes are not. Noise is rough however it is read, and
    says nothing.
    """
    declared = _smoothness(frames)
    is_g711 = audio_format.type != "audio/pcm"
    is_noise = _NOISE[0] < declared < _NOISE[1]
    if not is_noise and not is_g711:
        return None
    frame_bytes = frames.shape[1] * audio_format.bytes_per_sample
    raw = np.frombuffer(block, np.uint8, len(block) // frame_bytes * frame_bytes).reshape(-1, frame_bytes)[chosen]
    if np.unique(raw).size < _FEWEST_BYTE_VALUES:
        return None
    best: LooksLike | None = None
    best_smoothness = _SMOOTH
    for name, samples in _other_readings(raw, audio_format):
        # The two laws of G.711 share signs and order: read by the other one, speech is distorted, but no noise.
        is_other_law = is_g711 and name != "audio/pcm"
        smoothness = _smoothness(samples)
        share = _SMOOTHER if is_other_law else _MUCH_SMOOTHER if is_noise else 0.0
        if smoothness >= best_smoothness and 1 - smoothness <= share * (1 - declared):
            best, best_smoothness = name, smoothness
    return best


def _other_readings(
    raw: NDArray[np.uint8], audio_format: AudioFormat
) -> Iterator[tuple[LooksLike, NDArray[np.float32]]]:
    """Decode rows of bytes as what they might be instead."""
    if audio_format.type == "audio/pcm":
        yield "swapped", _as_floats(raw.view(">i2"))
        # A stray byte before them: every sample is made of halves of two.
        yield "shifted", _as_floats(np.ascontiguousarray(raw[:, 1:-1]).view("<i2"))
    else:
        whole = raw.shape[1] // 2 * 2
        yield "audio/pcm", _as_floats(np.ascontiguousarray(raw[:, :whole]).view("<i2"))
    laws: tuple[Literal["audio/pcmu", "audio/pcma"], ...] = ("audio/pcmu", "audio/pcma")
    for law in laws:
        if law != audio_format.type:
            samples = AudioFormat(law, audio_format.rate).decode(raw.tobytes())
            yield law, _as_floats(samples.reshape(raw.shape))


def _as_floats(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(_FULL_SCALE)


def _smoothness(frames: NDArray[np.float32]) -> float:
    """Correlate neighbouring samples: 1 is a smooth wave, 0 is noise.

    The lower one of even and odd neighbours: a quiet 16-bit sample read as two of G.711 makes pairs that are alike.
    """
    centred = frames - frames.mean()
    power: float = float(np.einsum("ij,ij->", centred, centred)) / centred.size
    if power <= 0:
        return 1.0
    products = centred[:, 1:] * centred[:, :-1]
    alike: float = min(float(products[:, ::2].mean()), float(products[:, 1::2].mean()))
    return alike / power


def dbfs(power: float) -> float:
    """Give the level of a mean square, 1 being full scale."""
    return max(10 * math.log10(power), SILENT_DBFS) if power > 0 else SILENT_DBFS
