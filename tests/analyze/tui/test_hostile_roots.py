"""A root that is damaged, loses files or is compacted while it is on the screen: named, left out, and on it goes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from textual.app import App
from textual.pilot import Pilot

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screens.sql import SqlScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn

Shown = Callable[[App[None]], str]
HOME = Path(__file__).parents[3]
IDS = [f"20260212T08305{number}-0000000{number}" for number in range(4)]
ASKED = "SELECT session_id, COUNT(*) AS messages FROM events GROUP BY ALL ORDER BY ALL"


@pytest.fixture
def recorded(root: Root) -> Root:
    """Record sessions, every other one failed."""
    for number, session_id in enumerate(IDS):
        key = "conversation.item.input_audio_transcription.failed|server_error||"
        failed = {"outcome": "failed", "failure_keys": [key]} if number % 2 else {}
        trace = Trace(session_id, {"region": ("eastus2", "swedencentral")[number % 2], **failed})
        configure(trace)
        spoken_turn(trace, 20, transcript=None if number % 2 else "hello")
        trace.frame("client", 1000, "close", b"\x03\xe8bye")
        trace.write(root)
    return root


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_the_middle(path: Path) -> None:
    """Leave the footer as it was: what is wrong shows when the pages are read."""
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 3] = b"\xff" * (len(content) // 3 - 4)
    path.write_bytes(content)


def put_no_text(path: Path) -> None:
    """Put bytes that are no UTF-8 where the file says it has text."""
    stored = pq.read_table(path)
    words = pa.array([b"\xff\xfe\x1b[2J"] * len(stored), pa.binary())
    raw = pa.Array.from_buffers(pa.string(), len(words), words.buffers())
    names = [name for name in ("region", "type", "format") if name in stored.column_names]
    for name in names:
        stored = stored.set_column(stored.column_names.index(name), name, raw)
    pq.write_table(stored, path)


# What the pages of the sessions and the messages hold, and how much of the audio there is.
DAMAGES: dict[str, dict[str, Callable[[Path], None]]] = {
    "damaged": {"sessions": put_no_text, "events": spoil_the_middle, "audio": cut},
    "cut off": {"sessions": cut, "events": cut, "audio": spoil_the_middle},
    "deleted": dict.fromkeys(("sessions", "events", "audio"), Path.unlink),
}


async def walk(pilot: Pilot[None], shown: Shown, *keys: str) -> None:
    for key in keys:
        await press(pilot, key)
        assert "could not be read" not in shown(pilot.app), key


async def ask(pilot: Pilot[None]) -> int:
    """Ask in SQL for the messages of each session; give how many sessions have some."""
    screen = pilot.app.screen
    assert isinstance(screen, SqlScreen)
    screen.editor.focus()
    screen.editor.fill(ASKED)
    await press(pilot, "ctrl+r")
    return screen.results.row_count


async def go_through(pilot: Pilot[None], shown: Shown) -> None:
    """Open every session, compare them, count failures, ask in SQL; end on the list."""
    await walk(pilot, shown, "home")
    for _ in IDS:
        await walk(pilot, shown, "enter", "q", "down")
    await walk(pilot, shown, "home", *["space"] * len(IDS), "d", "4", "q", "escape")
    await walk(pilot, shown, "f", "t", "t", "f")


@pytest.mark.parametrize("kind", DAMAGES)
async def test_files_that_go_bad_while_they_are_shown(recorded: Root, shown: Shown, kind: str) -> None:
    source = RootSource(recorded)
    app = WiretapeApp(source)
    try:
        async with app.run_test(size=(140, 40)) as pilot:
            await settle(pilot)
            await walk(pilot, shown, "enter", "q", "colon")
            assert await ask(pilot) == len(IDS)
            for (table, damage), session_id in zip(DAMAGES[kind].items(), IDS, strict=False):
                damage(recorded.table_file(table, session_id))
            app.switch_mode("sessions")
            await settle(pilot)
            await go_through(pilot, shown)
            await walk(pilot, shown, "f5", "end", "enter", "q")
            assert isinstance(app.screen, SessionsScreen)
            # A row that was read before is good as it was read; the other two are named.
            assert ("3 of 3" if kind == "deleted" else "4 of 4") in shown(app)
            assert kind == "deleted" or "left out: " in shown(app)
            app.switch_mode("sql")
            await settle(pilot)
            await walk(pilot, shown, "f5")
            # One has lost its row, one its messages.
            assert await ask(pilot) == len(IDS) - 2
    finally:
        source.close()


async def test_a_root_that_is_compacted_while_it_is_shown(recorded: Root, shown: Shown) -> None:
    source = RootSource(recorded)
    app = WiretapeApp(source)
    try:
        async with app.run_test(size=(140, 40)) as pilot:
            await settle(pilot)
            await walk(pilot, shown, "enter", "q")
            command = [
                sys.executable,
                str(HOME / "wiretape.py"),
                "capture",
                "compact",
                "--recordings",
                str(recorded.path),
            ]
            done = await asyncio.to_thread(run, [*command, "--grace", "0"], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert not recorded.table_file("events", IDS[0]).exists(), done.stderr
            await go_through(pilot, shown)
            await walk(pilot, shown, "f5")
            assert "4 of 4" in shown(app)
            assert "left out" not in shown(app)
            await walk(pilot, shown, "colon")
            assert await ask(pilot) == len(IDS)
    finally:
        source.close()


async def test_a_root_that_goes_while_it_is_shown(recorded: Root, shown: Shown) -> None:
    source = RootSource(recorded)
    app = WiretapeApp(source)
    try:
        async with app.run_test(size=(140, 40)) as pilot:
            await settle(pilot)
            recorded.path.rename(recorded.path.with_name("elsewhere"))
            await go_through(pilot, shown)
            await walk(pilot, shown, "f5", "r", "escape", "colon")
            assert await ask(pilot) == 0
            recorded.path.with_name("elsewhere").rename(recorded.path)
            await walk(pilot, shown, "e", "f5")
            app.switch_mode("sessions")
            await settle(pilot)
            await walk(pilot, shown, "f5")
            assert "4 of 4" in shown(app)
    finally:
        source.close()
