from __future__ import annotations

from textual.command import CommandPalette
from textual.widgets import OptionList

from analyze.tui.app import WiretapeApp
from analyze.tui.palette import ScreenCommands
from analyze.tui.screens.failures import FailuresScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import Source


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
