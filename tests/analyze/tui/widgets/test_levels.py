from __future__ import annotations

import pytest

from analyze.tui.lines import plain, width_of
from analyze.tui.marks import Mark
from analyze.tui.widgets.levels import Levels, bins_for, pool


def test_each_cell_shows_the_loudest_it_covers() -> None:
    assert pool([0.1, 0.9, 0.2, 0.3], 2) == [0.9, 0.3]
    assert pool([0.1, 0.9], 4) == [0.1, 0.1, 0.9, 0.9]
    assert pool([], 3) == [0.0, 0.0, 0.0]


def drawn(marks: list[Mark], width: int = 49) -> str:
    levels = Levels()
    levels.show_marks(marks, 10_000.0)
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
@pytest.mark.parametrize("zoom", [1.0, 4.0])
def test_all_lines_share_the_axis(width: int, zoom: float) -> None:
    levels = Levels()
    levels.show_levels([0.5] * 480, [0.0] * 480)
    levels.show_marks([Mark(9999, None, "✕ response", "failed", "server")], 10_000.0)
    levels.zoom(zoom)
    assert {width_of(line) for line in levels.lines_at(width)} == {width - 1}


def test_zooming_in_shows_a_part_of_levels_and_marks() -> None:
    levels = Levels()
    levels.show_levels([0.0] * 250 + [1.0] * 250 + [0.0] * 500, [])
    levels.show_marks([Mark(1000, 4500, "speech", "client"), Mark(9000, None, "┆commit", "muted")], 10_000.0)
    levels.follow(4000.0)
    levels.zoom(2.0)
    assert (levels.axis.from_ms, levels.axis.to_ms) == (2000.0, 7000.0)
    strip, lane = [plain(line)[8:] for line in levels.lines_at(109)[:2]]
    assert [strip.index("█"), strip.rindex("█")] == [10, 59]
    # Speech began before what is in sight: its end is drawn where it ended.
    assert (lane.index("├"), lane.index("┤")) == (0, 50)
    assert "commit" not in lane
    assert plain(levels.lines_at(109)[1]).startswith("   2.00 ")
    assert lane.endswith("7.00 s")


def test_the_moment_of_the_cursor_is_lit_on_both_strips() -> None:
    levels = Levels()
    levels.show_marks([], 10_000.0)
    levels.follow(5000.0)
    lines = levels.lines_at(109)
    for strip in (lines[0], lines[3]):
        assert [width_of(strip[:at]) for at, run in enumerate(strip) if run.tone == "found"] == [8 + 50]


def test_levels_are_measured_finely_enough_to_zoom_in() -> None:
    assert bins_for(1_000.0) == 480
    assert bins_for(60_000.0) == 6_000
    assert bins_for(3_600_000.0 * 2) == 60_000
