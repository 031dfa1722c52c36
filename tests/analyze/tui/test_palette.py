from __future__ import annotations

from typing import Any

from textual.command import CommandPalette
from textual.widgets import OptionList

from analyze.tui.app import WiretapeApp
from analyze.tui.palette import ScreenCommands, SessionJump
from analyze.tui.screens.failures import FailuresScreen
from analyze.tui.screens.follow import FollowScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sql import SqlScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource, Source
from capture.recording.root import Root

FIRST_ID = "20260212T083055-4f3a9c12"


async def test_every_key_of_a_screen_is_a_command(source: Source) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        commands = [str(hit.text) async for hit in ScreenCommands(app.screen).discover()]
    assert commands[:3] == [
        "Open the session under the cursor",
        "Mark or unmark the session for a comparison",
        "Compare the marked sessions, or the marked one with the current",
    ]
    assert {"Turn the order round", "Look at the root again", "Leave wiretape"} <= set(commands)


async def test_a_command_found_by_its_words_does_what_its_key_does(source: Source) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        hits = [hit async for hit in ScreenCommands(app.screen).search("failures")]
        hits[0].command()
        await settle(pilot)
        assert isinstance(app.screen, FailuresScreen)


async def test_the_palette_lists_themes_and_our_commands(source: Source) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await app.workers.wait_for_complete()
        await pilot.pause()
        listed = app.screen.query_one(OptionList)
        words = " ".join(str(listed.get_option_at_index(at).prompt) for at in range(listed.option_count))
        assert "Theme" in words
        assert "Filter the sessions" in words
        await press(pilot, "escape")


async def test_main_screens_and_saved_questions_are_found_from_anywhere(source: Source) -> None:
    app = WiretapeApp(source, start=FIRST_ID)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        commands = [str(hit.text) async for hit in ScreenCommands(app.screen).discover()]
        assert {"Go to Sessions", "Go to Failures", "Go to SQL"} <= set(commands)
        hits = [hit async for hit in ScreenCommands(app.screen).search("slowest turns")]
        assert hits[0].help == "saved question, in SQL"
        app.call_next(hits[0].command)
        await settle(pilot)
        assert isinstance(app.screen, SqlScreen)
        assert app.screen.results.row_count == 21


async def test_a_session_is_opened_by_the_beginning_or_the_end_of_its_id(
    root: Root, failed_session: str, ok_session: str
) -> None:
    source = RootSource(root)
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)

        async def found(query: str) -> list[str]:
            return [str(hit.text) async for hit in SessionJump(app.screen).search(query)]

        assert await found("20260212t08") == [ok_session, failed_session]
        assert await found("0000a") == [failed_session]
        assert await found("20") == await found("region:x") == await found("ffff") == []
        await pilot.press("ctrl+p", *"0000a")
        await settle(pilot)
        await press(pilot, "enter")
        assert isinstance(app.screen, SessionScreen)
        assert app.screen.session_id == failed_session
    source.close()


async def test_a_session_in_flight_is_followed_by_its_id(source: Any, make_live: Any, root: Root) -> None:
    source.root, source.in_flight = root, [make_live(1), make_live(2)]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        hits = [hit async for hit in SessionJump(app.screen).search("20260212t0931")]
        assert [str(hit.text) for hit in hits] == [make_live(2).session_id, make_live(1).session_id]
        (hit,) = [hit async for hit in SessionJump(app.screen).search("0000001")]
        hit.command()
        await settle(pilot)
        assert isinstance(app.screen, FollowScreen)
        assert app.screen.session_id == make_live(1).session_id
