from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.diff import DiffScreen, Views, difference_counts
from analyze.tui.screens.event_pair import EventPairScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.aligned_rows import AlignedRows
from capture.errors import UsageProblem

Shown = Callable[[App[None]], str]


@pytest.fixture
def app(source: Any) -> WiretapeApp:
    return WiretapeApp(source)


async def open_diff(app: WiretapeApp, pilot: Any, source: Any) -> AlignedRows:
    await settle(pilot)
    app.open_diff([source.listed[at].session_id for at in (0, 5)])
    await settle(pilot)
    return app.screen.query_one(AlignedRows)


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
        ("5", "failed → ok"),
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
        await press(pilot, "tab", "tab", "tab")
        assert rows.has_focus
        await press(pilot, "shift+tab", "shift+tab")
        assert "turn 1 assistant" in shown(app)


async def test_b_makes_another_session_the_baseline(app: WiretapeApp, source: Any, shown: Shown) -> None:
    ids = [source.listed[at].session_id for at in range(8)]
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.open_diff(ids)
        await settle(pilot)
        await press(pilot, *["right"] * 9)
        assert isinstance(app.screen, DiffScreen)
        assert app.screen.current == 7
        assert shown(app).split("\n")[8].startswith(" › 8")
        await press(pilot, "b")
        assert app.screen.session_ids == [ids[7], *ids[1:7], ids[0]]
        assert ("side_by_side", *app.screen.session_ids) in source.asked
        # Of two sessions it swaps the sides.
        await press(pilot, "q")
        app.open_diff(ids[:2])
        await settle(pilot)
        await press(pilot, "x")
        assert app.screen.session_ids == [ids[1], ids[0]]


async def test_what_is_opened_is_of_the_events_in_sight_while_another_baseline_is_not_compared(
    app: WiretapeApp, source: Any, shown: Shown
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await open_diff(app, pilot, source)
        source.failing["side_by_side"] = UsageProblem("the recording is gone")
        await press(pilot, "b", "n", "enter")
        assert isinstance(app.screen, EventPairScreen)
        assert [session_id for session_id, _ in app.screen.sides] == [source.listed[at].session_id for at in (0, 5)]
        await press(pilot, "q")
        assert "▲ the recording is gone" in shown(app)


async def test_a_shows_every_event(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        rows = await open_diff(app, pilot, source)
        await press(pilot, "a")
        assert "equal events" not in shown(app)
        assert len(rows.lines) == 15
        await press(pilot, "a")
        assert "= 8 equal events in turn 1" in shown(app)


def test_differences_are_counted_by_view(source: Any) -> None:
    two = source.side_by_side([source.listed[at].session_id for at in (0, 5)])
    assert difference_counts(two) == {"events": 3, "configuration": 1, "transcripts": 2}


async def test_enter_is_offered_only_where_it_opens_something(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await open_diff(app, pilot, source)
        assert "enter open" in shown(app)
        await press(pilot, "5")
        assert "enter open" not in shown(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, DiffScreen)
        await press(pilot, "1")
        assert "enter open" in shown(app)


async def test_thousands_of_differences_can_be_read(source: Any, shown: Shown) -> None:
    class ViewsAlone(App[None]):
        def compose(self) -> ComposeResult:
            yield Views()

    app = ViewsAlone()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(Views).show({"events": 40_000})
        await settle(pilot)
        assert "1 events ≠40,000" in shown(app)
