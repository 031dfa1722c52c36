import numpy as np
import pytest

from capture.audio import PCM16_24K, AudioFormat, clip_as, read_clip
from replay.simulator.clips import clip_path
from replay.simulator.session.vad import FRAME_MS, SpeechStarted, SpeechStopped, VadSettings, VoiceActivity

SETTINGS = VadSettings(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=480)
LEAD_MS = 1000
FORMATS = [PCM16_24K, AudioFormat("audio/pcmu", 8000), AudioFormat("audio/pcma", 8000)]


def speech_bounds_ms() -> tuple[int, int]:
    """First and last millisecond of the question that are louder than the default threshold."""
    samples, rate = read_clip(clip_path("question_weather"))
    per_ms = np.square(samples.astype(np.float64) / 32768)[: len(samples) // (rate // 1000) * (rate // 1000)]
    level_dbfs = 10 * np.log10(np.maximum(per_ms.reshape(-1, rate // 1000).mean(axis=1), 1e-12))
    loud = np.flatnonzero(level_dbfs > -50)
    return int(loud[0]), int(loud[-1])


def question(audio_format: AudioFormat) -> bytes:
    return (
        audio_format.silence(LEAD_MS)
        + clip_as(clip_path("question_weather"), audio_format)
        + audio_format.silence(1000)
    )


def listen(
    audio: bytes, settings: VadSettings, audio_format: AudioFormat = PCM16_24K, *, chunk_bytes: int = 960
) -> list[SpeechStarted | SpeechStopped]:
    activity = VoiceActivity(settings, audio_format, 0)
    changes = []
    for start in range(0, len(audio), chunk_bytes):
        changes += activity.feed(audio[start : start + chunk_bytes])
    return changes


@pytest.mark.parametrize("audio_format", FORMATS, ids=lambda audio_format: audio_format.type)
def test_finds_the_question_within_a_frame(audio_format: AudioFormat) -> None:
    first_ms, last_ms = speech_bounds_ms()

    started, stopped = listen(question(audio_format), SETTINGS, audio_format)

    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert abs(started.audio_start_ms - (LEAD_MS + first_ms - SETTINGS.prefix_padding_ms)) <= FRAME_MS
    # Soft ends count as speech, so the end may come a little later than the last loud millisecond says.
    silence_from_ms = stopped.audio_end_ms - SETTINGS.silence_duration_ms
    assert -FRAME_MS <= silence_from_ms - (LEAD_MS + last_ms) <= 2 * FRAME_MS


@pytest.mark.parametrize("chunk_bytes", [1, 959, 4800, 1_000_000])
def test_chunks_of_any_size_give_the_same_bounds(chunk_bytes: int) -> None:
    audio = question(PCM16_24K)[: 48 * 3000] if chunk_bytes == 1 else question(PCM16_24K)

    assert listen(audio, SETTINGS, chunk_bytes=chunk_bytes) == listen(audio, SETTINGS)


def test_bounds_are_multiples_of_a_frame_as_on_the_wire() -> None:
    started, stopped = listen(question(PCM16_24K), SETTINGS)

    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert (started.audio_start_ms + SETTINGS.prefix_padding_ms) % FRAME_MS == 0
    assert stopped.audio_end_ms % FRAME_MS == 0


def test_padding_does_not_reach_before_the_beginning() -> None:
    speech = clip_as(clip_path("question_weather"), PCM16_24K)[48 * 320 :]

    assert listen(speech, SETTINGS)[0] == SpeechStarted(0)


def test_silence_and_faint_noise_are_no_speech() -> None:
    noise = np.random.default_rng(0).normal(0, 30, 48000).astype("<i2").tobytes()

    assert listen(PCM16_24K.silence(5000), SETTINGS) == []
    assert listen(noise, SETTINGS) == []


def test_a_click_is_no_speech() -> None:
    click = PCM16_24K.silence(320) + b"\x00\x40" * 24 * 10 + PCM16_24K.silence(1000)

    assert listen(click, SETTINGS) == []


def test_a_higher_threshold_wants_louder_speech() -> None:
    whisper = (np.frombuffer(question(PCM16_24K), dtype="<i2") // 15).astype("<i2").tobytes()

    assert listen(whisper, SETTINGS) != []
    assert listen(whisper, VadSettings(0.9, 300, 480)) == []


def test_a_short_silence_setting_cuts_a_sentence_at_its_pauses() -> None:
    turns = listen(question(PCM16_24K), VadSettings(0.5, 300, 100))

    assert [type(turn) for turn in turns] == [SpeechStarted, SpeechStopped] * 2


def test_padding_stays_out_of_the_turn_before() -> None:
    turns = listen(question(PCM16_24K), VadSettings(0.5, 300, 100))

    first_end, second_start = turns[1], turns[2]
    assert isinstance(first_end, SpeechStopped)
    assert isinstance(second_start, SpeechStarted)
    assert second_start.audio_start_ms >= first_end.audio_end_ms


def test_eagerness_decides_how_long_semantic_vad_waits() -> None:
    waits = {
        eagerness: VadSettings.from_turn_detection({"type": "semantic_vad", "eagerness": eagerness}).silence_duration_ms
        for eagerness in ("low", "medium", "auto", "high")
    }

    assert waits["low"] > waits["medium"] == waits["auto"] > waits["high"]
