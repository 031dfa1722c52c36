from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from analyze.tui.screenshot import press, settle
from analyze.tui.sql_history import SqlHistory
from analyze.tui.tones import DARK_THEME, LIGHT_THEME
from analyze.tui.widgets.sql_editor import SqlEditor, token_spans

CATALOG = {"sessions": ("session_id", "region", "request_ids"), "events": ("session_id", "type")}


class Editing(App[None]):
    def __init__(self, history: SqlHistory) -> None:
        super().__init__()
        self.editor = SqlEditor(history)
        self.editor.catalog = CATALOG
        self.said: list[SqlEditor.Completing] = []
        self.left = 0

    def compose(self) -> ComposeResult:
        yield self.editor

    def on_mount(self) -> None:
        for theme in (DARK_THEME, LIGHT_THEME):
            self.register_theme(theme)
        self.theme = DARK_THEME.name
        self.editor.focus()

    def on_sql_editor_completing(self, event: SqlEditor.Completing) -> None:
        self.said.append(event)

    def on_sql_editor_left(self) -> None:
        self.left += 1


@pytest.fixture
def app(tmp_path: Path) -> Editing:
    history = SqlHistory(tmp_path / "history.jsonl")
    history.add("SELECT 1")
    history.add("SELECT 2")
    return Editing(history)


async def test_tab_completes_then_goes_on_to_the_next_that_fits(app: Editing) -> None:
    async with app.run_test() as pilot:
        await pilot.press(*"select re")
        await settle(pilot)
        app.editor.fill("SELECT re\nFROM sessions")
        app.editor.move_cursor((0, 9))
        await press(pilot, "tab")
        assert app.editor.text == "SELECT region\nFROM sessions"
        await press(pilot, "tab")
        assert app.editor.text == "SELECT request_ids\nFROM sessions"
        assert (app.said[-1].candidates, app.said[-1].chosen) == (("region", "request_ids", "WHERE"), 1)
        await press(pilot, "comma", "r")
        assert app.editor.text.startswith("SELECT request_ids,r")
        assert (app.said[-1].candidates[:2], app.said[-1].chosen) == (("region", "request_ids"), None)
        assert app.left == 0
        await press(pilot, "space", "tab")
        assert app.left == 1


async def test_statements_that_were_run_are_recalled(app: Editing) -> None:
    async with app.run_test() as pilot:
        await press(pilot, "x")
        app.editor.action_recall(-1)
        app.editor.action_recall(-1)
        assert app.editor.text == "SELECT 1"
        for _ in range(3):
            app.editor.action_recall(1)
        await settle(pilot)
        assert app.editor.text == "x"


@pytest.mark.skipif(int(duckdb.__version__.split(".")[0]) < 2, reason="the engine tells of no comment")
async def test_tokens_are_coloured_and_follow_the_theme(app: Editing) -> None:
    async with app.run_test() as pilot:
        app.editor.fill("SELECT 'ü' -- why\nFROM x /* one\ntwo */ WHERE 1 = 2")
        await settle(pilot)
        kinds = [[span[2] for span in app.editor._highlights[line]] for line in range(3)]
        assert kinds[0] == ["keyword", "string", "comment"]
        assert kinds[1:] == [
            ["keyword", "identifier", "comment"],
            ["comment", "keyword", "number", "operator", "number"],
        ]
        assert app.editor.theme == "wiretape-sql-dark"
        app.theme = LIGHT_THEME.name
        await settle(pilot)
        assert app.editor.theme == "wiretape-sql-light"


@given(st.text(alphabet="SELECT 'é\n-/*1;\"$😀\x1b", max_size=80))
def test_spans_lie_on_their_lines(text: str) -> None:
    lines = text.encode().split(b"\n")
    for line, first, last, _ in token_spans(text):
        assert 0 <= first <= last <= len(lines[line])
