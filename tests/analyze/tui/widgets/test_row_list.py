from __future__ import annotations

from collections.abc import Callable

from textual.app import App, ComposeResult

from analyze.tui.lines import Line, text
from analyze.tui.widgets.row_list import RowList


class Numbers(RowList):
    HEADING_LINES = 0

    @property
    def row_count(self) -> int:
        return 100

    def row_at(self, index: int, width: int) -> Line:
        return text(f"{index} of {width}")


class NumbersApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []
        self.opened: list[int] = []
        self.beyond: list[int] = []

    def compose(self) -> ComposeResult:
        yield Numbers()

    def on_mount(self) -> None:
        self.query_one(Numbers).focus()
        self.query_one(Numbers).rows_changed()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        self.seen.append(event.control.cursor)

    def on_row_list_beyond(self, event: RowList.Beyond) -> None:
        assert event.control is self.query_one(Numbers)
        self.beyond.append(event.way)

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        self.opened.append(event.control.cursor)


async def test_keys_move_the_cursor_and_keep_it_in_sight(shown: Callable[[App[None]], str]) -> None:
    app = NumbersApp()
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.press("down", "pagedown", "up")
        assert app.query_one(Numbers).cursor == 9
        await pilot.press("G")
        await pilot.pause()
        assert "99 of" in shown(app)
        await pilot.press("down")
        assert app.query_one(Numbers).cursor == 99
        await pilot.press("g", "up")
        await pilot.pause()
        assert app.query_one(Numbers).cursor == 0
        assert shown(app).startswith("0 of")


async def test_going_on_at_an_end_is_said(shown: Callable[[App[None]], str]) -> None:
    app = NumbersApp()
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.press("down", "up", "up", "pageup", "home", "end", "down")
        await pilot.pause()
        assert app.beyond == [-1, -1, -1, 1]
        assert app.query_one(Numbers).cursor == 99


async def test_of_lists_that_stand_as_one_one_has_the_cursor() -> None:
    app = NumbersApp()
    async with app.run_test(size=(30, 10)) as pilot:
        numbers = app.query_one(Numbers)
        lit = numbers.render_line(0)._segments[0].style
        numbers.is_pointing = False
        await pilot.pause()
        assert not numbers.is_at_cursor(0)
        assert numbers.render_line(0)._segments[0].style != lit


async def test_a_smaller_window_keeps_the_cursor_in_sight(shown: Callable[[App[None]], str]) -> None:
    app = NumbersApp()
    async with app.run_test(size=(30, 20)) as pilot:
        await pilot.press("pagedown")
        await pilot.resize_terminal(30, 5)
        await pilot.pause()
        assert "19 of" in shown(app)


async def test_a_flood_of_moves_becomes_few_messages() -> None:
    app = NumbersApp()
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.pause()
        app.seen.clear()
        for _ in range(50):
            app.query_one(Numbers).action_move(1)
        await pilot.pause()
        assert len(app.seen) < 50
        assert app.seen[-1] == 50


async def test_a_second_click_opens() -> None:
    app = NumbersApp()
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.click(Numbers, offset=(1, 4))
        assert app.opened == []
        await pilot.click(Numbers, offset=(1, 4))
        assert app.opened == [4]


async def test_the_cursor_steps_to_the_next_of_some_rows_and_to_the_one_before() -> None:
    app = NumbersApp()
    async with app.run_test(size=(30, 10)):
        numbers = app.query_one(Numbers)
        steps = [(numbers.step_to([3, 40, 41], step), numbers.cursor) for step in (1, 1, 1, 1, -1, -1, -1)]
        assert steps == [(True, 3), (True, 40), (True, 41), (False, 41), (True, 40), (True, 3), (False, 3)]
        assert not numbers.step_to([], 1)
