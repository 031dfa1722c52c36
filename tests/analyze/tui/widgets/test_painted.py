from __future__ import annotations

from collections.abc import Callable

from textual.app import App, ComposeResult

from analyze.tui.lines import Run, plain, text
from analyze.tui.tones import DARK_THEME, LIGHT_THEME, style_of
from analyze.tui.widgets.painted import Block, Notice


class BlockApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Block([text("one"), (Run("two", "failed"),)])
        yield Block()

    def on_mount(self) -> None:
        self.register_theme(DARK_THEME)
        self.register_theme(LIGHT_THEME)
        self.theme = DARK_THEME.name


async def test_a_block_is_as_high_as_it_has_lines(shown: Callable[[App[None]], str]) -> None:
    app = BlockApp()
    async with app.run_test(size=(20, 6)) as pilot:
        first, second = app.query(Block)
        assert (first.size.height, second.size.height) == (2, 0)
        second.lines = (text("three"),)
        await pilot.pause()
        assert [line.strip() for line in shown(app).split("\n")][:3] == ["one", "two", "three"]


async def test_tones_follow_the_theme() -> None:
    app = BlockApp()
    async with app.run_test(size=(20, 6)) as pilot:
        for theme, dark in ((DARK_THEME, True), (LIGHT_THEME, False)):
            app.theme = theme.name
            await pilot.pause()
            segment = next(iter(app.query(Block).first().render_line(1)))
            assert segment.style is not None
            assert segment.style.color == style_of("failed", dark).color


async def test_markup_is_no_markup(shown: Callable[[App[None]], str]) -> None:
    app = BlockApp()
    async with app.run_test(size=(40, 6)) as pilot:
        app.query(Block).first().lines = (text("[bold]a[/bold] \x1b[31m"),)
        await pilot.pause()
        assert r"[bold]a[/bold] \x1b[31m" in shown(app)


def test_a_long_notice_goes_on_below_and_has_an_end() -> None:
    notice = Notice([(Run(" ▲ ", "failed"), *text("the recordings cannot be read: " + "why " * 40, "failed"))])
    lines = [plain(line) for line in notice.lines_at(40)]
    assert lines[:2] == [" ▲ the recordings cannot be read: why ", "   why why why why why why why why why "]
    assert (len(lines), lines[-1][-1]) == (4, "…")
    assert [plain(line) for line in notice.lines_at(400)] == [plain(notice.lines[0])]
