from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyze.audio_health import AudioHealth, SentAudio, judge
from capture.append_pacing import AppendPacing
from capture.audio import PCM16_24K, AudioFormat, read_clip, resample
from capture.recording.audio_blocks import TrackWriter

ULAW = AudioFormat("audio/pcmu", 8000)
ALAW = AudioFormat("audio/pcma", 8000)
PCM16_16K = AudioFormat("audio/pcm", 16_000)
FORMATS = (PCM16_24K, PCM16_16K, ULAW, ALAW)
CLIPS = Path(__file__).parents[2] / "replay" / "simulator" / "clips"
CHUNK_MS = 20
Samples = NDArray[np.int16]


def speech(name: str = "question_weather") -> Samples:
    """Give a clip at 24 kHz."""
    return read_clip(CLIPS / f"{name}.flac")[0]


def encoded(samples: Samples, audio_format: AudioFormat) -> bytes:
    return audio_format.encode(resample(samples, 24_000, audio_format.rate))


def chunks_of(audio: bytes, audio_format: AudioFormat) -> list[tuple[float, bytes]]:
    """Cut audio as a live client does: 20 ms, every 20 ms."""
    size = int(audio_format.bytes_per_ms * CHUNK_MS)
    return [(CHUNK_MS * n, audio[at : at + size]) for n, at in enumerate(range(0, len(audio), size))]


def judged(chunks: list[tuple[float, bytes]], audio_format: AudioFormat) -> AudioHealth:
    """Measure less than 10 s of audio as sealing does, and judge it."""
    track, pacing = TrackWriter("client"), AppendPacing()
    for at_ms, chunk in chunks:
        pacing.observe(int(at_ms * 1e6), chunk, audio_format)
        assert track.feed(chunk, audio_format) == []
    row, *_ = track.finish()
    columns = {"duration_ms": track.played_ms, "looks_like": None, "bandwidth_hz": None, **row, **pacing.columns()}
    return judge([SentAudio.from_row(columns)])


def said(samples: Samples, audio_format: AudioFormat = PCM16_24K) -> AudioHealth:
    return judged(chunks_of(encoded(samples, audio_format), audio_format), audio_format)


def names(health: AudioHealth) -> list[str]:
    return [fact.name for fact in health.facts]


def amplified(samples: Samples, gain_db: float) -> Samples:
    amplified: Samples = np.clip(samples * 10 ** (gain_db / 20), -32768, 32767).astype(np.int16)
    return amplified


def with_noise(samples: Samples, dbfs: float, seed: int = 0) -> Samples:
    room = np.random.default_rng(seed).normal(0, 32768 * 10 ** (dbfs / 20), len(samples))
    return np.clip(samples + room, -32768, 32767).astype(np.int16)


def telephone(samples: Samples) -> Samples:
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hertz = np.fft.rfftfreq(len(samples), 1 / 24_000)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.clip(np.fft.irfft(spectrum, len(samples)), -32768, 32767).astype(np.int16)


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(["question_weather", "answer_paris"]),
    audio_format=st.sampled_from(FORMATS),
    gain_db=st.floats(-22, 8),
    snr_db=st.floats(10, 60),
    is_telephone=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_clean_speech_is_never_accused(
    name: str, audio_format: AudioFormat, gain_db: float, snr_db: float, is_telephone: bool, seed: int
) -> None:
    spoken = telephone(speech(name)) if is_telephone else speech(name)
    # The clips are at -27 dBFS.
    health = said(with_noise(amplified(spoken, gain_db), gain_db - 27 - snr_db, seed), audio_format)
    assert health.is_clean, health.sentence
    assert health.sentence.startswith("audio is clean")


def test_the_given_clips_are_clean(shared: Path) -> None:
    for name in ("hib_count_24k", "hib_weather_24k"):
        samples, _ = read_clip(shared / "audio" / f"{name}.wav")
        for audio_format in FORMATS:
            assert said(samples, audio_format).sentence == "audio is clean"


@pytest.mark.parametrize("audio_format", FORMATS)
def test_a_listener_who_says_nothing_is_no_fault(audio_format: AudioFormat) -> None:
    for room in (np.zeros(240_000 - 480, np.int16), with_noise(np.zeros(200_000, np.int16), -65)):
        health = said(room, audio_format)
        assert names(health) == ["no_speech"]
        assert not any(fact.severity == "fault" for fact in health.facts)
    assert said(np.zeros(239_520, np.int16)).sentence == "no speech in 10 s of audio (digital silence)"


def test_noise_that_comes_and_goes_is_no_quiet_speech() -> None:
    room = np.concatenate([np.zeros(48_000, np.int16), with_noise(np.zeros(48_000, np.int16), -70)])
    assert names(said(room)) == ["no_speech"]


def test_no_audio_is_neither_clean_nor_wrong() -> None:
    health = judge([])
    assert (health.sentence, health.is_clean, health.facts) == ("no audio was sent", False, ())


@settings(max_examples=30, deadline=None)
@given(audio_format=st.sampled_from(FORMATS), gain_db=st.floats(25, 45))
def test_clipped_speech_is_told_with_its_share(audio_format: AudioFormat, gain_db: float) -> None:
    health = said(amplified(speech(), gain_db), audio_format)
    assert names(health) == ["audio_clipped"]
    assert "sent audio is clipped: " in health.sentence
    assert "at full scale" in health.sentence
    assert not health.is_clean


@settings(max_examples=30, deadline=None)
# Still quieter, the steps of A-law leave nothing of it.
@given(audio_format=st.sampled_from(FORMATS), gain_db=st.floats(-36, -33))
def test_quiet_speech_is_told_with_its_level(audio_format: AudioFormat, gain_db: float) -> None:
    health = said(amplified(speech(), gain_db), audio_format)
    assert names(health) == ["audio_too_quiet"]
    assert health.sentence.startswith("very quiet: -")


@settings(max_examples=30, deadline=None)
@given(offset=st.floats(0.04, 0.3), is_negative=st.booleans())
def test_an_offset_is_told(offset: float, is_negative: bool) -> None:
    shift = np.int16(32768 * offset * (-1 if is_negative else 1))
    assert names(said(speech() + shift)) == ["dc_offset"]
    assert said(speech() + np.int16(0.12 * 32768)).sentence == "DC offset 0.12"


def test_telephone_audio_in_a_wide_format_is_worth_a_note() -> None:
    health = said(telephone(speech()))
    assert health.is_clean
    assert health.sentence == "audio is clean; sounds like 8 kHz audio sent as 24 kHz (nothing above 3.5 kHz)"
    assert said(telephone(speech()), ULAW).facts == ()


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_samples_of_a_lower_rate_are_told_by_their_pace(rate: int) -> None:
    spoken = np.concatenate([speech(), speech("answer_paris")])
    captured = AudioFormat("audio/pcm", rate)
    health = judged(chunks_of(encoded(spoken, captured), captured), PCM16_24K)
    assert names(health) == ["audio_wrong_rate"]
    assert f"sounds like {rate // 1000} kHz audio declared as 24 kHz" in health.sentence


@pytest.mark.parametrize("pace", [0.5, 0.64, 0.9, 1.02, 2, 3, 4])
def test_a_file_may_be_sent_at_any_pace(pace: float) -> None:
    spoken = np.concatenate([speech(), speech("answer_paris")])
    chunks = [(at_ms / pace, chunk) for at_ms, chunk in chunks_of(spoken.tobytes(), PCM16_24K)]
    health = judged(chunks, PCM16_24K)
    assert health.is_clean, health.sentence
    assert ("times as fast as it plays" in health.sentence) == (pace >= 2)


def test_swapped_and_shifted_bytes_are_told() -> None:
    swapped = speech().astype(">i2").tobytes()
    assert names(judged(chunks_of(swapped, PCM16_24K), PCM16_24K)) == ["audio_bytes_swapped"]
    shifted = b"\x01" + speech().tobytes()
    health = judged(chunks_of(shifted, PCM16_24K), PCM16_24K)
    assert (names(health), "shifted by one" in health.sentence) == (["audio_bytes_swapped"], True)


@pytest.mark.parametrize(
    ("sent", "declared", "words"),
    [
        (ULAW, PCM16_24K, "sounds like G.711 u-law declared as 16-bit PCM"),
        (ALAW, PCM16_24K, "sounds like G.711 A-law declared as 16-bit PCM"),
        (PCM16_24K, ULAW, "sounds like 16-bit PCM declared as G.711 u-law"),
        (ULAW, ALAW, "sounds like G.711 u-law declared as G.711 A-law"),
    ],
)
def test_another_format_is_told(sent: AudioFormat, declared: AudioFormat, words: str) -> None:
    audio = encoded(speech(), sent)[: int(9000 * declared.bytes_per_ms)]
    health = judged(chunks_of(audio, sent), declared)
    assert (names(health), health.sentence) == (["audio_wrong_format"], words)


def test_chunks_sent_twice_are_counted() -> None:
    chunks = chunks_of(speech().tobytes(), PCM16_24K)
    twice = [each for n, (_, chunk) in enumerate(chunks) for each in [chunk] * (2 if 20 <= n < 34 else 1)]
    health = judged([(CHUNK_MS * n, chunk) for n, chunk in enumerate(twice)], PCM16_24K)
    assert (names(health), health.sentence) == (["audio_chunks_duplicated"], "14 chunks were sent twice")


def test_a_tone_repeats_itself() -> None:
    tone = np.rint(np.sin(2 * np.pi * 450 * np.arange(48_000) / 24_000) * 9000).astype(np.int16)
    assert said(tone).is_clean


@settings(max_examples=30, deadline=None)
@given(every=st.integers(4, 12))
def test_missing_chunks_are_told_by_the_time_they_left(every: int) -> None:
    chunks = chunks_of(np.concatenate([speech(), speech("answer_paris")]).tobytes(), PCM16_24K)
    health = judged([chunk for n, chunk in enumerate(chunks) if n % every], PCM16_24K)
    assert names(health) == ["audio_chunks_missing"]
    assert "less audio than time while speaking" in health.sentence


def test_late_audio_that_came_is_worth_a_note() -> None:
    chunks = [(max(at_ms, 1100) if at_ms > 700 else at_ms, c) for at_ms, c in chunks_of(speech().tobytes(), PCM16_24K)]
    health = judged(chunks, PCM16_24K)
    assert names(health) == ["late_chunks"]
    assert health.is_clean


def test_a_word_is_too_little_to_call_clean() -> None:
    health = said(speech()[24_000:31_000])
    assert (health.is_clean, health.is_wrong, health.sentence) == (
        False,
        False,
        "0.3 s of audio are too little to judge",
    )


def test_a_recording_of_an_earlier_version_is_judged_by_what_it_has() -> None:
    old = SentAudio("audio/pcm", 24_000, 5000, rms_dbfs=-27, peak=0.3, clipped=0, dc_offset=0, speech_ms=3000)
    assert judge([old]).sentence.startswith("audio is clean as far as this recording measured it")
    clipped = SentAudio("audio/pcm", 24_000, 5000, rms_dbfs=-3, peak=1.0, clipped=20_000, dc_offset=0, speech_ms=3000)
    assert names(judge([clipped])) == ["audio_clipped"]


def test_that_of_which_there_is_most_speaks_for_the_session() -> None:
    short = SentAudio("audio/pcm", 24_000, 100, rms_dbfs=0, peak=1, clipped=2400, speech_ms=100, level_range_db=0)
    long = SentAudio("audio/pcmu", 8000, 9000, rms_dbfs=-27, peak=0.3, clipped=0, speech_ms=5000, level_range_db=30)
    assert judge([short, long]).sentence == "audio is clean"


def test_the_pace_of_a_session_cut_to_windows_is_that_of_all_that_was_sent() -> None:
    kept = SentAudio("audio/pcm", 24_000, 4000, -27, 0.3, 0, 0, 2000, 0, 30, pacing_ratio=0.999, audio_missing_ms=600)
    assert names(judge([kept])) == ["audio_chunks_missing"]
    assert judge([kept], whole_ms=3_600_000).sentence == "audio is clean where it was kept"
    lost_at_length = replace(kept, audio_missing_ms=90_000)
    assert names(judge([lost_at_length], whole_ms=3_600_000)) == ["audio_chunks_missing"]


def test_windows_without_speech_accuse_nobody() -> None:
    quiet = SentAudio("audio/pcm", 24_000, 2100, -96, 0.0, 0, 0, 0, 0, 0)
    assert judge([quiet]).is_wrong
    health = judge([quiet], whole_ms=44_700)
    assert (health.is_wrong, health.sentence) == (
        False,
        "audio is clean where it was kept; no speech in 2 s of audio (digital silence)",
    )
    assert judge([], whole_ms=44_700).sentence == "none of the sent audio was kept"
    assert judge([], whole_ms=0.0).sentence == "no audio was sent"
