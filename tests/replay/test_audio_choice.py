"""What `audio=…` may be, and how it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.errors import UsageProblem
from replay.audio_choice import AudioChoice, audio_in_words, parse_audio


@pytest.mark.parametrize(
    ("value", "choice", "words"),
    [
        ("recorded", AudioChoice("recorded"), "the recorded audio"),
        ("silence", AudioChoice("silence"), "silence"),
        ("noise:20", AudioChoice("noise", snr_db=20), "noise at 20 dB SNR"),
        ("noise:-2.5", AudioChoice("noise", snr_db=-2.5), "noise at -2.5 dB SNR"),
        ("clips/good.flac", AudioChoice("clip", clip=Path("clips/good.flac")), "the clip good.flac"),
    ],
)
def test_a_choice_is_read_written_and_named(value: str, choice: AudioChoice, words: str) -> None:
    assert parse_audio(value) == choice
    assert str(choice) == value
    assert audio_in_words(value) == words


@pytest.mark.parametrize("value", [None, 20, "", " ", "noise:", "noise:loud", "noise:nan", "noise:inf", "noise:1000"])
def test_what_is_no_choice_is_refused(value: object) -> None:
    with pytest.raises(UsageProblem, match=r"takes .*noise:"):
        parse_audio(value)
