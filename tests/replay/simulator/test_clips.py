import base64

import pytest

from capture.audio import PCM16_24K, AudioFormat, clip_as
from replay.simulator.clips import CHUNK_MS, clip_path, list_clips, read_chunks, read_text, split_tokens


def test_every_shipped_clip_has_its_text() -> None:
    assert list_clips() == ["answer_paris", "question_weather"]
    assert all(read_text(name) for name in list_clips())


@pytest.mark.parametrize("audio_format", [PCM16_24K, AudioFormat("audio/pcmu", 8000)], ids=lambda each: each.type)
def test_chunks_are_the_clip_in_pieces(audio_format: AudioFormat) -> None:
    chunks = read_chunks("answer_paris", audio_format)

    assert b"".join(chunk.audio for chunk in chunks) == clip_as(clip_path("answer_paris"), audio_format)
    assert all(base64.b64decode(chunk.base64) == chunk.audio for chunk in chunks)
    assert {audio_format.milliseconds(len(chunk.audio)) for chunk in chunks[:-1]} == {CHUNK_MS}


def test_chunks_are_encoded_once() -> None:
    assert read_chunks("answer_paris", PCM16_24K) is read_chunks("answer_paris", PCM16_24K)


def test_tokens_join_to_the_text() -> None:
    text = "It's sunny, 21 degrees!"

    assert split_tokens(text) == ("It's", " sunny", ",", " 21", " degrees", "!")
    assert all("".join(split_tokens(read_text(name))) == read_text(name) for name in list_clips())


def test_an_unknown_clip_is_answered_with_the_list() -> None:
    with pytest.raises(ValueError, match="answer_paris, question_weather"):
        clip_path("answer_rome")
