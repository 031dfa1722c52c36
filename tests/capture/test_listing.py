"""How sessions that are no recordings yet are shown."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from capture.listing import LEFT_BEHIND, NOTHING_LIVE, describe, live_row, table
from capture.live import LiveSession
from capture.recording.root import Root

LIVE = LiveSession(
    session_id="20260212T083055-4f3a9c12",
    state="live",
    is_left_behind=False,
    started_at=datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC),
    age_s=3725.04,
    target="eastus2",
    bytes=1_234_567,
    sent_bytes=234_567,
    lost_bytes=0,
    events=57,
    last_error=None,
)


def test_a_live_session_in_a_few_words() -> None:
    assert describe(LIVE) == "live · 1:02:05 · 57 events · 1,234,567 bytes"
    troubled = replace(LIVE, lost_bytes=900, last_error="error: server_error")
    assert describe(troubled).endswith("1,234,567 bytes · 900 bytes lost · last error: error: server_error")


def test_what_is_left_behind_says_what_to_do() -> None:
    assert describe(replace(LIVE, state="waiting", is_left_behind=True)).startswith(LEFT_BEHIND)


def test_what_an_endpoint_says_steers_no_terminal() -> None:
    assert "\x1b" not in describe(replace(LIVE, last_error="error: \x1b[2J"))


def test_a_row_has_the_columns_of_a_recordings_row() -> None:
    row = live_row(LIVE)
    assert (row["state"], row["age_s"], row["started_at"]) == ("live", 3725.0, "2026-02-12T08:30:55Z")
    assert row.keys() == NOTHING_LIVE.keys() | {"session_id", "started_at", "target", "outcome", "state"}
    assert live_row(replace(LIVE, started_at=None, age_s=None))["age_s"] is None


@pytest.mark.parametrize(("sessions", "said"), [([LIVE], "eastus2"), ([], "no live sessions")])
def test_the_table(sessions: list[LiveSession], said: str) -> None:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table(sessions))
    assert said in shown.get()


async def test_watching_goes_on_until_it_is_interrupted(root: Root) -> None:
    command = "from capture.cli import app; app(['list', '--watch'])"
    watching = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"WIRETAPE_RECORDINGS": str(root.path), "FORCE_COLOR": "1", "COLUMNS": "100"},
        cwd=Path(__file__).parents[2],
    )
    assert watching.stdout is not None
    async with asyncio.timeout(30):
        shown = await watching.stdout.readuntil(b"no live sessions")
        shown += await watching.stdout.readuntil(b"no live sessions")
        watching.send_signal(signal.SIGINT)
        assert await watching.wait() in (1, 130)
    assert b"session" in shown
