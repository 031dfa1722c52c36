from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.tui.lines import text
from analyze.tui.pages import Pages
from analyze.tui.session_list import COLUMNS
from analyze.tui.widgets.virtual_table import Column, VirtualTable, lay_out

Shown = Callable[[App[None]], str]


def column(name: str, least: int, most: int, fold: int = 0, **more: Any) -> Column[str]:
    return Column(name, text, least, most, fold, **more)


def names(columns: list[tuple[Column[Any], int]]) -> list[str]:
    return [column.name for column, _ in columns]


def test_what_folds_first_goes_first() -> None:
    columns = [column("a", 10, 10), column("b", 10, 10, 2), column("c", 10, 10, 1)]
    assert names(lay_out(columns, [10, 10, 10], 34)) == ["a", "b", "c"]
    assert names(lay_out(columns, [10, 10, 10], 33)) == ["a", "c"]
    assert names(lay_out(columns, [10, 10, 10], 12)) == ["a"]


def test_a_column_of_comfort_goes_before_others_are_cut() -> None:
    columns = [column("target", 5, 20), column("region", 8, 8, 3)]
    assert names(lay_out(columns, [20, 8], 29)) == ["target"]
    assert names(lay_out(columns, [20, 8], 30)) == ["target", "region"]


def test_short_contents_are_whole_before_long_ones_grow() -> None:
    columns = [column("sentence", 5, 60), column("name", 5, 20)]
    assert [width for _, width in lay_out(columns, [60, 12], 40)] == [26, 12]


def test_a_column_without_contents_is_left_out_where_it_can_fold() -> None:
    assert names(lay_out([column("a", 5, 5), column("run", 5, 5, 1)], [5, 0], 80)) == ["a"]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_columns_of_the_sessions_fit(width: int) -> None:
    laid_out = lay_out(COLUMNS, [1, 14, 13, 13, 12, 17, 6, 6, 13, 26, 20, 6], width - 2)
    used = sum(cells for _, cells in laid_out) + 2 * (len(laid_out) - 1)
    assert used <= width - 2


class TableApp(App[None]):
    def __init__(self, rows: Sequence[str]) -> None:
        super().__init__()
        self.rows = rows

    def compose(self) -> ComposeResult:
        columns = [
            Column[str]("name", text, 8, 20, order="name"),
            Column[str]("size", lambda row: text(str(len(row))), 4, 6),
        ]
        yield VirtualTable(columns, key=str, empty_text="nothing here")

    def on_mount(self) -> None:
        table = self.query_one(VirtualTable)
        table.focus()
        table.show(self.rows)


async def test_only_what_is_in_sight_is_drawn(shown: Shown) -> None:
    app = TableApp([f"row {n}" for n in range(100_000)])
    began = time.process_time()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert "row 0" in shown(app)
        await pilot.press("end")
        await pilot.pause()
        assert "row 99999" in shown(app)
        assert "row 99990" not in shown(app)
        await pilot.press("pageup")
        await pilot.pause()
        assert "row 99991" in shown(app)
    # DataTable needs 8 s of CPU for as many rows: the margin is wide, the difference in kind is not.
    assert time.process_time() - began < 5


async def test_the_heading_stays_and_the_cursor_has_a_sign(shown: Shown) -> None:
    app = TableApp([f"row {n}" for n in range(50)])
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("end", "up")
        await pilot.pause()
        lines = shown(app).split("\n")
        assert lines[0].split() == ["name", "size"]
        assert [line for line in lines if line.startswith("›")] == [lines[8]]
        assert "row 48" in lines[8]


async def test_the_cursor_stays_on_its_row_when_rows_come(shown: Shown) -> None:
    app = TableApp(["a", "b", "c"])
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("down")
        table = app.query_one(VirtualTable)
        table.show(["x", "y", *app.rows])
        assert table.current == "b"
        table.show(["c"])
        assert table.current == "c"


async def test_the_cursor_stays_near_when_its_row_is_gone() -> None:
    app = TableApp([*"abcdef"])
    async with app.run_test(size=(40, 10)) as pilot:
        table = app.query_one(VirtualTable)
        await pilot.press("down", "down", "down")
        table.show([*"abcef"], stay_near=True)
        assert table.current == "e"
        table.show([*"abc"], stay_near=True)
        assert table.current == "c"
        # What is another list begins with its first row.
        table.show([*"xyz"], stay_near=True)
        table.show([*"abc"])
        assert table.current == "a"


async def test_the_cursor_stays_on_a_row_that_is_not_read_yet() -> None:
    keys = [f"row {n}" for n in range(1_000)]
    app = TableApp(Pages(keys, lambda wanted: wanted, key=str))
    async with app.run_test(size=(40, 10)) as pilot:
        table = app.query_one(VirtualTable)
        await pilot.press("end")
        table.show(Pages(["new", *keys], lambda wanted: wanted, key=str))
        assert table.cursor == 1_000


async def test_marks_are_numbered_in_their_order(shown: Shown) -> None:
    app = TableApp(["a", "b", "c"])
    async with app.run_test(size=(40, 10)) as pilot:
        app.query_one(VirtualTable).mark(["c", "a"])
        await pilot.pause()
        lines = shown(app).split("\n")
        assert (lines[1][1], lines[2][1], lines[3][1]) == ("2", " ", "1")


async def test_without_rows_it_says_why(shown: Shown) -> None:
    app = TableApp([])
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("down", "end", "pageup")
        assert "nothing here" in shown(app)
        assert app.query_one(VirtualTable).current is None


async def test_the_name_of_a_column_that_sorts_can_be_clicked() -> None:
    clicked = []

    class ClickedApp(TableApp):
        def on_virtual_table_heading_clicked(self, event: VirtualTable.HeadingClicked) -> None:
            clicked.append(event.order)

    app = ClickedApp(["a", "b"])
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.click(VirtualTable, offset=(3, 0))
        await pilot.click(VirtualTable, offset=(12, 0))
        await pilot.pause()
        assert clicked == ["name"]
        assert app.query_one(VirtualTable).cursor == 0


async def test_the_cursor_goes_to_a_row_by_its_key() -> None:
    app = TableApp(["a", "b", "c"])
    async with app.run_test(size=(40, 10)):
        table = app.query_one(VirtualTable)
        table.go_to("d")
        assert table.cursor == 0
        table.go_to("c")
        assert table.cursor == 2


async def test_a_page_that_is_not_read_yet_is_drawn_when_it_comes(shown: Shown) -> None:
    may_read = Event()

    def read(keys: Sequence[str]) -> list[str]:
        assert keys[0] == "row 0" or may_read.wait(30)
        return list(keys)

    rows: Pages[str] = Pages([f"row {n}" for n in range(1_000)], read, key=str)
    rows.load(0)
    app = TableApp(rows)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert "row 8" in shown(app)
        await pilot.press("end")
        await pilot.pause()
        table = app.query_one(VirtualTable)
        assert (table.current, table.cursor) == (None, 999)
        assert "› …" in shown(app)
        may_read.set()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert "› row 999" in shown(app).replace("›  ", "› ")
        assert table.current == "row 999"


async def test_a_page_that_cannot_be_read_stays_empty_and_is_asked_for_again(shown: Shown) -> None:
    asked: list[str] = []

    def read(keys: Sequence[str]) -> list[str]:
        asked.append(keys[0])
        if len(asked) == 1:
            raise OSError("gone")
        return list(keys)

    app = TableApp(Pages([f"row {n}" for n in range(1_000)], read, key=str))
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.app.workers.wait_for_complete()
        await pilot.press("down")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert "row 1" in shown(app)
