from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain
from analyze.tui.screens.help import key_lines, sign_lines
from analyze.tui.screenshot import press, settle


async def test_help_lists_every_key_of_the_screen_beneath(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "question_mark")
        for words in ("Open the session under the cursor", "Turn the order round", "incomplete: bytes were lost"):
            assert words in shown(app)


async def test_keys_that_do_the_same_stand_together(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        keys = [plain(line).split("  ")[0] for line in key_lines(app.screen)]
    assert "f tab" in keys


def test_every_sign_says_what_it_means() -> None:
    assert [plain(line).split()[0] for line in sign_lines()][:5] == ["●", "▲", "?", "◐", "◌"]
