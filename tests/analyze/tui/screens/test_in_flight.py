"""Sessions in flight and recordings stand under one cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.events import AppBlur, AppFocus
from textual.pilot import Pilot

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.diff import DiffScreen
from analyze.tui.screens.follow import FollowScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource
from capture.journal import JournalWriter
from capture.recording.root import Root
from capture.sealing import seal
from tests.capture.test_live import CREATED, SESSION_ID, Session

Shown = Callable[[App[None]], str]
Make = Callable[..., Any]


def sessions(app: App[None]) -> SessionsScreen:
    assert isinstance(app.screen, SessionsScreen)
    return app.screen


async def look(pilot: Pilot[None]) -> None:
    await settle(pilot)
    sessions(pilot.app).look_at_live()
    await settle(pilot)


async def test_keys_walk_from_the_recordings_into_what_is_in_flight_and_back(
    source: Any, make_live: Make, shown: Shown
) -> None:
    source.in_flight = [make_live(number) for number in range(7)]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        screen = sessions(app)
        assert screen.in_flight is None
        await press(pilot, "down", "up", "up")
        assert screen.in_flight == make_live(0)
        assert shown(app).count("›") == 1
        assert "› ◌  02-12 09:30:55" in shown(app)
        await press(pilot, "up", "pageup", "home")
        assert screen.in_flight == make_live(6)
        assert "› ◌  02-12 09:31:01" in shown(app)
        assert "02-12 09:30:55" not in shown(app)
        await press(pilot, "end", "down")
        assert screen.in_flight is None
        assert (screen.table.has_focus, screen.table.cursor) == (True, 0)
        assert shown(app).count("›") == 1


async def test_a_click_reaches_it_and_another_one_follows_it(source: Any, make_live: Make, root: Root) -> None:
    source.root, source.in_flight = root, [make_live(1), make_live(2), make_live(3)]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        # Also on the first row, where the cursor stands unseen.
        await pilot.click(sessions(app).live, offset=(20, 0))
        await settle(pilot)
        assert sessions(app).in_flight == make_live(3)
        await pilot.click(sessions(app).live, offset=(20, 1))
        await settle(pilot)
        assert sessions(app).in_flight == make_live(2)
        await pilot.click(sessions(app).live, offset=(20, 1))
        await settle(pilot)
        assert isinstance(app.screen, FollowScreen)
        assert app.screen.session_id == make_live(2).session_id


async def test_what_needs_a_recording_says_so(source: Any, make_live: Make, shown: Shown) -> None:
    source.in_flight = [make_live(1)]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "space", "home", "up")
        for key in ("space", "d", "r", "t"):
            app.clear_notifications()
            await press(pilot, key)
            if key != "t":
                assert "this session is in flight: mark, compare, tag or replay" in shown(app)
                assert isinstance(app.screen, SessionsScreen)
        # With a mark, that one is what is tagged.
        assert not isinstance(app.screen, SessionsScreen)
        await press(pilot, "escape", "down", "down", "space", "home", "up", "d")
        assert isinstance(app.screen, DiffScreen)
        assert app.screen.session_ids == [source.listed[0].session_id, source.listed[1].session_id]


async def test_the_cursor_stays_on_its_session_while_others_come_and_it_grows(
    source: Any, make_live: Make, shown: Shown
) -> None:
    source.in_flight = [make_live(1), make_live(2)]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "up")
        source.in_flight = [make_live(1, events=640), make_live(2), make_live(3)]
        await look(pilot)
        assert sessions(app).in_flight == make_live(1, events=640)
        # Another one ends: nothing moves.
        source.in_flight = [make_live(1, events=650), make_live(3)]
        await look(pilot)
        assert sessions(app).in_flight == make_live(1, events=650)
        # It ends, and nothing is left of it: the keys are the next one's, and then the table's.
        source.in_flight = [make_live(3)]
        await look(pilot)
        assert sessions(app).in_flight == make_live(3)
        source.in_flight = []
        await look(pilot)
        assert sessions(app).in_flight is None
        assert sessions(app).table.has_focus
        assert "live" not in shown(app)


@pytest.mark.parametrize("stays", [True, False])
async def test_the_cursor_goes_from_a_call_that_ended_to_its_recording(
    root: Root, shown: Shown, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    writer, source = JournalWriter(root.journal, tick_s=0.001), RootSource(root)
    call = Session(writer)
    call.say("server", CREATED)
    call.catch_up()
    app = WiretapeApp(source)
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            # Nothing is recorded yet: the call has the cursor by itself.
            assert sessions(app).in_flight is not None
            assert "◌ 1 live" in shown(app)
            call.end()
            await look(pilot)
            assert "being sealed" in shown(app)
            seal(root.path, SESSION_ID)
            monkeypatch.setattr("analyze.tui.screens.sessions.REREAD_S", 0.0)
            if not stays:
                # As whoever types a filter over recordings that are gone by now.
                sessions(app).bar.enter()
            await look(pilot)
            assert "1 session" in shown(app)
            assert not sessions(app).live.display
            current = sessions(app).table.current
            assert current is not None
            assert current.session_id == SESSION_ID
            assert sessions(app).table.has_focus is stays
    finally:
        writer.close()
        source.close()


async def test_a_filter_is_typed_on_after_a_look_at_another_window(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "slash", *"region:sw")
        app.post_message(AppBlur())
        await look(pilot)
        app.post_message(AppFocus())
        await look(pilot)
        await press(pilot, *"eden", "enter")
        assert sessions(app).filter_text == "region:sweden"


async def test_a_session_that_ends_while_another_window_is_looked_at_hands_the_cursor_on(
    source: Any, make_live: Make
) -> None:
    source.in_flight = [make_live(1), make_live(2)]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "up")
        ended = sessions(app).in_flight
        assert ended is not None
        app.post_message(AppBlur())
        await look(pilot)
        assert (sessions(app).in_flight, sessions(app).live.is_pointing) == (ended, True)
        source.in_flight = [session for session in source.in_flight if session != ended]
        source.listed = [replace(source.listed[0], session_id=ended.session_id), *source.listed]
        await look(pilot)
        app.post_message(AppFocus())
        await look(pilot)
        current = sessions(app).table.current
        assert (sessions(app).in_flight, current and current.session_id) == (None, ended.session_id)


async def test_a_root_that_came_with_its_first_call_is_not_said_to_be_missing(
    source: Any, make_live: Make, shown: Shown, tmp_path: Path
) -> None:
    source.listed, source.root = [], Root(tmp_path / "new")
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "No recordings: there is no folder" in shown(app)
        source.in_flight = [make_live(1)]
        await look(pilot)
        assert "No recordings yet in" in shown(app)
        assert "there is no folder" not in shown(app)
