from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.screen import ModalScreen, Screen

from analyze.tui import screens
from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain
from analyze.tui.screens.help import key_lines, sign_lines
from analyze.tui.screenshot import press, settle


async def test_help_lists_every_key_of_the_screen_beneath(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "question_mark")
        for words in ("Open the session under the cursor", "Turn the order round", "incomplete: bytes were lost"):
            assert words in shown(app)


async def test_keys_that_do_the_same_stand_together(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        assert "f tab" in written_keys(app)


async def test_every_key_is_told_in_a_sentence(source: Any) -> None:
    app = WiretapeApp(source, start="failures")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        told = [plain(line)[14:].strip() for line in key_lines(app.screen)]
        assert {"Sessions of the cell", "Take another dimension for the rows", "Quit"} <= set(told)


def written_keys(app: App[None]) -> list[str]:
    return [plain(line).split("  ")[0] for line in key_lines(app.screen)]


def bound(screen: type[Screen[Any]]) -> list[str]:
    return [binding.action for binding in screen.BINDINGS if isinstance(binding, Binding)]


def test_every_screen_that_is_no_box_has_help() -> None:
    modules = [import_module(f"{screens.__name__}.{each.name}") for each in iter_modules(screens.__path__)]
    classes = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    whole = [
        each
        for each in classes
        if issubclass(each, Screen) and each is not Screen and not issubclass(each, ModalScreen)
    ]
    with_keys = {each.__name__: bound(each) for each in whole if "CSS_PATH" in vars(each)}
    assert {"ConfigurationScreen", "WaterfallScreen", "PickScreen", "SessionsScreen"} <= with_keys.keys()
    assert [name for name, actions in with_keys.items() if "app.help" not in actions] == []


def test_every_sign_says_what_it_means() -> None:
    assert [plain(line).split()[0] for line in sign_lines()][:5] == ["●", "▲", "?", "◐", "◌"]


async def test_in_a_terminal_of_24_lines_the_help_scrolls_to_the_last_sign(
    source: Any, shown: Callable[[App[None]], str]
) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "question_mark")
        assert "Go to the next event that failed" in shown(app)
        assert "equal on both sides" not in shown(app)
        await press(pilot, "end")
        assert "only right · only left" in shown(app)


async def test_keys_of_one_kind_stand_one_below_the_other(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        assert written_keys(app)[4:10] == ["v", "l", "s", "S", "o", "t"]
        await press(pilot, "enter")
        assert written_keys(app)[:11] == ["n", "N", "e", "enter", "j", "J", "+ =", "-", "0", "→", "←"]


async def test_the_keys_of_what_has_the_focus_are_told_first(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        assert [plain(line) for line in key_lines(app.screen)][:3] == [
            "enter         Fold or unfold the object or list at the cursor",
            "z             Fold all nested objects and lists, or unfold them",
            "n             Go to the next event that failed",
        ]
