from __future__ import annotations

from typing import Any

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.command import CommandScreen
from analyze.tui.screenshot import press, settle


async def test_the_command_is_copied_when_it_opens_and_again(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(CommandScreen("wiretape replay run 'a b'"))
        await settle(pilot)
        assert app.clipboard == "wiretape replay run 'a b'"
        app.copy_to_clipboard("else")
        await press(pilot, "y")
        assert app.clipboard == "wiretape replay run 'a b'"
        await press(pilot, "escape")
        assert not isinstance(app.screen, CommandScreen)
