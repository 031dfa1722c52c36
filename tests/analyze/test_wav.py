from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from analyze.wav import write_track
from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from capture.recording.reader import Recording, open_recording
from capture.recording.root import Root


class TwoFormats(Recording):
    """A track that turns from PCM to G.711 on its way."""

    def audio(self, track: str) -> list[tuple[AudioFormat, bytes]]:  # noqa: ARG002 - as the class it stands for
        ulaw = AudioFormat("audio/pcmu", 8000)
        return [(PCM16_24K, b"\x01\x00" * 2400), (ulaw, ulaw.silence(100))]


def test_a_track_plays_as_it_was_sent(root: Root, failed_session: str, tmp_path: Path) -> None:
    recording = open_recording(root, failed_session)
    path = tmp_path / "client.wav"
    assert write_track(recording, "client", path) == 100.0
    with wave.open(str(path)) as sound:
        assert sound.readframes(2400) == recording.audio("client")[0][1]


def test_one_file_has_one_rate(root: Root, tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    assert write_track(TwoFormats(root, {"session_id": "x"}), "client", path) == pytest.approx(200, abs=1)
    with wave.open(str(path)) as sound:
        assert sound.getframerate() == 24_000
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
    assert list(samples[:2400]) == [1] * 2400


def test_a_session_without_such_audio(root: Root, failed_session: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="has no other audio"):
        write_track(open_recording(root, failed_session), "other", tmp_path / "x.wav")
