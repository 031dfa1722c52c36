from __future__ import annotations

import pytest

from analyze.answers import TimelineRow, Turn
from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.levels import Levels, Mark, bar, marks_of, pool


@pytest.mark.parametrize(("level", "sign"), [(0.0, "▁"), (0.001, "▁"), (0.02, "▃"), (0.1, "▅"), (0.5, "▇"), (1.0, "█")])
def test_levels_are_drawn_in_decibels(level: float, sign: str) -> None:
    assert bar(level) == sign


def test_each_cell_shows_the_loudest_it_covers() -> None:
    assert pool([0.1, 0.9, 0.2, 0.3], 2) == [0.9, 0.3]
    assert pool([0.1, 0.9], 4) == [0.1, 0.1, 0.9, 0.9]
    assert pool([], 3) == [0.0, 0.0, 0.0]


def test_marks_lead_with_the_failures(turn: Turn, timeline: list[TimelineRow]) -> None:
    assert [(mark.label, mark.from_ms) for mark in marks_of([turn], timeline)] == [
        ("✕ transcription", 3914.6),
        ("speech", 780.0),
        ("┆commit", 3402.1),
    ]


def drawn(marks: list[Mark], width: int = 49) -> str:
    levels = Levels()
    levels._marks, levels._duration_ms = marks, 10_000.0
    return plain(levels.lines_at(width)[1])[8:]


def test_a_span_names_itself_between_its_ends() -> None:
    assert drawn([Mark(1000, 4000, "speech", "client")]).rstrip() == "    ├──speech───┤                 10.0 s"


def test_a_mark_that_finds_no_room_shrinks_to_its_sign() -> None:
    both = [Mark(5000, None, "✕ transcription", "failed"), Mark(4500, None, "┆commit", "muted")]
    assert drawn(both).rstrip() == "                  ┆ ✕             10.0 s".replace(
        "✕             ", "✕             "
    )


def test_a_short_span_keeps_its_ends() -> None:
    assert drawn([Mark(1000, 1900, "speech", "client")]).startswith("    ├──┤")


@pytest.mark.parametrize("width", [20, 49, 80, 200])
def test_all_three_lines_share_the_axis(width: int) -> None:
    levels = Levels()
    levels._client, levels._server = [0.5] * 480, [0.0] * 480
    levels._marks, levels._duration_ms = [Mark(9999, None, "✕ response", "failed")], 10_000.0
    assert {width_of(line) for line in levels.lines_at(width)} == {width - 1}
