"""Whatever is typed, pasted or answered, the SQL screen, the filter and the forms show it escaped, or refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual import events
from textual.app import App
from textual.pilot import Pilot

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.sql import SqlScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource
from analyze.tui.sql_history import SqlHistory
from analyze.tui.widgets.text_field import TextField
from tests.analyze.tui.conftest import TARGETS
from tests.analyze.tui.hostile_root import HOSTILE, NASTY, acting
from tests.sample import CALL, SAMPLE, copy_sample

Shown = Callable[[App[None]], str]
VALUES = (
    *(
        "NULL",
        "'NaN'::DOUBLE",
        "'-inf'::DOUBLE",
        "1e308",
        "-9223372036854775808",
        "170141183460469231731687303715884105727",
    ),
    *("TIMESTAMP 'infinity'", "TIMESTAMP '290309-12-22 (BC) 00:00:00'", "TIMESTAMPTZ '294247-01-10 04:00:54.775+00'"),
    *(
        "DATE '5877642-06-25 (BC)'",
        "DATE 'infinity'",
        "TIME '24:00:00'",
        "INTERVAL '9 years'",
        "'\\xFF\\x00'::BLOB",
    ),
    *("REPEAT('word', 4000000)", "REPEAT('[', 20000)", "RANGE(100000)", "MAP {'a': [1, NULL]}", "{'a': {'b': NULL}}"),
    *("chr(0)", "chr(27) || '[2J'", "chr(8238)", "uuid()", "'1'::BIT", "0.1::DECIMAL(38, 37)", "[]"),
)
"""What a column of an answer may hold, in SQL."""
FILE = HOSTILE.replace("/", "") + ".csv"


def literal(text: str) -> str:
    """Write text as SQL does; the engine takes no NUL in a statement."""
    return "'" + text.replace("'", "''").replace("\x00", "") + "'"


def named(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\x00", "") + '"'


CELLS = st.sampled_from(VALUES) | st.sampled_from(NASTY).map(literal)


def check(app: App[None], shown: Shown, key: str) -> None:
    page = shown(app)
    assert acting(page) == set(), key
    assert "could not be read" not in page, key


async def walk(pilot: Pilot[None], shown: Shown, *keys: str) -> None:
    for key in keys:
        await press(pilot, key)
        check(pilot.app, shown, key)


async def ask(pilot: Pilot[None], statement: str, shown: Shown) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, SqlScreen)
    screen.editor.focus()
    screen.editor.fill(statement)
    await walk(pilot, shown, "ctrl+r")


@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(NASTY).filter(lambda name: name.strip("\x00")), CELLS), min_size=1, max_size=9)
)
async def test_any_answer_and_any_error_is_shown(
    source: Any, tmp_path: Path, shown: Shown, columns: list[tuple[str, str]]
) -> None:
    every = [*((HOSTILE, value) for value in VALUES), *columns]
    selected = ", ".join(f"{value} AS {named(name)}" for name, value in every)
    SqlHistory(tmp_path / "state" / "wiretape" / "sql_history.jsonl").add(f"SELECT {literal(HOSTILE)}")
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, f"SELECT {selected}", shown)
        await walk(pilot, shown, "right", "right", "end", "enter", "pagedown", "end", "escape", "o", "e", "ctrl+up")
        for wrong in (
            "SELECT " + named(columns[0][0]),
            f"SELECT error({literal(HOSTILE)})",
            HOSTILE,
            "\udc80",
        ):
            await ask(pilot, wrong, shown)
            assert "▲" in shown(app)
        await walk(pilot, shown, "escape", "ctrl+o", "escape")


async def test_an_export_is_named_by_anything(source: Any, shown: Shown, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    app = WiretapeApp(source, start="sql")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "SELECT 1 AS one", shown)
        for name in (
            FILE,
            FILE,
            "\x00.csv",
            "a" * 300 + ".csv",
            "no/such/folder.json",
            ".csv",
            "/",
        ):
            await walk(pilot, shown, "ctrl+s")
            app.screen.query_one(TextField).value = name
            await walk(pilot, shown, "enter", "enter", "escape")
            app.switch_mode("sql")
            await settle(pilot)
    assert (tmp_path / FILE).read_text() == "one\n1\n"


REFUSED = ("since:99999999999999999999d", "until:0001-01-01T00:00+14:00", "\udc80")
TYPED = st.sampled_from(
    [
        *(*NASTY, "since:99999999999999999999d", "until:9999-12-31T23:59:59-14:00", "since:0001-01-01T00:00+14:00"),
        *(
            "turns:>1e999",
            "turns:" + "9" * 400,
            "region:'",
            "=",
            "= SELECT '",
            "finding:\x1b",
            "tag:=",
            "-",
            "\udc80",
            "a:b:c",
        ),
    ]
) | st.text(max_size=20)


@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(TYPED, min_size=3, max_size=3).map(lambda typed: [*REFUSED, *typed]))
async def test_any_filter_is_read_or_refused_with_a_sentence(shown: Shown, typed: list[str]) -> None:
    real = RootSource(SAMPLE)
    app = WiretapeApp(real)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            for each in typed:
                await walk(pilot, shown, "slash")
                app.screen.query_one(TextField).value = ""
                app.screen.query_one(TextField).post_message(events.Paste(each))
                await walk(pilot, shown, "tab", "slash", "enter")
            await walk(pilot, shown, "l", "x", "enter", "l", "escape", "f")
    finally:
        real.close()


async def test_the_replay_form_takes_anything(
    source: Any, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile_target = (
        '[targets."\\u001b[31m[bold]"]\nurl = "ws://127.0.0.1:9/x"\nmodel = "[/]\\u202e"\nregion = "\\u0007"\n'
    )
    (tmp_path / "wiretape.toml").write_text(TARGETS + hostile_target)
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    source.root = copy_sample(tmp_path)
    source.listed = [replace(source.listed[-1], session_id=CALL)]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await walk(pilot, shown, "r", "down", "down", "space")
        for field in ("#url", "#change", "#trials"):
            for typed in (
                *NASTY[:4],
                "wss://[::1",
                "session.x=" + HOSTILE,
                "session.audio.output.voice=" + HOSTILE,
                "9" * 30,
            ):
                app.screen.query_one(field).focus()
                app.screen.query_one(field).post_message(events.Paste(typed))
                await pilot.pause()
                await walk(pilot, shown, "enter")
                await pilot.press("ctrl+u")
        await walk(pilot, shown, "ctrl+y", "escape", "ctrl+r", "escape", "question_mark", "escape")
