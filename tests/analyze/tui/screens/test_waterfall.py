from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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


async def test_another_width_leaves_in_sight_what_was_looked_at(source: Any, shown: Callable[[App[None]], str]) -> None:
    detail = source.session(source.listed[0].session_id)
    turns = tuple(replace(detail.turns[0], number=number) for number in range(1, 101))
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(WaterfallScreen(replace(detail, turns=turns)))
        await settle(pilot)
        await press(pilot, "end")
        await pilot.resize_terminal(100, 24)
        await settle(pilot)
        assert "turn 100" in shown(app)
