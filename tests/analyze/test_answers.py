from __future__ import annotations

from typing import Any

import pytest

from analyze.answers import LatencyDelta, Turn


def turn(**times_ms: float) -> Turn:
    nothing: dict[str, Any] = dict.fromkeys(Turn.__dataclass_fields__)
    return Turn(**(nothing | {"number": 1} | times_ms))


def test_latencies_count_from_the_end_of_speech() -> None:
    spoken = turn(speech_stopped_ms=100, committed_ms=110, first_audio_ms=700, transcribed_ms=400, response_done_ms=900)
    assert spoken.end_of_speech_ms == 100
    assert (spoken.commit_ms, spoken.first_audio_latency_ms, spoken.response_latency_ms) == (10, 600, 800)
    assert spoken.transcription_latency_ms == 290


def test_the_client_ends_a_manual_turn() -> None:
    manual = turn(asked_ms=100, committed_ms=140, first_audio_ms=700)
    assert (manual.end_of_speech_ms, manual.commit_ms, manual.first_audio_latency_ms) == (100, 40, 600)


def test_what_did_not_happen_has_no_latency() -> None:
    silent = turn(speech_stopped_ms=100)
    latencies = (silent.commit_ms, silent.first_audio_latency_ms, silent.transcription_latency_ms)
    assert latencies == (None, None, None)


@pytest.mark.parametrize(
    ("left_ms", "right_ms", "delta_ms", "ratio"),
    [(600.0, 722.0, 122.0, 722 / 600), (0.0, 5.0, 5.0, None), (None, 5.0, None, None), (5.0, None, None, None)],
)
def test_deltas(left_ms: float | None, right_ms: float | None, delta_ms: float | None, ratio: float | None) -> None:
    delta = LatencyDelta("commit", 1, left_ms, right_ms)
    assert (delta.delta_ms, delta.ratio) == (delta_ms, ratio)
