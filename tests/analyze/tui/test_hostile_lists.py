"""Whatever stands in a sessions row, the lists, the matrix, the forms and the palette show it: escaped, in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource
from capture.recording.root import open_root
from capture.recording.schema import TABLES
from tests.analyze.tui.hostile_root import HOSTILE, NASTY, Rows, acting, event_rows, session_rows, write_rows

Shown = Callable[[App[None]], str]

WALKS = {
    # Every order, the palette, a value taken, the filter completed, marks, a tag and a note, help.
    "sessions": [
        *("s", "o", *"fi", "enter", "S", "v", *"re", "enter", "escape", "slash", *"region:", "tab", "enter"),
        *("escape", "space", "t", *"a=b", "tab", "x", "enter", "end", "question_mark", "escape", "ctrl+p", *"2026"),
        *("escape", "f5"),
    ],
    "failures": [
        *("f", "x", "y", "right", "X", *"tag", "enter", "Y", *"first", "enter", "v", "enter", "t", "escape"),
        *("t", "enter"),
    ],
    "session, others and a replay": [
        "enter",
        "c",
        "escape",
        "d",
        "slash",
        *"x",
        "enter",
        "escape",
        "escape",
        "r",
        "tab",
    ],
    "several beside each other": ["space", "space", "space", "d", "2", "3", "4", "5"],
}
"""What is pressed on the list of sessions."""
WORST: Rows = [
    {field.name: HOSTILE for field in TABLES["sessions"] if str(field.type) == "string"}
    | {
        "session_id": f"2026{number}{HOSTILE}",
        "target": f"[/]{HOSTILE}",
        "outcome": "failed",
        "tags": [(HOSTILE, HOSTILE)],
        "failure_keys": [HOSTILE],
    }
    for number in range(3)
]


def write(folder: Path, rows: Rows) -> RootSource:
    root = open_root(folder)
    errors = [json.dumps({"type": "error", "error": {"type": text, "message": text}}) for text in NASTY[:6]]
    write_rows(root, "sessions", rows)
    write_rows(root, "events", [event for row in rows for event in event_rows(row["session_id"], errors)])
    return RootSource(root)


async def walk(source: RootSource, keys: list[str], shown: Shown) -> None:
    app = WiretapeApp(source)
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            for key in keys:
                await press(pilot, key)
                page = shown(app)
                assert acting(page) == set(), key
                assert "could not be read" not in page, key
    finally:
        source.close()


@pytest.mark.parametrize("name", WALKS)
@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(session_rows().map(lambda rows: WORST + rows))
async def test_any_row_is_shown(
    tmp_path_factory: pytest.TempPathFactory, shown: Shown, name: str, rows: list[dict[str, Any]]
) -> None:
    await walk(write(tmp_path_factory.mktemp("root"), rows), WALKS[name], shown)


@pytest.mark.slow
async def test_what_is_as_long_as_a_message_can_be_holds_nothing_up(tmp_path: Path, shown: Shown) -> None:
    long = "word \x1b[2J" * (16 * 1024 * 1024 // 9)
    row: dict[str, Any] = {
        "session_id": "20260212T083055-00000001",
        "outcome": "failed",
        "region": long,
        "first_error": long,
    }
    row |= {"failure_keys": [long], "tags": [(long, long)]}
    source = write(tmp_path / "root", [row])
    await walk(source, ["end", "v", "escape", "f", "x", "t", "f", "enter", "escape", "r"], shown)
