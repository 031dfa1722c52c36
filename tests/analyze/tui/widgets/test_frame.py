from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App
from textual.binding import Binding

from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain, text
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.frame import KeyLine, TopLine, key_name

Shown = Callable[[App[None]], str]


def test_the_top_line_says_where_and_lights_the_tab() -> None:
    line = TopLine([text("recordings/"), text("21 sessions")])
    line.set_reactive(TopLine.tab, "Failures")
    drawn = line.lines_at(80)[0]
    assert plain(drawn) == " wiretape  recordings/ · 21 sessions              Sessions   Failures   SQL   ? "
    assert [run.text for run in drawn if run.tone == "strong"] == ["Failures"]


def test_the_place_gives_way_when_it_is_narrow() -> None:
    assert "…" in plain(TopLine([text("recordings/"), text("21 sessions")]).lines_at(40)[0])


@pytest.mark.parametrize(
    ("key", "name"), [("question_mark", "?"), ("slash", "/"), ("escape", "esc"), ("d", "d"), ("ctrl+p", "ctrl+p")]
)
def test_keys_are_written_as_they_stand_on_a_keyboard(key: str, name: str) -> None:
    assert key_name(Binding(key, "something", "Something")) == name


@pytest.mark.parametrize("width", [40, 60, 80, 120])
async def test_help_and_the_way_out_are_always_in_sight(source: Any, shown: Shown, width: int) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(width, 24)) as pilot:
        await settle(pilot)
        assert shown(app).split("\n")[-1].rstrip().endswith("? help · q quit")


async def test_the_keys_follow_the_focus(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "slash")
        assert shown(app).split("\n")[-1].strip().startswith("enter apply · esc back to the list")


async def test_a_window_too_small_for_the_screens_says_so_and_can_be_made_larger(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for columns, lines, is_small in ((80, 17, True), (40, 12, True), (59, 24, True), (60, 18, False)):
            await pilot.resize_terminal(columns, lines)
            await settle(pilot)
            keys = shown(app).split("\n")[-1].rstrip()
            assert keys.startswith(" made for 80x24 · ") is is_small
            assert keys.endswith("? help · q quit")
        await pilot.resize_terminal(40, 12)
        await settle(pilot)
        # These words are no key.
        await pilot.click(KeyLine, offset=(3, 0))
        assert isinstance(app.screen, SessionsScreen)


async def test_a_key_can_be_clicked(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await pilot.click(KeyLine, offset=(3, 0))
        await settle(pilot)
        assert isinstance(app.screen, SessionScreen)


async def test_the_tabs_can_be_clicked(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        visited = []
        # "Sessions   Failures   SQL   ? " stands at the right edge.
        for x in (82, 93, 71, 98):
            await pilot.click(TopLine, offset=(x, 0))
            await settle(pilot)
            visited.append(type(app.screen).__name__)
            if visited[-1] == "FailuresScreen":
                app.open_session(source.listed[0].session_id)
                await settle(pilot)
        assert visited == ["FailuresScreen", "SqlScreen", "SessionsScreen", "HelpScreen"]
