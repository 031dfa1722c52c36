from __future__ import annotations

from typing import Any

import pytest

from analyze.side_by_side import SideBySide, configuration_places, outcomes, turn_latencies
from analyze.tui import diff_lines
from analyze.tui.lines import Line, plain


@pytest.fixture
def two(source: Any) -> SideBySide:
    answer: SideBySide = source.side_by_side([source.listed[at].session_id for at in (0, 5)])
    return answer


@pytest.fixture
def three(source: Any) -> SideBySide:
    answer: SideBySide = source.side_by_side([source.listed[at].session_id for at in (0, 5, 1)])
    return answer


def words(lines: list[Line]) -> list[str]:
    return [" ".join(plain(line).split()) for line in lines]


def test_words_are_marked_by_more_than_colour(two: SideBySide) -> None:
    written = words(diff_lines.transcript_lines(two))
    assert "(none on the left) {+Where is my order?+}" in written
    assert "Your [-order-] {+parcel+} left the warehouse [-this morning.-] {+today.+}" in written


def test_of_many_each_is_set_against_the_baseline(three: SideBySide) -> None:
    written = words(diff_lines.transcript_lines(three))
    assert "2 (none in the baseline) {+Where is my order?+}" in written
    assert "3 Your order left the warehouse this morning." in written


def test_latencies_say_by_how_much(two: SideBySide, three: SideBySide) -> None:
    assert words(diff_lines.latency_lines(turn_latencies(two)))[:3] == [
        "turn latency left ms right ms right − left",
        "1 commit 142 142 +0 ms (1.0x)",
        "1 first audio 611 733 +122 ms (1.2x)",
    ]
    written = words(diff_lines.latency_lines(turn_latencies(three)))
    at = written.index("turn 1 first audio")
    assert written[at + 1 : at + 4] == ["1 611 ms baseline", "2 733 ms +122 ms (1.2x)", "3 611 ms +0 ms (1.0x)"]
    assert words(diff_lines.latency_lines([])) == ["no turns in any session"]


def test_configuration_without_differences_says_so(two: SideBySide) -> None:
    asked, echoed = configuration_places(two)
    written = words(diff_lines.configuration_lines(asked, echoed))
    assert '≠ session.audio.input.transcription.model "gpt-4o-transcribe" → "whisper-1"' in written
    assert "= no difference" in written


def test_outcomes_that_all_share_stand_once(two: SideBySide, three: SideBySide) -> None:
    assert "≠ outcome failed → ok" in words(diff_lines.outcome_lines(outcomes(two)))
    written = words(diff_lines.outcome_lines(outcomes(three)))
    assert "≠ outcome 1 3 failed 2 ok" in written
    assert "= turns 1" in written
