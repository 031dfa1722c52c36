from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from analyze.wav import write_track
from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from capture.recording.reader import Recording, TrackSpan, open_recording
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


class WithHole(Recording):
    """A track of which the middle was not kept."""

    def spans(self, track: str, within: range | None = None) -> list[TrackSpan]:  # noqa: ARG002 - as the class it stands for
        return [TrackSpan(4800, PCM16_24K, b"\x01\x00" * 2400), TrackSpan(960_000, PCM16_24K, b"\x02\x00" * 2400)]


def test_what_was_kept_around_a_hole_is_joined(root: Root, tmp_path: Path) -> None:
    path = tmp_path / "hole.wav"
    assert write_track(WithHole(root, {"session_id": "x"}), "client", path) == 200
    with wave.open(str(path)) as sound:
        assert sound.readframes(sound.getnframes()) == b"\x01\x00" * 2400 + b"\x02\x00" * 2400


def test_a_session_without_such_audio(root: Root, failed_session: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="has no other audio"):
        write_track(open_recording(root, failed_session), "other", tmp_path / "x.wav")
