import numpy as np
import pytest

from capture.audio import PCM16_24K, clip_as
from replay.simulator.client.audio import CHUNK_MS, audio_of, chunks_of
from replay.simulator.client.script import Step
from replay.simulator.clips import clip_path


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
    step = Step(noise_dbfs=-20, ms=CHUNK_MS * 2.5)
    chunks = list(chunks_of(step, 0))

    assert [PCM16_24K.milliseconds(len(chunk)) for _, chunk in chunks] == [CHUNK_MS, CHUNK_MS, CHUNK_MS / 2]
    assert [due_ms for due_ms, _ in chunks] == [0, CHUNK_MS, 2 * CHUNK_MS]
    assert b"".join(chunk for _, chunk in chunks) == audio_of(step, 0)


def test_a_gain_makes_it_quiet_or_clips_it() -> None:
    plain = audio_of(Step(speak="question_weather"), 0)

    assert level_dbfs(audio_of(Step(speak="question_weather", gain_db=-34), 0)) == pytest.approx(
        level_dbfs(plain) - 34, abs=0.5
    )
    loud = PCM16_24K.decode(audio_of(Step(speak="question_weather", gain_db=30), 0))
    assert (loud == 32767).sum() > 1000


def test_bytes_are_swapped() -> None:
    plain = PCM16_24K.decode(audio_of(Step(speak="question_weather"), 0))

    assert audio_of(Step(speak="question_weather", swap_bytes=True), 0) == plain.astype(">i2").tobytes()


def test_another_rate_or_format_than_declared_takes_as_long_and_has_fewer_bytes() -> None:
    plain = list(chunks_of(Step(speak="question_weather"), 0))
    for step, size in (
        (Step(speak="question_weather", captured_rate=8000), 640),
        (Step(speak="question_weather", format="audio/pcmu"), 320),
    ):
        chunks = list(chunks_of(step, 0))
        assert [due_ms for due_ms, _ in chunks] == [due_ms for due_ms, _ in plain]
        assert len(chunks[0][1]) == size


def test_chunks_are_left_out_or_sent_twice() -> None:
    plain = list(chunks_of(Step(speak="question_weather"), 0))
    skipped = list(chunks_of(Step(speak="question_weather", skip_every=5), 0))
    repeated = list(chunks_of(Step(speak="question_weather", repeat_every=5), 0))

    assert skipped == [each for number, each in enumerate(plain, 1) if number % 5]
    assert repeated[4:6] == [plain[4], plain[4]]
    assert len(repeated) == len(plain) + len(plain) // 5
