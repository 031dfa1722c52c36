from __future__ import annotations

from dataclasses import replace
from typing import Any

from analyze.tui.lines import plain
from analyze.tui.screens.annotate import said_lines


def test_what_was_said_of_one_session_is_shown_escaped(source: Any, hostile: str) -> None:
    said = replace(source.listed[0], tags={"cause": "net", "demo": ""}, notes=("first", hostile))
    tags, first, second = map(plain, said_lines([said]))
    assert tags == "  cause=net · demo"
    assert first == "  ✎ first"
    assert "\x1b" not in second
    assert "[bold]not bold[/bold]" in second


def test_nothing_is_shown_of_several(source: Any) -> None:
    assert said_lines(source.listed[:2]) == said_lines(source.listed[:1]) == []
