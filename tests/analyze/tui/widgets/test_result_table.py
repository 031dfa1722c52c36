from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.tui.lines import Line
from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.result_table import ResultTable, cell_text


class Showing(App[None]):
    def compose(self) -> ComposeResult:
        yield ResultTable(empty_text="nothing yet")

    @property
    def table(self) -> ResultTable:
        return self.query_one(ResultTable)


Shown = Callable[[App[None]], str]


async def test_columns_scroll_sideways_and_say_where_more_are(shown: Shown) -> None:
    app = Showing()
    async with app.run_test(size=(40, 10)) as pilot:
        await settle(pilot)
        assert "nothing yet" in shown(app)
        app.table.show(["n", "name", "far", "away"], [(1, "x" * 30, "y" * 30, None), (22, "b", "c", 3.5)])
        app.table.focus()
        await settle(pilot)
        heading, first, second = shown(app).split("\n")[:3]
        assert heading.startswith("   n  name")
        assert heading.rstrip().endswith("›")
        assert first.startswith("›  1  xxx")
        assert second.startswith("  22  b")
        await press(pilot, "right", "right", "right", "right")
        assert shown(app).split("\n")[0].split() == ["‹", "away"]
        assert shown(app).split("\n")[1].split() == ["›", "NULL"]
        await press(pilot, "left", "left")
        assert shown(app).split("\n")[0].startswith("‹ name")
        assert app.table.current == (1, "x" * 30, "y" * 30, None)


async def test_a_hundred_thousand_rows_are_shown_without_being_drawn(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Showing()
    rows = [(number, f"name {number}", "z" * 200) for number in range(100_000)]
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        drawn: list[int] = []
        row_at = app.table.row_at

        def note(index: int, width: int) -> Line:
            drawn.append(index)
            return row_at(index, width)

        monkeypatch.setattr(app.table, "row_at", note)
        app.table.show(["n", "name", "z"], rows)
        app.table.focus()
        await settle(pilot)
        await press(pilot, "end")
        assert "99999  name 99999" in shown(app)
        assert len(set(drawn)) < 200


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "NULL"),
        (True, "True"),
        (b"\x00\x01", "«2 bytes»"),
        (datetime(2026, 2, 12, 8, 30, 1, 5000, tzinfo=UTC), "2026-02-12 08:30:01.005"),
        (datetime(2026, 2, 12, 8, 30), "2026-02-12 08:30:00"),  # noqa: DTZ001 - DuckDB gives such
        ("a\x1b[31m\n\u202eb", "a\\x1b[31m\\n\\u202eb"),
        (["x", 1], "['x', 1]"),
    ],
)
def test_values_are_written_harmlessly(value: Any, written: str) -> None:
    assert cell_text(value) == written


def test_a_huge_value_is_cut() -> None:
    assert len(cell_text("\x1b" * 16_000_000)) < 1000
