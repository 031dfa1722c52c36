from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.lines import text
from analyze.tui.screens.confirm import ConfirmScreen
from analyze.tui.screenshot import press, settle


async def test_only_y_lets_it_happen(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    answers: list[bool | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for keys in (("enter", "space", "x", "escape"), ("n",), ("q",), ("y",)):
            app.push_screen(ConfirmScreen([text("Send 10 sessions")], "send"), answers.append)
            await settle(pilot)
            assert "Send 10 sessions" in shown(app)
            assert "y send · esc back" in shown(app)
            await press(pilot, *keys)
    assert answers == [False, False, False, True]


async def test_a_long_question_scrolls_above_the_keys_that_answer_it(
    source: Any, shown: Callable[[App[None]], str]
) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(ConfirmScreen([text(f"target {number}") for number in range(40)], "send"))
        await settle(pilot)
        assert "target 0" in shown(app)
        assert "y send · esc back" in shown(app)
        await press(pilot, "end")
        assert "target 39" in shown(app)
        assert "y send · esc back" in shown(app)
