from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from analyze.tui.app import WiretapeApp
from analyze.tui.console_source import ConsoleSource
from analyze.tui.screens.failures import FailuresScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screens.sql import SqlScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.sql_history import SqlHistory, default_path
from tests.sample import CALL, copy_sample

Shown = Callable[[App[None]], str]


def screen_of(app: WiretapeApp) -> SqlScreen:
    assert isinstance(app.screen, SqlScreen)
    return app.screen


async def run(pilot: Pilot[None], app: WiretapeApp, statement: str) -> None:
    screen_of(app).editor.fill(statement)
    screen_of(app).action_run()
    await settle(pilot)


async def test_from_the_first_screen_to_an_answer_and_back(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "colon")
        assert "-- Failure rate per region and hour" in shown(app)
        await press(pilot, "ctrl+r")
        assert "2 rows · 6 columns" in shown(app)
        assert "eastus2" in shown(app)
        # Letters are keys only outside the editor.
        await press(pilot, "e", "q", "f")
        assert isinstance(app.screen, SqlScreen)
        assert screen_of(app).editor.text.startswith("qf-- Failure")
        assert "q quit" not in shown(app)
        await press(pilot, "escape")
        assert "q quit" in shown(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, SessionsScreen)
        await press(pilot, "colon", "f")
        assert isinstance(app.screen, FailuresScreen)


async def test_what_is_typed_first_takes_the_place_of_what_the_editor_begins_with(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "colon")
        assert "typing replaces it" in shown(app)
        await press(pilot, *"SELECT 1 AS n")
        assert screen_of(app).editor.text == "SELECT 1 AS n"
        # Of what was run a part is changed.
        await press(pilot, "ctrl+r", "e", "end", *"o")
        assert screen_of(app).editor.text == "SELECT 1 AS no"


async def test_an_error_is_a_sentence_with_its_place(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await run(pilot, app, "SELECT regoin FROM sessions")
        page = shown(app)
        assert "▲ this SQL cannot be run: Binder Error" in page
        assert '"region"' in page
        lines = page.split("\n")
        below = next(number for number, line in enumerate(lines) if line.strip(" ▲│").startswith("^"))
        assert lines[below].index("^") == lines[below - 1].index("regoin")
        await run(pilot, app, "DELETE FROM sessions")
        assert "only one SELECT or EXPLAIN" in shown(app)
        await run(pilot, app, "COPY sessions TO '/tmp/x.csv'")
        assert "only one SELECT or EXPLAIN" in shown(app)
        await run(pilot, app, "SELECT 1 AS one")
        assert "▲" not in shown(app)


async def test_hostile_cells_stay_text(source: Any, shown: Shown, hostile: str) -> None:
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await run(pilot, app, f"SELECT '{hostile}' AS said, '[bold]x' AS \"[red]n\"")
        assert "\\x1b[31mred" in shown(app)
        assert "[red]n" in shown(app)
        assert "\x1b" not in shown(app)
        await press(pilot, "enter")
        assert "[bold]not bold[/bold] \\u202e" in shown(app)


async def test_what_runs_long_is_broken_off_by_escape(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        screen = screen_of(app)
        screen.editor.fill("SELECT COUNT(*) FROM range(1000000000) a, range(1000000000) b")
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert "running … escape breaks it off" in shown(app)
        await pilot.press("ctrl+r")
        await pilot.press("escape")
        await settle(pilot)
        assert "▲ broken off" in shown(app)
        assert not screen.running
        await run(pilot, app, "SELECT 42 AS answer")
        assert "1 row · 1 column" in shown(app)


async def test_tab_completes_and_the_candidates_are_shown(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        screen = screen_of(app)
        screen.editor.fill("")
        await pilot.press(*"from trans")
        await settle(pilot)
        assert "transcriptions" in shown(app)
        await press(pilot, "tab")
        assert screen.editor.text == "from transcriptions"


async def test_statements_are_remembered_over_a_restart(source: Any) -> None:
    for _ in range(2):
        app = WiretapeApp(source, start="sql")
        async with app.run_test() as pilot:
            await settle(pilot)
            await run(pilot, app, "SELECT 'sk-proj-abcdefghijklmnopqrstuvwxyz0123456789' AS key")
            await run(pilot, app, "SELECT 7 AS seven")
    app = WiretapeApp(source, start="sql")
    async with app.run_test() as pilot:
        await settle(pilot)
        assert screen_of(app).editor.text == "SELECT 7 AS seven"
        await press(pilot, "ctrl+up", "ctrl+up")
        assert screen_of(app).editor.text == "SELECT '[redacted]' AS key"
    assert len(SqlHistory(default_path()).statements) == 2


async def test_an_answer_is_exported_and_a_row_leads_to_its_session(
    source: Any, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+s")
        assert isinstance(app.screen, SqlScreen)
        listed = source.listed[0].session_id
        await run(pilot, app, f"SELECT '{listed}' AS session_id, 1 AS one")
        await press(pilot, "ctrl+s", *["backspace"] * 3, *"json", "enter")
        assert "1 row in" in shown(app)
        assert json.loads((tmp_path / "answer.json").read_text()) == [{"session_id": listed, "one": 1}]
        await press(pilot, "ctrl+s", "end", "x", "enter")
        assert "▲ 'answer.csvx' does not say in which format" in shown(app)
        await press(pilot, "escape", "o")
        assert isinstance(app.screen, SessionScreen)
        await press(pilot, "escape")
        await run(pilot, app, "SELECT 1 AS one")
        await press(pilot, "o")
        assert isinstance(app.screen, SqlScreen)


async def test_saved_questions_explanations_and_a_fresh_look(
    root: Any, source: Any, shown: Shown, ok_session: str
) -> None:
    source.console = ConsoleSource(root)
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+o", "end", "up", "up", "enter")
        assert "-- Tokens and minutes" in shown(app)
        assert "1 row · 8 columns" in shown(app)
        await run(pilot, app, "EXPLAIN SELECT COUNT(*) FROM sessions")
        assert "plan" in shown(app)
        await run(pilot, app, "   ")
        await run(pilot, app, "SELECT COUNT(*) AS n FROM sessions")
        await press(pilot, "f5")
        assert "1 row · 1 column" in shown(app)
    source.console.close()


async def test_an_answer_without_some_files_says_so(source: Any, shown: Shown, tmp_path: Path) -> None:
    root = copy_sample(tmp_path)
    root.table_file("events", CALL).write_bytes(b"cut off")
    source.console = ConsoleSource(root)
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await run(pilot, app, "SELECT DISTINCT session_id FROM events")
        assert "20 rows · 1 column" in shown(app)
        assert "1 file left out: Sessions says why" in shown(app)
