from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    lines = aligned_lines.EventLines(two.rows)
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
    stretch = next(line.stretch for line in aligned_lines.EventLines(two.rows) if line.stretch is not None)
    assert len(aligned_lines.EventLines(two.rows, frozenset({stretch}))) == 8 + 8
    every = aligned_lines.EventLines(two.rows, every=True)
    assert [line.row for line in every if line.row is not None] == list(two.rows)


def in_full(rows: list[AlignedRow], unfolded: frozenset[int], *, every: bool) -> list[aligned_lines.EventLine]:
    """Lay rows out one after the other, as a person would."""
    lines: list[aligned_lines.EventLine] = []
    for number, ((differs, _), stretch) in enumerate(groupby(rows, key=lambda row: (row.differs, row.turn))):
        together = list(stretch)
        folds = not differs and len(together) > aligned_lines.KEPT_EQUAL and not every
        if folds:
            lines.append(aligned_lines.EventLine("=", stretch=number, count=len(together), row=together[0]))
        for row in together if number in unfolded or not folds else ():
            marker, places = aligned_lines.marker_of(row), row.places
            lines.append(aligned_lines.EventLine(marker, row=row))
            lines += [aligned_lines.EventLine(marker, place=each) for each in places[: aligned_lines.SHOWN_CHANGES]]
            if len(places) > aligned_lines.SHOWN_CHANGES:
                lines.append(aligned_lines.EventLine(marker, more=len(places) - aligned_lines.SHOWN_CHANGES))
    return lines


def aligned(number: int, turn: int, changed: int) -> AlignedRow:
    event = TimelineRow(number, number, 0.0, "server", "event", "a", 1, None, None, None, None, "")
    changes = tuple(PathChange(f"a.{n}", "1", "2") for n in range(changed))
    return AlignedRow(turn or None, (event, event), ("=", "≠" if changed else "="), ((), changes), (None, None))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0, 0, 0, 1, 7])), max_size=40),
    st.frozensets(st.integers(0, 9)),
    st.booleans(),
)
def test_lines_built_on_demand_are_those_laid_out_in_full(
    shapes: list[tuple[int, int]], unfolded: frozenset[int], every: bool
) -> None:
    rows = [aligned(number, turn, changed) for number, (turn, changed) in enumerate(sorted(shapes))]
    lines = aligned_lines.EventLines(rows, unfolded, every=every)
    expected = in_full(rows, unfolded, every=every)
    assert list(lines) == expected
    assert [lines[at] for at in range(len(lines))] == expected
    heads = [line.row and line.row.differs for line in expected]
    assert lines.differing == [at for at, differs in enumerate(heads) if differs]
    for number, row in enumerate(rows):
        line = expected[lines.line_of(number)]
        assert line.row == row or (line.stretch is not None and line.row is not None and line.row.turn == row.turn)
        assert line.row == row or number in range(lines.row_at(lines.line_of(number)), len(rows))


def test_many_changes_are_cut_with_their_number(timeline: list[TimelineRow]) -> None:
    changes = tuple(PathChange(f"a.{n}", "1", "2") for n in range(aligned_lines.SHOWN_CHANGES + 3))
    row = AlignedRow(1, (timeline[0], timeline[0]), ("=", "≠"), ((), changes), (None, None))
    last = aligned_lines.EventLines([row])[-1]
    assert plain(aligned_lines.event_line(last, 80)).strip() == "3 more places"


@pytest.mark.parametrize("width", [76, 116, 196])
def test_any_number_of_sides_fits_the_width(two: SideBySide, eight: SideBySide, width: int) -> None:
    for shown in (two, eight):
        count = len(shown.details)
        for column in range(1, count):
            drawn = [aligned_lines.event_line(line, width, column) for line in aligned_lines.EventLines(shown.rows)]
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
        plain(aligned_lines.event_line(line, 116)) for line in aligned_lines.EventLines(two.rows) if line.marker in "+-"
    ]
    assert "transcription.failed" in removed
    assert removed.split("│")[1].strip() == ""
    assert added.split("│")[0].strip() == "+"


def test_of_many_each_has_a_column_with_its_own_sign(source: Any) -> None:
    three = source.side_by_side([source.listed[at].session_id for at in (0, 5, 1)])
    written = [plain(aligned_lines.event_line(line, 116)) for line in aligned_lines.EventLines(three.rows)]
    (failed,) = [line for line in written if "transcription.failed" in line]
    assert failed.startswith("-")
    assert failed.split()[-3:] == ["655", "-", "655"]
    (completed,) = [line for line in written if "completed" in line]
    assert completed.split()[-4:] == ["·", "+", "690", "·"]
    assert '1 3 "gpt-4o-transcribe"   2 "whisper-1"' in "\n".join(written)
    assert plain(aligned_lines.event_heading(116, 3, 2)).split()[-4:] == ["1", "2", "›", "3"]


def test_a_changed_place_shows_both_values() -> None:
    assert plain(aligned_lines.place_line(Values("voice", ('"marin"', None)))) == 'voice  "marin" → absent'
