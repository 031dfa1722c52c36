from __future__ import annotations

from typing import Any

import pytest

from analyze.answers import DiffRow, PathChange, SessionDiff, TimelineRow
from analyze.tui import diff_lines
from analyze.tui.lines import plain, width_of


@pytest.fixture
def diff(source: Any) -> SessionDiff:
    answer: SessionDiff = source.diff(source.listed[0].session_id, source.listed[5].session_id)
    return answer


def test_equal_stretches_fold_and_changes_stand_beneath_their_pair(diff: SessionDiff) -> None:
    lines = diff_lines.pair_lines(diff.rows)
    assert [(line.marker, line.count, line.change is not None) for line in lines] == [
        ("=", 0, False),
        ("≠", 0, False),
        ("≠", 0, True),
        ("=", 8, False),
        ("-", 0, False),
        ("+", 0, False),
        ("=", 0, False),
        ("=", 0, False),
    ]


def test_an_unfolded_stretch_shows_its_rows(diff: SessionDiff) -> None:
    stretch = next(line.stretch for line in diff_lines.pair_lines(diff.rows) if line.stretch is not None)
    assert len(diff_lines.pair_lines(diff.rows, frozenset({stretch}))) == 8 + 8


def test_many_changes_are_cut_with_their_number(timeline: list[TimelineRow]) -> None:
    changes = tuple(PathChange(f"a.{n}", "1", "2") for n in range(diff_lines.SHOWN_CHANGES + 3))
    row = DiffRow("≠", 1, timeline[0], timeline[0], changes, None, None)
    last = diff_lines.pair_lines([row])[-1]
    assert plain(diff_lines.pair_line(last, 80)).strip() == "3 more places"


@pytest.mark.parametrize("width", [76, 116, 196])
def test_both_sides_fit_the_width(diff: SessionDiff, width: int) -> None:
    drawn = [diff_lines.pair_line(line, width) for line in diff_lines.pair_lines(diff.rows)]
    assert all(width_of(line) <= width for line in drawn)


def test_a_side_that_has_no_event_stays_empty(diff: SessionDiff) -> None:
    removed, added = [
        plain(diff_lines.pair_line(line, 116)) for line in diff_lines.pair_lines(diff.rows) if line.marker in "+-"
    ]
    assert "transcription.failed" in removed
    assert removed.split("│")[1].strip() == ""
    assert added.split("│")[0].strip() == "+"


def test_a_changed_place_shows_both_values() -> None:
    assert plain(diff_lines.change_line(PathChange("voice", '"marin"', None))) == 'voice  "marin" → absent'


def test_words_are_marked_by_more_than_colour(diff: SessionDiff) -> None:
    written = [plain(line).strip() for line in diff_lines.transcript_lines(diff.transcripts)]
    assert "(none on the left) {+Where is my order?+}" in written
    assert "Your [-order-] {+parcel+} left the warehouse [-this morning.-] {+today.+}" in written


def test_latencies_say_by_how_much(diff: SessionDiff) -> None:
    rows = [" ".join(plain(line).split()) for line in diff_lines.latency_lines(diff.latencies)]
    assert rows == [
        "turn latency left ms right ms right − left",
        "1 first audio 611 733 +122 ms (1.2x)",
        "1 commit 142 141 -1 ms (1.0x)",
        "1 transcription 512 –",
    ]


def test_configuration_without_differences_says_so(diff: SessionDiff) -> None:
    written = [plain(line) for line in diff_lines.configuration_lines(diff.configuration_asked, ())]
    assert '≠ session.audio.input.transcription.model  "gpt-4o-transcribe" → "whisper-1"' in written
    assert "= no difference" in written
