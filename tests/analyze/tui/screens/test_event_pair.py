from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.diff import DiffScreen
from analyze.tui.screens.event_pair import EventPairScreen, PayloadRows
from analyze.tui.screenshot import press, settle

Shown = Callable[[App[None]], str]


async def test_enter_opens_both_messages_and_n_finds_what_differs(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        app.open_diff([source.listed[at].session_id for at in (0, 5, 1)])
        await settle(pilot)
        await press(pilot, "n", "n", "enter")
        assert isinstance(app.screen, EventPairScreen)
        lines = shown(app).split("\n")
        assert source.listed[0].session_id in lines[1]
        assert source.listed[5].session_id in lines[1]
        assert "no such event" in lines[2]
        assert '"message": "Input transcription failed for item."' in shown(app)
        rows = app.screen.query_one(PayloadRows)
        await press(pilot, "n")
        assert "no difference after this line" in shown(app)
        assert rows.cursor == 0
        await press(pilot, "q")
        assert isinstance(app.screen, DiffScreen)
        # The third session has this event as the baseline has it.
        await press(pilot, "right", "enter")
        assert source.listed[1].session_id in shown(app)
        assert "no such event" not in shown(app)
