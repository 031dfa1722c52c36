from __future__ import annotations

from collections.abc import Callable

from textual.app import App, ComposeResult

from analyze.tui.lines import text
from analyze.tui.widgets.line_view import LineView

Shown = Callable[[App[None]], str]


class ViewApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LineView(indent=2)

    def on_mount(self) -> None:
        self.query_one(LineView).focus()


async def test_long_lines_wrap_anew_when_the_width_changes(shown: Shown) -> None:
    app = ViewApp()
    async with app.run_test(size=(20, 6)) as pilot:
        app.query_one(LineView).show([text("the same audio passes in every other cell")])
        await pilot.pause()
        assert [line.strip() for line in shown(app).split("\n")][:3] == [
            "the same audio",
            "passes in every",
            "other cell",
        ]
        await pilot.resize_terminal(60, 6)
        await pilot.pause()
        assert "the same audio passes in every other cell" in shown(app)


async def test_keys_scroll_to_the_end_and_another_text_starts_at_the_top(shown: Shown) -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 6)) as pilot:
        app.query_one(LineView).show([text(f"line {n}") for n in range(50)])
        await pilot.pause()
        await pilot.press("end")
        await pilot.wait_for_scheduled_animations()
        await pilot.pause()
        assert "line 49" in shown(app)
        app.query_one(LineView).show([text(f"other {n}") for n in range(50)])
        await pilot.pause()
        assert "other 0" in shown(app)
