from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.live_list import SHOWN, LiveList, live_line

Make = Callable[..., Any]


class LiveApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LiveList()


async def test_the_newest_are_shown_and_the_others_counted(make_live: Make, shown: Callable[[App[None]], str]) -> None:
    app = LiveApp()
    async with app.run_test(size=(100, 10)) as pilot:
        live = app.query_one(LiveList)
        assert live.size.height == 0
        live.show([make_live(number) for number in range(30)])
        await pilot.pause()
        lines = [line for line in shown(app).splitlines() if "◌" in line]
        assert len(lines) == SHOWN
        assert "09:31:24" in lines[0]
        assert "and 26 more in flight" in lines[-1]
        live.show([])
        await pilot.pause()
        assert live.size.height == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"state": "waiting"}, "being sealed"),
        ({"state": "waiting", "is_left_behind": True}, "left behind: wiretape capture recover"),
        ({"lost_bytes": 1200}, "1,200 bytes lost"),
        ({"started_at": None, "age_s": None}, "20260212T093100-00000000"),
        ({"bytes": 900}, "1 kB"),
    ],
)
def test_what_a_line_says(more: dict[str, object], words: str, make_live: Make) -> None:
    assert words in plain(live_line(make_live(**more), 120))


@pytest.mark.parametrize("width", [20, 80, 200])
def test_hostile_words_are_escaped_and_fit(width: int, make_live: Make, hostile: str) -> None:
    line = live_line(make_live(target=hostile, last_error=hostile * 20), width)
    assert width_of(line) <= width
    assert "\x1b" not in plain(line)
