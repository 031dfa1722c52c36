"""Audio as sessions carry it, and clips from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.audio import PCM16_24K, AudioFormat, AudioType, clip_as, read_clip, resample
from capture.errors import UsageProblem

PCMU = AudioFormat("audio/pcmu", 8000)
PCMA = AudioFormat("audio/pcma", 8000)
ALL_CODES = bytes(range(256))

sample_lists = st.lists(st.integers(-32768, 32767), max_size=50)


def tone(rate: int, duration_s: float = 0.5, *, hertz: float = 440.0, level: float = 0.5) -> NDArray[np.int16]:
    time = np.arange(round(rate * duration_s)) / rate
    return np.asarray(level * 32767 * np.sin(2 * np.pi * hertz * time), dtype=np.int16)


def loudest_hertz(samples: NDArray[np.int16], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * rate / len(samples))


# Formats


@pytest.mark.parametrize(
    ("audio_format", "bytes_per_ms", "silence"),
    [
        (PCM16_24K, 48, b"\x00\x00"),
        (AudioFormat("audio/pcm", 16000), 32, b"\x00\x00"),
        (PCMU, 8, b"\xff"),
        (PCMA, 8, b"\xd5"),
    ],
)
def test_how_long_bytes_play_and_what_silence_is(
    audio_format: AudioFormat, bytes_per_ms: float, silence: bytes
) -> None:
    assert audio_format.bytes_per_ms == bytes_per_ms
    assert audio_format.milliseconds(int(bytes_per_ms) * 20) == 20
    assert audio_format.milliseconds(0) == 0
    assert audio_format.silence(20) == silence * (int(bytes_per_ms) * 20 // len(silence))
    assert np.abs(audio_format.decode(audio_format.silence(5))).max() <= 8
    assert audio_format.silence(0) == b""


@given(sample_lists)
def test_pcm_comes_back_as_it_went(samples: list[int]) -> None:
    array = np.array(samples, dtype=np.int16)
    assert PCM16_24K.encode(array) == b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    assert PCM16_24K.decode(PCM16_24K.encode(array)).tolist() == samples


def test_an_odd_last_byte_is_left_out() -> None:
    assert PCM16_24K.decode(b"\x01\x00\x02").tolist() == [1]
    assert PCM16_24K.decode(b"\x02").tolist() == []
    assert PCM16_24K.decode(b"").tolist() == []


def expand_u_law(code: int) -> int:
    """ITU-T G.711, u-law to 16-bit linear."""
    inverted = ~code & 0xFF
    magnitude = ((((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)) - 0x84
    return -magnitude if inverted & 0x80 else magnitude


def expand_a_law(code: int) -> int:
    """ITU-T G.711, A-law to 16-bit linear."""
    toggled = code ^ 0x55
    segment = (toggled & 0x70) >> 4
    magnitude = ((toggled & 0x0F) << 4) + (8 if segment == 0 else 0x108)
    magnitude <<= max(segment - 1, 0)
    return magnitude if toggled & 0x80 else -magnitude


def test_every_g711_code_expands_as_the_standard_says() -> None:
    assert PCMU.decode(ALL_CODES).tolist() == [expand_u_law(code) for code in range(256)]
    assert PCMA.decode(ALL_CODES).tolist() == [expand_a_law(code) for code in range(256)]


def test_g711_reference_values() -> None:
    extremes = np.array([0, 32767, -32768], dtype=np.int16)
    assert PCMU.encode(extremes) == b"\xff\x80\x00"
    assert PCMA.encode(extremes) == b"\xd5\xaa\x2a"


def test_g711_codes_come_back_but_for_the_second_zero_of_u_law() -> None:
    assert PCMA.encode(PCMA.decode(ALL_CODES)) == ALL_CODES
    assert PCMU.encode(PCMU.decode(ALL_CODES)) == ALL_CODES.replace(b"\x7f", b"\xff")


@given(sample_lists, st.sampled_from([PCMU, PCMA]))
def test_g711_stays_within_its_steps(samples: list[int], audio_format: AudioFormat) -> None:
    array = np.array(samples, dtype=np.int16)
    encoded = audio_format.encode(array)
    assert len(encoded) == len(samples)
    error = np.abs(audio_format.decode(encoded).astype(int) - array.astype(int))
    # A step is about 1/16 of the value; u-law clips at 32635.
    assert (error <= np.abs(array.astype(int)) / 16 + 16).all()


@pytest.mark.parametrize("audio_type", get_args(AudioType))
def test_a_slice_of_another_array_can_be_encoded(audio_type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]) -> None:
    audio_format = AudioFormat(audio_type, 8000)
    samples = np.arange(100, dtype=np.int16)
    assert audio_format.encode(samples[::2]) == audio_format.encode(np.array(range(0, 100, 2), dtype=np.int16))


# Clips


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_clip_of_any_kind_becomes_the_sessions_format(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.column_stack([tone(rate)] * channels), rate)
    samples, found_rate = read_clip(path)
    assert found_rate == rate
    assert samples.dtype == np.int16
    assert samples.shape == (rate // 2,)
    if suffix != "ogg":
        assert samples.tolist() == tone(rate).tolist()

    clip = PCM16_24K.decode(clip_as(path, PCM16_24K))
    assert abs(len(clip) - 12000) <= 1
    assert loudest_hertz(clip, 24000) == pytest.approx(440, abs=3)
    # Vorbis is lossy; the others and the resampler keep the level.
    assert np.abs(clip).max() == pytest.approx(16383, rel=0.2 if suffix == "ogg" else 0.02)


def test_a_clip_may_have_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    with path.open("wb") as file:
        soundfile.write(file, tone(8000), 8000, format="WAV")
    samples, rate = read_clip(path)
    assert (len(samples), rate) == (4000, 8000)
    path.write_bytes(b"no sound")
    with pytest.raises(UsageProblem, match=r"is no audio file that can be read \(Format not recognised"):
        read_clip(path)


def test_stereo_is_mixed_down(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    left, right = np.full(100, 1000, dtype=np.int16), np.full(100, -3000, dtype=np.int16)
    soundfile.write(path, np.column_stack([left, right]), 16000)
    assert set(read_clip(path)[0].tolist()) == {-1000}


def test_float_files_are_clipped_and_what_is_no_number_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "float.wav"
    soundfile.write(path, np.array([2.0, -2.0, 0.5, np.nan, np.inf]), 16000, subtype="FLOAT")
    assert read_clip(path)[0].tolist() == [32767, -32768, 16384, 0, 32767]


def test_a_clip_becomes_telephone_audio(tmp_path: Path) -> None:
    path = tmp_path / "tone.flac"
    soundfile.write(path, tone(48000), 48000)
    clip = clip_as(path, PCMU)
    assert len(clip) == 4000
    assert loudest_hertz(PCMU.decode(clip), 8000) == pytest.approx(440, abs=3)


def test_an_empty_file_of_a_known_kind_holds_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.array([], dtype=np.int16), 16000)
    with pytest.raises(UsageProblem, match=r"empty\.wav holds no audio"):
        read_clip(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"This is no audio."),
        ("nothing.wav", b""),
        ("torn.flac", b"fLaC\x00\x00"),
        ("samples.raw", b"\x00\x01" * 100),
        ("page.wav", b"<html>404 Not Found</html>"),
    ],
)
def test_a_file_that_is_no_audio_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageProblem, match=rf"{name} is no audio file that can be read .*: give WAV, FLAC or OGG"):
        clip_as(path, PCM16_24K)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"there is no audio file .*missing\.wav"):
        read_clip(tmp_path / "missing.wav")
    with pytest.raises(UsageProblem, match="there is no audio file"):
        read_clip(tmp_path)


def test_resampling_keeps_time_and_pitch_and_does_nothing_where_rates_agree() -> None:
    samples = tone(48000)
    assert resample(samples, 48000, 48000) is samples
    assert loudest_hertz(resample(samples, 48000, 8000), 8000) == pytest.approx(440, abs=3)
    assert len(resample(samples[:0], 48000, 8000)) == 0


def test_the_question_of_the_demo_is_a_clip(question_clip: Path) -> None:
    assert len(clip_as(question_clip, PCM16_24K)) > PCM16_24K.bytes_per_ms * 500
