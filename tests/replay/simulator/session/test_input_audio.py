import pytest

from capture.audio import PCM16_24K, AudioFormat
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.session.input_audio import InputAudio

PCMU = AudioFormat("audio/pcmu", 8000)


def test_audio_time_counts_what_was_written_not_what_is_held() -> None:
    held = InputAudio(PCM16_24K)
    held.append(PCM16_24K.silence(1000))
    held.clear()
    held.append(PCM16_24K.silence(250))

    assert (held.held_from_ms, held.end_ms) == (1000, 1250)


def test_a_turn_is_taken_by_its_place_in_audio_time() -> None:
    held = InputAudio(PCM16_24K)
    held.append(b"\x01\x00" * 24 * 100 + b"\x02\x00" * 24 * 100 + b"\x03\x00" * 24 * 100)

    assert held.take(100, 200) == b"\x02\x00" * 24 * 100
    assert (held.held_from_ms, held.end_ms) == (200, 300)
    assert held.commit() == b"\x03\x00" * 24 * 100


@pytest.mark.parametrize(("byte_count", "told"), [(0, "0.00"), (4798, "99.96")])
def test_less_than_100_ms_is_not_committed(byte_count: int, told: str) -> None:
    held = InputAudio(PCM16_24K)
    held.append(bytes(byte_count))

    with pytest.raises(ClientMistake) as refused:
        held.commit()

    assert refused.value.code == "input_audio_buffer_commit_empty"
    assert refused.value.message == (
        "Error committing input audio buffer: buffer too small. "
        f"Expected at least 100ms of audio, but buffer only has {told}ms of audio."
    )


def test_100_ms_of_g711_are_800_bytes() -> None:
    held = InputAudio(PCMU)
    held.append(PCMU.silence(100))

    assert len(held.commit()) == 800


def test_another_format_drops_what_is_held_and_keeps_the_time() -> None:
    held = InputAudio(PCM16_24K)
    held.append(PCM16_24K.silence(500))
    held.change_format(PCMU)
    held.append(PCMU.silence(100))

    assert (held.held_from_ms, held.end_ms) == (500, 600)
