from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from analyze.investigations import Investigation, load_investigations
from analyze.tui.app import WiretapeApp
from analyze.tui.screens.investigations import InvestigationsScreen
from analyze.tui.screenshot import press, settle


async def test_a_saved_question_is_picked(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    picked: list[Investigation | None] = []
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.push_screen(InvestigationsScreen(), picked.append)
        await settle(pilot)
        await press(pilot, "down")
        assert "› Sent audio, the worst first: clipping" in shown(app)
        assert "limits and their reasons" in shown(app)
        await press(pilot, "enter")
        app.push_screen(InvestigationsScreen(), picked.append)
        await settle(pilot)
        await press(pilot, "escape")
    assert picked == [load_investigations()[1], None]
