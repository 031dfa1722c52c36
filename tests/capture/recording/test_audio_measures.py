from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.audio import PCM16_24K, AudioFormat, read_clip, resample
from capture.recording.audio_measures import SILENT_DBFS, measure

ULAW = AudioFormat("audio/pcmu", 8000)
ALAW = AudioFormat("audio/pcma", 8000)
PCM16_16K = AudioFormat("audio/pcm", 16_000)
FORMATS = (PCM16_24K, PCM16_16K, ULAW, ALAW)
CLIPS = Path(__file__).parents[3] / "replay" / "simulator" / "clips"
Samples = NDArray[np.int16]


def tone(seconds: float, *, level: float = 0.5, hertz: float = 440) -> Samples:
    at = np.arange(int(seconds * 24_000)) / 24_000
    return np.rint(np.sin(2 * np.pi * hertz * at) * level * 32767).astype(np.int16)


def noise(seconds: float, *, level: float = 0.5) -> Samples:
    return np.rint(np.random.default_rng(1).uniform(-1, 1, int(seconds * 24_000)) * level * 32767).astype(np.int16)


def speech(name: str = "question_weather") -> Samples:
    samples, rate = read_clip(CLIPS / f"{name}.flac")
    assert rate == 24_000
    return samples


def measured(samples: Samples) -> dict[str, Any]:
    return measure(samples.tobytes(), PCM16_24K)


def encoded(samples: Samples, audio_format: AudioFormat) -> bytes:
    return audio_format.encode(resample(samples, 24_000, audio_format.rate))


def test_levels_are_relative_to_full_scale() -> None:
    measures = measured(tone(1, level=1.0))
    assert measures["rms_dbfs"] == pytest.approx(-3.01, abs=0.01)
    assert measures["peak"] == pytest.approx(1.0, abs=0.001)
    assert measures["dc_offset"] == pytest.approx(0, abs=1e-3)
    assert measured(np.full(480, -32768, np.int16))["rms_dbfs"] == pytest.approx(0)
    assert measured(np.full(480, -32768, np.int16))["peak"] == 1.0


def test_digital_silence_has_a_level_to_compute_with() -> None:
    assert measured(np.zeros(480, np.int16))["rms_dbfs"] == SILENT_DBFS
    quietest = np.zeros(240_000, np.int16)
    quietest[0] = 1
    assert measured(quietest)["rms_dbfs"] > SILENT_DBFS


def test_no_whole_sample_has_no_measures() -> None:
    assert measure(b"", PCM16_24K) == measure(b"\x7f", PCM16_24K) == {}


def test_clipping_and_offset_are_counted() -> None:
    samples = np.clip(tone(1).astype(np.int32) * 4 + 1000, -32768, 32767).astype(np.int16)
    assert measured(samples)["clipped"] == int((np.abs(samples.astype(int)) >= 32767).sum()) > 0
    assert measured(np.full(480, 3277, np.int16))["dc_offset"] == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize("audio_format", FORMATS)
def test_clipping_shows_in_every_format(audio_format: AudioFormat) -> None:
    # G.711 ends below full scale.
    loud = np.clip(speech().astype(np.int32) * 30, -32768, 32767).astype(np.int16)
    assert measure(encoded(loud, audio_format), audio_format)["clipped"] > 100
    assert measure(encoded(speech(), audio_format), audio_format)["clipped"] == 0


def test_speech_stands_out_of_the_noise_and_silence_is_what_nobody_hears() -> None:
    talking = np.concatenate([noise(2, level=0.003), tone(1, level=0.2), np.zeros(24_000, np.int16)])
    assert measured(talking)["speech_ms"] == pytest.approx(1000, abs=20)
    assert measured(talking)["silence_ms"] == pytest.approx(1000, abs=20)


def test_a_short_tail_counts_by_its_length() -> None:
    assert measured(tone(0.03))["speech_ms"] == pytest.approx(30)
    assert measure(b"\xff" * 7, ULAW)["silence_ms"] == pytest.approx(7 / 8)


def test_speech_from_a_file_is_found(shared: Any) -> None:
    samples, rate = read_clip(shared / "audio" / "hib_count_24k.wav")
    length_ms = len(samples) / rate * 1000
    assert 0.5 * length_ms < measured(samples)["speech_ms"] < length_ms


def test_speech_is_lively_however_quiet_and_noise_is_steady() -> None:
    assert measured(speech())["level_range_db"] > 15
    assert measured((speech() * 0.01).astype(np.int16))["level_range_db"] > 15
    assert measured(noise(2, level=0.001))["level_range_db"] < 3
    assert measured(np.zeros(48_000, np.int16))["level_range_db"] == 0


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_the_band_of_a_lower_rate_shows(rate: int) -> None:
    upsampled = resample(resample(speech(), 24_000, rate), rate, 24_000)
    assert 0.8 * rate / 2 < measured(upsampled)["bandwidth_hz"] < 1.03 * rate / 2
    assert measured(speech())["bandwidth_hz"] > 10_000


def test_a_tone_has_its_own_band_whatever_it_is_offset_by() -> None:
    assert measured(tone(1, hertz=1000))["bandwidth_hz"] == pytest.approx(1000, abs=150)
    assert measured(speech() + np.int16(4000))["bandwidth_hz"] > 10_000


def test_too_little_speech_tells_neither_band_nor_bytes() -> None:
    for quiet in (np.zeros(48_000, np.int16), tone(0.1), noise(2, level=0.001)):
        assert not {"bandwidth_hz", "looks_like"} & measured(quiet).keys()


def swapped(samples: Samples) -> bytes:
    return samples.astype(">i2").tobytes()


def test_bytes_in_the_wrong_order_are_known_by_the_smooth_wave_they_should_be() -> None:
    for rate in (24_000, 16_000, 8000):
        samples = resample(speech(), 24_000, rate)
        assert measure(swapped(samples), AudioFormat("audio/pcm", rate))["looks_like"] == "swapped"
        assert measure(b"\x01" + samples.tobytes(), AudioFormat("audio/pcm", rate))["looks_like"] == "shifted"


@pytest.mark.parametrize("sent", [ULAW, ALAW, PCM16_24K, PCM16_16K])
@pytest.mark.parametrize("declared", [ULAW, ALAW, PCM16_24K, PCM16_16K])
def test_another_format_than_declared_is_named(sent: AudioFormat, declared: AudioFormat) -> None:
    if sent.type == declared.type:
        assert measure(encoded(speech(), sent), declared)["looks_like"] is None
    else:
        assert measure(encoded(speech(), sent), declared)["looks_like"] == sent.type


def telephone(samples: Samples) -> Samples:
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hertz = np.fft.rfftfreq(len(samples), 1 / 24_000)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.clip(np.fft.irfft(spectrum, len(samples)), -32768, 32767).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["question_weather", "answer_paris"]),
    audio_format=st.sampled_from(FORMATS),
    gain_db=st.floats(-40, 15),
    noise_dbfs=st.floats(-90, -20),
    is_telephone=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_speech_in_any_noise_and_at_any_level_is_never_taken_for_other_bytes(
    name: str, audio_format: AudioFormat, gain_db: float, noise_dbfs: float, is_telephone: bool, seed: int
) -> None:
    samples = telephone(speech(name)) if is_telephone else speech(name)
    room = np.random.default_rng(seed).normal(0, 32768 * 10 ** (noise_dbfs / 20), len(samples))
    heard = np.clip(samples * 10 ** (gain_db / 20) + room, -32768, 32767).astype(np.int16)
    assert measure(encoded(heard, audio_format), audio_format).get("looks_like") is None


@settings(max_examples=60, deadline=None)
@given(
    audio_format=st.sampled_from(FORMATS),
    level=st.floats(0.0001, 1),
    softness=st.floats(-0.95, 0.95),
    seed=st.integers(0, 1000),
)
def test_noise_of_any_colour_is_never_taken_for_other_bytes(
    audio_format: AudioFormat, level: float, softness: float, seed: int
) -> None:
    from scipy.signal import lfilter

    coloured = lfilter([1.0], [1.0, -softness], np.random.default_rng(seed).normal(0, 1, audio_format.rate))
    coloured *= level * 32767 / np.abs(coloured).max()
    block = audio_format.encode(coloured.astype(np.int16))
    assert measure(block, audio_format).get("looks_like") is None


@settings(max_examples=60, deadline=None)
@given(
    audio_format=st.sampled_from(FORMATS),
    level=st.floats(0.01, 1),
    share=st.floats(0.01, 0.98),
)
@example(audio_format=AudioFormat("audio/pcm", 24_000), level=1.0, share=0.6)
def test_tones_are_never_taken_for_other_bytes(audio_format: AudioFormat, level: float, share: float) -> None:
    at = np.arange(audio_format.rate)
    wave = np.sin(np.pi * share * at) * level * 32767
    block = audio_format.encode(wave.astype(np.int16))
    assert measure(block, audio_format).get("looks_like") is None
