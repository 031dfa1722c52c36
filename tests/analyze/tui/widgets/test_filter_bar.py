from __future__ import annotations

from collections.abc import Callable

from textual.app import App, ComposeResult

from analyze.tui.filter_completion import Way
from analyze.tui.lines import text
from analyze.tui.widgets.filter_bar import FilterBar


class BarApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.typed: list[tuple[str, bool]] = []
        self.left = 0

    def compose(self) -> ComposeResult:
        yield FilterBar("filter", "region:eastus2")

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        self.typed.append((event.content, event.accepted))

    def on_filter_bar_left(self) -> None:
        self.left += 1


async def test_enter_counts_at_once() -> None:
    app = BarApp()
    async with app.run_test(size=(60, 5)) as pilot:
        app.query_one(FilterBar).enter()
        await pilot.press("o", "k", "enter")
        assert app.typed[-1] == ("ok", True)


async def test_a_pause_counts_too() -> None:
    app = BarApp()
    async with app.run_test(size=(60, 5)) as pilot:
        app.query_one(FilterBar).enter()
        await pilot.press("o", "k")
        while ("ok", False) not in app.typed:
            await pilot.pause()


async def test_escape_gives_the_focus_back() -> None:
    app = BarApp()
    async with app.run_test(size=(60, 5)) as pilot:
        app.query_one(FilterBar).enter()
        await pilot.press("escape")
        assert app.left == 1


async def test_filling_it_says_nothing(shown: Callable[[App[None]], str]) -> None:
    app = BarApp()
    async with app.run_test(size=(60, 5)) as pilot:
        app.query_one(FilterBar).fill("region:[bold]\\")
        app.query_one(FilterBar).found = text("3 of 21")
        await pilot.pause()
        assert app.typed == []
        line = shown(app).split("\n")[0]
        assert line.startswith(" filter ▏region:[bold]\\")
        assert line.endswith("3 of 21")


async def test_tab_goes_on_with_the_first_way_and_leaves_where_there_is_none(
    shown: Callable[[App[None]], str],
) -> None:
    app = BarApp()
    async with app.run_test(size=(60, 5)) as pilot:
        bar = app.query_one(FilterBar)
        bar.complete = lambda text: (
            [Way("region:", "region:"), Way("run:", "run:")]
            if text == "r"
            else [Way("eastus2", "region:eastus2")] * (text == "region:")
        )
        bar.enter()
        await pilot.press("r")
        await pilot.pause()
        assert "tab region: · run:" in shown(app)
        await pilot.press("tab", "tab")
        assert bar.content == "region:eastus2 "
        assert app.left == 0
        await pilot.press("tab")
        assert app.left == 1
