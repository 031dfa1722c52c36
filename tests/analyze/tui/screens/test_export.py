from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App

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
        assert "answer.csv is there already: enter again overwrites it" in shown(app)
        await press(pilot, "backspace", "x")
        assert "already" not in shown(app)
        await press(pilot, "backspace", "v", "enter", "enter")
        app.push_screen(ExportScreen(tmp_path), given.append)
        await press(pilot, "2", "enter")
        app.push_screen(ExportScreen(tmp_path), given.append)
        await press(pilot, "escape")
    assert given == [
        Destination(tmp_path / "answer.csv", overwrite=True),
        Destination(tmp_path / "answer.csv2", overwrite=False),
        None,
    ]
