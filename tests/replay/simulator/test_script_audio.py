import numpy as np
import pytest

from capture.audio import PCM16_24K, clip_as
from replay.simulator.clips import clip_path
from replay.simulator.script import Step
from replay.simulator.script_audio import CHUNK_MS, audio_of, chunks_of


def level_dbfs(audio: bytes) -> float:
    samples = PCM16_24K.decode(audio).astype(float)
    return float(20 * np.log10(np.sqrt((samples**2).mean()) / 32768))


def test_a_clip_is_said_whole_or_in_part() -> None:
    whole = clip_as(clip_path("question_weather"), PCM16_24K)

    assert audio_of(Step(speak="question_weather"), 0) == whole
    assert audio_of(Step(speak="question_weather", from_ms=250, ms=100), 0) == whole[12_000:16_800]
    assert audio_of(Step(speak="question_weather", from_ms=250), 0) == whole[12_000:]


@pytest.mark.parametrize("level", [-20.0, -75.0])
def test_noise_has_the_level_and_length_that_is_asked_and_comes_from_the_seed(level: float) -> None:
    step = Step(noise_dbfs=level, ms=900)

    assert level_dbfs(audio_of(step, 1)) == pytest.approx(level, abs=0.3)
    assert PCM16_24K.milliseconds(len(audio_of(step, 1))) == 900
    assert audio_of(step, 1) == audio_of(step, 1) != audio_of(step, 2)


def test_silence_is_silent() -> None:
    assert audio_of(Step(silence_ms=10), 0) == bytes(480)


def test_audio_is_cut_into_chunks_of_one_length_and_a_rest() -> None:
    audio = audio_of(Step(noise_dbfs=-20, ms=CHUNK_MS * 2.5), 0)
    chunks = list(chunks_of(audio))

    assert [PCM16_24K.milliseconds(len(chunk)) for chunk in chunks] == [CHUNK_MS, CHUNK_MS, CHUNK_MS / 2]
    assert b"".join(chunks) == audio
