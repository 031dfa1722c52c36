from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.widgets import Input

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.annotate import AnnotateScreen
from analyze.tui.screens.marking import COMPARED, MarkingScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from capture.errors import UsageProblem

Shown = Callable[[App[None]], str]


def sessions(app: WiretapeApp) -> SessionsScreen:
    assert isinstance(app.screen, SessionsScreen)
    return app.screen


async def test_any_number_of_sessions_can_be_marked_and_eight_are_compared(
    source: Any, monkeypatch: Any, shown: Shown
) -> None:
    chosen: list[list[str]] = []
    monkeypatch.setattr(
        WiretapeApp, "on_source_screen_diff_chosen", lambda _, message: chosen.append(message.session_ids)
    )
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, *["space"] * 10)
        ids = [session.session_id for session in source.listed[:10]]
        assert list(sessions(app).marks) == ids
        await press(pilot, "d")
        assert chosen == [ids[:COMPARED]]
        assert "compared are the first 8 of 10 marked sessions" in shown(app)
        await press(pilot, "up", "space", "escape")
        assert sessions(app).marks == {}
        assert isinstance(app.screen, MarkingScreen)


async def test_a_session_that_is_dropped_loses_its_mark(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "space", "space")
        dropped, other = sessions(app).marks
        # Out of the filter's sight is not gone.
        await pilot.press("slash", *"region:nowhere")
        await press(pilot, "enter", "f5")
        assert list(sessions(app).marks) == [dropped, other]
        source.listed = [session for session in source.listed if session.session_id != dropped]
        await press(pilot, "f5", "d")
        assert list(sessions(app).marks) == [other]
        assert "mark sessions with space" in shown(app)


async def test_tags_and_a_note_are_written_for_all_that_are_marked(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(200, 50), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "space", "space", "t")
        assert isinstance(app.screen, AnnotateScreen)
        assert "Tags and a note for 2 sessions" in shown(app)
        await pilot.press(*"cause=net old=")
        await press(pilot, "tab")
        await pilot.press(*"echo")
        await press(pilot, "enter")
        ids = tuple(session.session_id for session in source.listed[:2])
        assert ("annotate", ids, {"cause": "net", "old": None}, ("echo",)) in source.asked
        assert shown(app).count("cause=net ✎ echo") == 2
        assert sessions(app).marks == {}
        # What was said is shown where more is to be said.
        await press(pilot, "home", "t")
        assert "✎ echo" in shown(app)
        await pilot.press(*"no tag")
        await press(pilot, "enter")
        assert "a tag is NAME=VALUE" in shown(app)
        app.screen.query_one("#tags", Input).value = ""
        await press(pilot, "enter")
        assert isinstance(app.screen, SessionsScreen)
        assert [question[0] for question in source.asked].count("annotate") == 1


async def test_a_note_that_cannot_be_written_is_a_sentence(source: Any, shown: Shown) -> None:
    source.failing["annotate"] = OSError("disk full")
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "t", "tab")
        await pilot.press(*"echo")
        await press(pilot, "enter")
        assert "disk full" in shown(app)


async def test_what_cannot_be_written_stays_in_its_fields_until_it_can(source: Any, shown: Shown) -> None:
    source.failing["annotate"] = UsageProblem("cannot write to annotations: No space left on device")
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "t")
        await pilot.press(*'ticket="A 42" old=')
        await press(pilot, "tab")
        await pilot.press(*"heard an echo")
        await press(pilot, "enter")
        assert isinstance(app.screen, AnnotateScreen)
        assert "▲ cannot write to annotations: No space left on device" in shown(app)
        assert "heard an echo" in shown(app)
        source.failing.clear()
        await press(pilot, "enter")
        written = ("annotate", (source.listed[0].session_id,), {"ticket": "A 42", "old": None}, ("heard an echo",))
        assert source.asked.count(written) == 2
        assert "written down for 1 session" in shown(app)
        assert isinstance(app.screen, SessionsScreen)


async def test_nothing_is_typed_for_a_root_that_nothing_can_be_written_to(source: Any, shown: Shown) -> None:
    source.root.annotations.touch()
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "t")
        assert isinstance(app.screen, SessionsScreen)
        assert "▲ cannot write tags and notes to" in shown(app)
        source.root.annotations.unlink()
        await press(pilot, "t")
        assert isinstance(app.screen, AnnotateScreen)
        await press(pilot, "escape")
        assert "cannot write" not in shown(app)
