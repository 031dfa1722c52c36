from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain
from analyze.tui.screens.annotate import AnnotateScreen, said_lines
from analyze.tui.screenshot import press, settle


def test_what_was_said_of_one_session_is_shown_escaped(source: Any, hostile: str) -> None:
    said = replace(source.listed[0], tags={"cause": "net", "demo": ""}, notes=("first", hostile))
    tags, first, second = map(plain, said_lines([said]))
    assert tags == "  cause=net · demo"
    assert first == "  ✎ first"
    assert "\x1b" not in second
    assert "[bold]not bold[/bold]" in second


def test_nothing_is_shown_of_several(source: Any) -> None:
    assert said_lines(source.listed[:2]) == said_lines(source.listed[:1]) == []


async def test_what_is_wrong_with_a_tag_is_said_in_full(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(AnnotateScreen(source.listed[:1]))
        await settle(pilot)
        await press(pilot, *"cause", "enter")
        assert "away; not 'cause'" in shown(app)
