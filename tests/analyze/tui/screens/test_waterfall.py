from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.waterfall import WaterfallScreen
from analyze.tui.screenshot import press, settle


async def test_l_shows_the_steps_of_every_turn(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source, start=source.listed[0].session_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        assert isinstance(app.screen, WaterfallScreen)
        (line,) = [line for line in shown(app).split("\n") if "first audio" in line]
        assert line.split()[:4] == ["first", "audio", "611", "+469"]
        assert "✕ the transcription failed 512 ms after the commit" in shown(app)
        await press(pilot, "l")
        assert isinstance(app.screen, SessionScreen)
