from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.widgets import Input

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.export import Destination, ExportScreen
from analyze.tui.screenshot import press, settle


async def test_a_file_that_is_there_is_overwritten_only_after_a_second_enter(
    source: Any, tmp_path: Path, shown: Callable[[App[None]], str]
) -> None:
    (tmp_path / "answer.csv").write_text("mine")
    app = WiretapeApp(source)
    given: list[Destination | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(ExportScreen(tmp_path), given.append)
        await press(pilot, "enter")
        assert given == []
        assert "there already, and enter again overwrites it: answer.csv" in shown(app)
        await press(pilot, "backspace", "x")
        assert "already" not in shown(app)
        await press(pilot, "backspace", "v", "enter", "enter")
        app.push_screen(ExportScreen(tmp_path), given.append)
        await press(pilot, *["left"] * 4, "2", "enter")
        app.push_screen(ExportScreen(tmp_path), given.append)
        await press(pilot, "escape")
    assert given == [
        Destination(tmp_path / "answer.csv", overwrite=True),
        Destination(tmp_path / "answer2.csv", overwrite=False),
        None,
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("there.csv", "there.csv is a folder"),
        ("answer.txt", "does not say in which format"),
        ("elsewhere/answer.csv", "there is no folder"),
        ("a" * 240 + ".json", "there already, and enter again overwrites it"),
    ],
)
async def test_a_name_that_cannot_be_written_is_asked_for_again(
    name: str, words: str, source: Any, tmp_path: Path, shown: Callable[[App[None]], str]
) -> None:
    (tmp_path / "there.csv").mkdir()
    (tmp_path / ("a" * 240 + ".json")).touch()
    app = WiretapeApp(source)
    given: list[Destination | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(ExportScreen(tmp_path), given.append)
        await settle(pilot)
        app.screen.query_one(Input).value = name
        await press(pilot, "enter")
        assert words in " ".join(shown(app).split())
        assert app.screen.query_one(Input).value == name
    assert given == []
