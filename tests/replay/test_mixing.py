"""Samples of a stretch: conversions, noise, silence, clips, and that nothing clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from replay.audio_choice import AudioChoice
from replay.mixing import Stretch, find_speech, mix, speech_rms
from replay.spoken_turns import SpokenTurn

PCMU, PCMA = AudioFormat("audio/pcmu", 8000), AudioFormat("audio/pcma", 8000)
PCM_8K, PCM_16K = AudioFormat("audio/pcm", 8000), AudioFormat("audio/pcm", 16000)
RECORDED = AudioChoice()


def tone(
    rate: int, duration_s: float, level: float = 8000, hz: float = 440
) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.rint(level * np.sin(2 * np.pi * hz * np.arange(int(rate * duration_s)) / rate)).astype(np.int16)


def stretch_of(
    samples: np.ndarray[tuple[int], np.dtype[np.int16]], recorded: AudioFormat, wanted: AudioFormat, chunk_ms: int = 20
) -> Stretch:
    length = recorded.rate * chunk_ms // 1000
    borders = (*range(length, len(samples), length), len(samples))
    return Stretch(recorded, wanted, samples, borders)


@given(
    st.sampled_from([PCMU, PCMA, PCM_8K, PCM_16K, PCM16_24K]),
    st.sampled_from([PCMU, PCMA, PCM_8K, PCM_16K, PCM16_24K]),
    st.integers(5, 60),
    st.floats(100, 3000),
)
def test_nothing_clicks_where_two_appends_meet(
    recorded: AudioFormat, wanted: AudioFormat, chunk_ms: int, hz: float
) -> None:
    stretch = stretch_of(tone(recorded.rate, 0.5, hz=hz), recorded, wanted, chunk_ms)
    samples = mix(stretch, RECORDED, ()).samples.astype(int)
    steps = np.abs(np.diff(samples))
    borders = [end - 1 for end in stretch.ends[:-1]]
    inside = np.delete(steps, borders)
    # A tone sampled at borders may step a little more there than anywhere else; a click is many times as much.
    assert max(steps[borders], default=0) <= inside.max() * 1.05 + 2
    assert len(samples) == stretch.ends[-1] == round(len(stretch.samples) * wanted.rate / recorded.rate)


def test_a_tone_is_the_same_tone_at_another_rate() -> None:
    converted = mix(stretch_of(tone(8000, 1), PCM_8K, PCM16_24K), RECORDED, ()).samples
    expected = tone(24000, 1)
    inside = slice(2400, -2400)
    assert np.abs(converted[inside].astype(int) - expected[inside]).max() < 40


def test_white_noise_has_the_asked_ratio_to_the_speech_and_comes_from_the_seed() -> None:
    speech = np.concatenate([np.zeros(24000, np.int16), tone(24000, 1), np.zeros(24000, np.int16)])
    stretch = stretch_of(speech, PCM16_24K, PCM16_24K)
    turns = [SpokenTurn(900, 2100, 0)]
    choice = AudioChoice("noise", snr_db=20)
    noisy = mix(stretch, choice, turns, np.random.default_rng(7)).samples
    noise = noisy.astype(float) - speech
    assert 20 * np.log10(8000 / np.sqrt(2) / noise.std()) == pytest.approx(20, abs=0.2)
    assert np.array_equal(noisy, mix(stretch, choice, turns, np.random.default_rng(7)).samples)
    assert not np.array_equal(noisy, mix(stretch, choice, turns, np.random.default_rng(8)).samples)


def test_pauses_do_not_count_for_the_level_of_speech() -> None:
    speech = np.concatenate([tone(24000, 1), np.zeros(72000, np.int16)])
    assert speech_rms(speech, 24000) == pytest.approx(8000 / np.sqrt(2), rel=0.01)
    assert speech_rms(np.zeros(100, np.int16), 24000) == 0


def test_silence_is_digital_and_as_long() -> None:
    mixed = mix(stretch_of(tone(24000, 1), PCM16_24K, PCMU), AudioChoice("silence"), ())
    assert not mixed.samples.any()
    assert len(mixed.samples) == 8000


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(24000, 0.5, level=12000), 24000, subtype="PCM_16")
    return path


def test_a_clip_is_said_at_each_onset_with_silence_around_it(clip: Path) -> None:
    stretch = stretch_of(tone(24000, 4), PCM16_24K, PCM16_24K)
    mixed = mix(stretch, AudioChoice("clip", clip=clip), [SpokenTurn(500, 1500, 0), SpokenTurn(2000, 3900, 0)])
    said = tone(24000, 0.5, level=12000)
    assert mixed.clips == 2
    assert mixed.added == {}
    assert np.array_equal(mixed.samples[12000:24000], said)
    assert np.array_equal(mixed.samples[48000:60000], said)
    assert not mixed.samples[:12000].any()
    assert not mixed.samples[24000:48000].any()
    assert len(mixed.samples) == len(stretch.samples)


def test_a_clip_that_is_longer_than_its_turn_takes_more_appends(clip: Path) -> None:
    stretch = stretch_of(tone(24000, 1), PCM16_24K, PCM16_24K)
    mixed = mix(stretch, AudioChoice("clip", clip=clip), [SpokenTurn(100, 410, 0), SpokenTurn(600, 1000, 0)])
    # 190 ms more behind the append in which the first turn ends, 100 ms behind the last one.
    assert mixed.added == {20: [480] * 9 + [240], 49: [480] * 5}
    assert len(mixed.samples) == 24000 + 4560 + 2400
    second = 24 * (600 + 190)
    assert np.array_equal(mixed.samples[second : second + 12000], tone(24000, 0.5, level=12000))


def test_a_clip_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no audio file"):
        mix(stretch_of(tone(24000, 1), PCM16_24K, PCMU), AudioChoice("clip", clip=tmp_path / "gone.wav"), ())


def test_speech_that_nobody_heard_is_found_by_its_level() -> None:
    speech = np.concatenate([np.zeros(24000, np.int16), tone(24000, 1, level=90), np.zeros(24000, np.int16)])
    assert find_speech(stretch_of(speech, PCM16_24K, PCMU)) == SpokenTurn(1000, 2000, 0)
    assert find_speech(stretch_of(np.zeros(2400, np.int16), PCM16_24K, PCMU)) is None
