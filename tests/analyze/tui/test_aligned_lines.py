from __future__ import annotations

from typing import Any

import pytest

from analyze.answers import PathChange, TimelineRow
from analyze.side_by_side import AlignedRow, SideBySide, Values
from analyze.tui import aligned_lines
from analyze.tui.lines import plain, width_of


@pytest.fixture
def two(source: Any) -> SideBySide:
    answer: SideBySide = source.side_by_side([source.listed[at].session_id for at in (0, 5)])
    return answer


@pytest.fixture
def eight(source: Any) -> SideBySide:
    answer: SideBySide = source.side_by_side([source.listed[at].session_id for at in range(8)])
    return answer


def test_equal_stretches_fold_and_changes_stand_beneath_their_event(two: SideBySide) -> None:
    lines = aligned_lines.event_lines(two.rows)
    assert [(line.marker, line.count, line.place is not None) for line in lines] == [
        ("=", 0, False),
        ("≠", 0, False),
        ("≠", 0, True),
        ("=", 8, False),
        ("-", 0, False),
        ("+", 0, False),
        ("=", 0, False),
        ("=", 0, False),
    ]


def test_an_unfolded_stretch_shows_its_rows_and_every_row_can_be_shown(two: SideBySide) -> None:
    stretch = next(line.stretch for line in aligned_lines.event_lines(two.rows) if line.stretch is not None)
    assert len(aligned_lines.event_lines(two.rows, frozenset({stretch}))) == 8 + 8
    every = aligned_lines.event_lines(two.rows, every=True)
    assert [line.row for line in every if line.row is not None] == list(two.rows)


def test_many_changes_are_cut_with_their_number(timeline: list[TimelineRow]) -> None:
    changes = tuple(PathChange(f"a.{n}", "1", "2") for n in range(aligned_lines.SHOWN_CHANGES + 3))
    row = AlignedRow(1, (timeline[0], timeline[0]), ("=", "≠"), ((), changes), (None, None))
    last = aligned_lines.event_lines([row])[-1]
    assert plain(aligned_lines.event_line(last, 80)).strip() == "3 more places"


@pytest.mark.parametrize("width", [76, 116, 196])
def test_any_number_of_sides_fits_the_width(two: SideBySide, eight: SideBySide, width: int) -> None:
    for shown in (two, eight):
        count = len(shown.details)
        for column in range(1, count):
            drawn = [aligned_lines.event_line(line, width, column) for line in aligned_lines.event_lines(shown.rows)]
            drawn.append(aligned_lines.event_heading(width, count, column))
            assert all(width_of(line) <= width for line in drawn)


@pytest.mark.parametrize("width", [76, 116, 196])
@pytest.mark.parametrize("current", range(1, 8))
def test_the_baseline_and_the_chosen_session_are_always_in_sight(width: int, current: int) -> None:
    shown = aligned_lines.shown_columns(8, current, width)
    assert shown[0] == 0
    assert current in shown
    assert shown == sorted(set(shown))
    assert max(shown) < 8


def test_a_side_that_has_no_event_stays_empty(two: SideBySide) -> None:
    removed, added = [
        plain(aligned_lines.event_line(line, 116))
        for line in aligned_lines.event_lines(two.rows)
        if line.marker in "+-"
    ]
    assert "transcription.failed" in removed
    assert removed.split("│")[1].strip() == ""
    assert added.split("│")[0].strip() == "+"


def test_of_many_each_has_a_column_with_its_own_sign(source: Any) -> None:
    three = source.side_by_side([source.listed[at].session_id for at in (0, 5, 1)])
    written = [plain(aligned_lines.event_line(line, 116)) for line in aligned_lines.event_lines(three.rows)]
    (failed,) = [line for line in written if "transcription.failed" in line]
    assert failed.startswith("-")
    assert failed.split()[-3:] == ["655", "-", "655"]
    (completed,) = [line for line in written if "completed" in line]
    assert completed.split()[-4:] == ["·", "+", "690", "·"]
    assert '1 3 "gpt-4o-transcribe"   2 "whisper-1"' in "\n".join(written)
    assert plain(aligned_lines.event_heading(116, 3, 2)).split()[-4:] == ["1", "2", "›", "3"]


def test_a_changed_place_shows_both_values() -> None:
    assert plain(aligned_lines.place_line(Values("voice", ('"marin"', None)))) == 'voice  "marin" → absent'
