"""A track in one piece, whatever happened to it."""

from __future__ import annotations

import pytest

from analyze.track_audio import track_samples
from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from capture.recording.reader import Recording, TrackSpan, open_recording
from capture.recording.root import Root


class TwoFormats(Recording):
    """A track that turns from PCM to G.711 on its way."""

    def audio(self, track: str) -> list[tuple[AudioFormat, bytes]]:  # noqa: ARG002 - as the class it stands for
        ulaw = AudioFormat("audio/pcmu", 8000)
        return [(PCM16_24K, b"\x01\x00" * 2400), (ulaw, ulaw.silence(100))]


def test_a_track_that_changes_its_format_has_one_rate(root: Root) -> None:
    samples, rate = track_samples(TwoFormats(root, {"session_id": "x"}), "client")
    assert rate == 24_000
    assert len(samples) / rate * 1000 == pytest.approx(200, abs=1)
    assert list(samples[:2400]) == [1] * 2400


class WithHole(Recording):
    """A track of which the middle was not kept."""

    def spans(self, track: str, within: range | None = None) -> list[TrackSpan]:  # noqa: ARG002 - as the class it stands for
        return [TrackSpan(4800, PCM16_24K, b"\x01\x00" * 2400), TrackSpan(960_000, PCM16_24K, b"\x02\x00" * 2400)]


def test_what_was_kept_around_a_hole_is_joined(root: Root) -> None:
    samples, _ = track_samples(WithHole(root, {"session_id": "x"}), "client")
    assert list(samples) == [1] * 2400 + [2] * 2400


def test_a_session_without_such_audio(root: Root, failed_session: str) -> None:
    with pytest.raises(UsageProblem, match="has no other audio"):
        track_samples(open_recording(root, failed_session), "other")
