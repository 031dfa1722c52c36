from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.live_list import SHOWN, LiveList, live_line

Make = Callable[..., Any]
Shown = Callable[[App[None]], str]


class LiveApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LiveList()


async def test_the_newest_are_in_sight_and_the_others_are_scrolled_to(make_live: Make, shown: Shown) -> None:
    app = LiveApp()
    async with app.run_test(size=(100, 10)) as pilot:
        live = app.query_one(LiveList)
        assert live.size.height == 0
        live.show([make_live(number) for number in range(30)])
        await pilot.pause()
        lines = [line for line in shown(app).splitlines() if "◌" in line]
        assert len(lines) == SHOWN
        assert "09:31:24" in lines[0]
        assert "›" not in shown(app)
        live.focus()
        live.is_pointing = True
        await pilot.press("end")
        await pilot.pause()
        assert "› ◌  02-12 09:30:55" in shown(app)
        live.show([])
        await pilot.pause()
        assert live.size.height == 0
        assert live.current is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"state": "waiting"}, "being sealed"),
        ({"state": "waiting", "is_left_behind": True}, "left behind: wiretape capture recover"),
        ({"lost_bytes": 1200}, "1,200 bytes lost"),
        ({"started_at": None, "age_s": None}, "20260212T093100-00000000"),
        ({"bytes": 900}, "900 B"),
    ],
)
def test_what_a_line_says(more: dict[str, object], words: str, make_live: Make) -> None:
    assert words in plain(live_line(make_live(**more), 120))


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (78, "ws://127.0.0.1:893  1 h 02 min  ▲ …input_audio_transcripti…"),
        (120, "ws://127.0.0.1:893  1 h 02 min  611 events · 1.2 MB  ▲ …input_audio_transcription.failed: server_err…"),
    ],
)
def test_where_a_line_is_too_short_the_error_goes_before_the_sizes(width: int, words: str, make_live: Make) -> None:
    error = "conversation.item.input_audio_transcription.failed: server_error Input transcription failed"
    line = live_line(make_live(target="ws://127.0.0.1:893", age_s=3725.0, last_error=error), width)
    assert plain(line).strip().endswith(words)


@pytest.mark.parametrize("width", [20, 80, 200])
def test_hostile_words_are_escaped_and_fit(width: int, make_live: Make, hostile: str) -> None:
    line = live_line(make_live(target=hostile, last_error=hostile * 20), width)
    assert width_of(line) <= width
    assert "\x1b" not in plain(line)
