from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.diff import DiffScreen, PairRows, difference_counts
from analyze.tui.screenshot import press, settle

Shown = Callable[[App[None]], str]


@pytest.fixture
def app(source: Any) -> WiretapeApp:
    return WiretapeApp(source)


async def open_diff(app: WiretapeApp, pilot: Any, source: Any) -> PairRows:
    await settle(pilot)
    app.open_diff(source.listed[0].session_id, source.listed[5].session_id)
    await settle(pilot)
    return app.screen.query_one(PairRows)


async def test_both_sessions_head_their_columns(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(160, 40)) as pilot:
        await open_diff(app, pilot, source)
        left, right = shown(app).split("\n")[1].split("│")
        assert source.listed[0].session_id in left
        assert source.listed[5].session_id in right


async def test_n_stops_at_every_difference(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        rows = await open_diff(app, pilot, source)
        stops = []
        for _ in range(3):
            await press(pilot, "n")
            stops.append(rows.lines[rows.cursor].marker)
        assert stops == ["≠", "-", "+"]
        await press(pilot, "n")
        assert "no difference after this line" in shown(app)
        await press(pilot, "N")
        assert rows.lines[rows.cursor].marker == "-"


async def test_enter_unfolds_equal_events(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        rows = await open_diff(app, pilot, source)
        assert "= 8 equal events in turn 1" in shown(app)
        await press(pilot, "down", "down", "down", "enter")
        assert len(rows.lines) == 16
        await press(pilot, "enter")
        assert len(rows.lines) == 8


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("2", '"gpt-4o-transcribe" → "whisper-1"'),
        ("3", "+122 ms (1.2x)"),
        ("4", "{+Where is my order?+}"),
    ],
)
async def test_number_keys_choose_the_view(app: WiretapeApp, source: Any, shown: Shown, key: str, words: str) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await open_diff(app, pilot, source)
        await press(pilot, key)
        assert words in shown(app)


async def test_tab_goes_round_the_views(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        rows = await open_diff(app, pilot, source)
        await press(pilot, "tab", "tab")
        assert "right − left" in shown(app)
        await press(pilot, "tab", "tab")
        assert rows.has_focus
        await press(pilot, "shift+tab")
        assert "turn 1 assistant" in shown(app)


async def test_x_swaps_the_sides(app: WiretapeApp, source: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await open_diff(app, pilot, source)
        await press(pilot, "x")
        assert isinstance(app.screen, DiffScreen)
        assert app.screen.left_id == source.listed[5].session_id
        assert source.asked[-3] == ("diff", source.listed[5].session_id, source.listed[0].session_id)


def test_differences_are_counted_by_view(source: Any) -> None:
    diff = source.diff(source.listed[0].session_id, source.listed[5].session_id)
    assert difference_counts(diff) == {"events": 3, "configuration": 1, "transcripts": 2}
