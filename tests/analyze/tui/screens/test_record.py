from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain
from analyze.tui.screens.record import RecordScreen, value_lines
from analyze.tui.screenshot import press, settle


async def test_a_row_is_shown_in_full(source: Any, shown: Callable[[App[None]], str], hostile: str) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        row = ('{"type": "error", "n": 1}', None, hostile, datetime(2026, 2, 12, tzinfo=UTC), {"k": "v"}, b"ab", 7)
        app.push_screen(RecordScreen(["payload", "region", "said", "at", "tags", "audio", "n\x1b"], row))
        await settle(pilot)
        page = shown(app)
        for words in (
            '"type": "error"',
            "region   NULL",
            "\\x1b[31mred",
            "at       2026-02-12",
            "{'k': 'v'}",
            "«2 bytes»",
        ):
            assert words in page
        assert "\x1b" not in page
        await press(pilot, "escape")
        assert not isinstance(app.screen, RecordScreen)


def test_a_monster_is_cut_and_says_so() -> None:
    [line] = value_lines("payload", "x" * 16_000_000)
    assert plain(line).endswith("… 15,900,000 more characters")
