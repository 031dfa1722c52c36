from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult

from analyze.answers import TimelineRow
from analyze.live_timeline import LiveRow
from analyze.tui.widgets.followed_events import FollowedEvents

Shown = Callable[[App[None]], str]


class EventsApp(App[None]):
    def compose(self) -> ComposeResult:
        yield FollowedEvents()

    def on_mount(self) -> None:
        self.query_one(FollowedEvents).focus()


def without_scroll_bar(shown: str) -> list[str]:
    return [line[:-1] for line in shown.splitlines()]


@pytest.fixture
def rows(timeline: list[TimelineRow]) -> list[LiveRow]:
    """A hundred rows, every tenth of them a failure."""
    plain = timeline[0]
    return [
        LiveRow(replace(plain, first_seq=at, last_seq=at, error="no luck" if at % 10 == 9 else None), 100 * at, None)
        for at in range(100)
    ]


async def test_the_cursor_goes_with_the_newest_row(rows: list[LiveRow], shown: Shown) -> None:
    app = EventsApp()
    async with app.run_test(size=(80, 12)) as pilot:
        seen = app.query_one(FollowedEvents)
        await pilot.pause()
        assert "no event yet" in shown(app)
        assert seen.follows
        for count in (3, 40, 60):
            seen.grow(rows[:count], 0)
            await pilot.pause()
            assert (seen.cursor, seen.follows) == (count - 1, True)
        assert "6 kB" in shown(app)
        assert "▲" in shown(app)


async def test_what_is_read_stays_in_place_while_the_oldest_rows_go(rows: list[LiveRow], shown: Shown) -> None:
    app = EventsApp()
    async with app.run_test(size=(80, 12)) as pilot:
        seen = app.query_one(FollowedEvents)
        seen.grow(rows[:50], 0)
        await pilot.pause()
        await pilot.press("pageup", "pageup", "up")
        await pilot.pause()
        before, at = without_scroll_bar(shown(app)), seen.current
        seen.grow(rows[10:70], 10)
        await pilot.pause()
        assert seen.current == at
        assert without_scroll_bar(shown(app)) == before
        # What was read is gone by now: the oldest row that is left takes its place.
        seen.grow(rows[60:], 60)
        await pilot.pause()
        assert (seen.cursor, seen.scroll_offset.y) == (0, 0)
        seen.action_edge(1)
        assert seen.follows


async def test_other_rows_of_the_session_show_the_same_event(rows: list[LiveRow]) -> None:
    app = EventsApp()
    async with app.run_test(size=(80, 12)) as pilot:
        seen = app.query_one(FollowedEvents)
        seen.grow(rows, 0)
        await pilot.pause()
        await pilot.press("home", "down", "down", "down")
        seen.exchange(rows[::2], 0)
        assert seen.current == rows[2]
        seen.exchange(rows, 0)
        assert seen.current == rows[2]
        seen.action_edge(1)
        seen.exchange(rows[::2], 0)
        assert seen.follows


async def test_failures_are_gone_to(rows: list[LiveRow]) -> None:
    app = EventsApp()
    async with app.run_test(size=(80, 12)) as pilot:
        seen = app.query_one(FollowedEvents)
        seen.grow(rows, 0)
        await pilot.pause()
        assert not seen.go_to_error(1)
        assert seen.go_to_error(-1)
        assert seen.current == rows[89]
        await pilot.press("home")
        assert not seen.go_to_error(-1)
