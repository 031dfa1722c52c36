"""How loud a track is over the session's time."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.levels import Chunks, _play_times, peak_levels, range_levels
from capture.audio import PCM16_24K, AudioFormat
from capture.recording.reader import TrackSpan
from tests.analyze.conftest import tone

LOUD = base64.b64decode(tone(100, 0.5))


def chunks(*messages: tuple[float, int, int]) -> Chunks:
    offsets_ms, starts, lengths = zip(*messages, strict=True) if messages else ((), (), ())
    return Chunks(
        np.array(offsets_ms, dtype=np.float64), np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64)
    )


def test_audio_is_heard_when_it_arrives() -> None:
    levels = peak_levels([TrackSpan(0, PCM16_24K, LOUD)], chunks((500, 0, 4800)), 1000, 10)
    assert levels == pytest.approx([0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0], abs=0.01)


def test_audio_that_comes_faster_than_it_plays_is_heard_one_after_the_other() -> None:
    heard = chunks((0, 0, 4800), (1, 4800, 4800), (2, 9600, 4800))
    levels = peak_levels([TrackSpan(0, PCM16_24K, LOUD * 3)], heard, 500, 5)
    assert levels == pytest.approx([0.5, 0.5, 0.5, 0, 0], abs=0.01)


def test_a_track_may_change_its_format() -> None:
    ulaw = AudioFormat("audio/pcmu", 8000)
    quiet, loud = PCM16_24K.silence(100), ulaw.encode(PCM16_24K.decode(LOUD)[::3])
    spans = [TrackSpan(0, PCM16_24K, quiet), TrackSpan(4800, ulaw, loud)]
    heard = chunks((0, 0, 4800), (100, 4800, 800))
    assert peak_levels(spans, heard, 250, 5) == pytest.approx([0, 0, 0.5, 0.5, 0], abs=0.02)


def test_audio_around_a_hole_is_heard_at_its_own_time() -> None:
    spans = [TrackSpan(4800, PCM16_24K, LOUD), TrackSpan(96_000, PCM16_24K, LOUD)]
    levels = peak_levels(spans, chunks((200, 4800, 4800), (800, 96_000, 4800)), 1000, 10)
    assert levels == pytest.approx([0, 0, 0.5, 0, 0, 0, 0, 0, 0.5, 0], abs=0.01)


@pytest.mark.parametrize(("duration_ms", "bins", "length"), [(0, 3, 3), (100, 0, 0)])
def test_nothing_to_measure(duration_ms: float, bins: int, length: int) -> None:
    assert peak_levels([TrackSpan(0, PCM16_24K, LOUD)], chunks((0, 0, 4800)), duration_ms, bins) == [0.0] * length
    assert peak_levels([], chunks(), 100, 2) == [0.0, 0.0]


def test_a_stretch_of_a_track_is_measured_as_it_was_sent() -> None:
    quiet = PCM16_24K.silence(100)
    spans = [TrackSpan(0, PCM16_24K, quiet + LOUD), TrackSpan(9600, PCM16_24K, quiet)]
    assert range_levels(spans, 2400, 9600, 4) == pytest.approx([0, 0.5, 0.5, 0], abs=0.01)
    # Half a sample at either end, and fewer samples than bins.
    assert range_levels(spans, 4801, 3, 24) == pytest.approx([0.0, 0.0], abs=0.1)
    assert range_levels(spans, 50_000, 100, 4) == []


@given(st.integers(0, 15_000), st.integers(0, 15_000), st.integers(0, 50))
def test_any_stretch_has_no_more_levels_than_bins(start: int, length: int, bins: int) -> None:
    levels = range_levels([TrackSpan(0, PCM16_24K, LOUD), TrackSpan(4800, PCM16_24K, LOUD)], start, length, bins)
    assert len(levels) <= bins
    assert all(0 <= level <= 1 for level in levels)


@given(st.lists(st.tuples(st.floats(0, 900), st.integers(1, 40)), min_size=1, max_size=30))
def test_a_chunk_waits_for_those_before_it(messages: list[tuple[float, int]]) -> None:
    heard, expected_ms, start, free_at_ms = [], [], 0, 0.0
    for offset_ms, tens in sorted(messages):
        heard.append((offset_ms, start, tens * 480))
        expected_ms.append(max(free_at_ms, offset_ms))
        start, free_at_ms = start + tens * 480, expected_ms[-1] + tens * 10
    spans = [TrackSpan(0, PCM16_24K, b"\0" * start)]
    found_ms = _play_times(chunks(*heard), spans, chunks(*heard).starts)
    assert found_ms.tolist() == pytest.approx(expected_ms, abs=1e-6)


def test_messages_whose_audio_is_gone_have_no_level() -> None:
    assert peak_levels([], chunks((0.0, 0, 960)), 100.0, 4) == [0.0] * 4
