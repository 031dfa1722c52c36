"""How sessions that are no recordings yet are shown."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capture.errors import UsageProblem
from capture.listing import LEFT_BEHIND, NOTHING_LIVE, describe, live_row, resolve_recording, table
from capture.live import LiveSession
from capture.recording.root import Root
from capture.sealing import seal

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
    assert describe(LIVE) == "live · 1:02:05 · 57 events · 1.2 MB"
    troubled = replace(LIVE, lost_bytes=900, last_error="error: server_error")
    assert describe(troubled).endswith("1.2 MB · 900 bytes lost · last error: error: server_error")


def test_a_long_error_is_cut_and_says_so() -> None:
    assert describe(replace(LIVE, last_error="e" * 121)).endswith(f"{'e' * 119}…")
    assert describe(replace(LIVE, last_error="e" * 120)).endswith("e" * 120)


def test_what_is_left_behind_says_what_to_do() -> None:
    assert describe(replace(LIVE, state="waiting", is_left_behind=True)).startswith(LEFT_BEHIND)


def test_what_an_endpoint_says_steers_no_terminal() -> None:
    assert "\x1b" not in describe(replace(LIVE, last_error="error: \x1b[2J"))


def test_a_row_has_the_columns_of_a_recordings_row() -> None:
    row = live_row(LIVE)
    assert (row["state"], row["age_s"], row["started_at"]) == ("live", 3725.0, "2026-02-12T08:30:55Z")
    assert row.keys() == NOTHING_LIVE.keys() | {"session_id", "started_at", "target", "outcome", "state"}
    assert live_row(replace(LIVE, started_at=None, age_s=None))["age_s"] is None


@pytest.mark.parametrize("text", [LIVE.session_id, LIVE.session_id[:12]])
def test_a_session_that_is_asked_for_before_it_is_sealed_says_how_it_stands(
    root: Root, write_journal: Callable[..., str], text: str
) -> None:
    write_journal([("server", '{"type":"error","error":{"message":"\\u001b[2J"}}')], session_id=LIVE.session_id)
    with pytest.raises(UsageProblem) as asked:
        resolve_recording(root, text)
    assert str(asked.value).startswith(f"session {LIVE.session_id} is no recording yet: waiting · ")
    assert "1 event ·" in str(asked.value)
    assert "`wiretape capture list --watch`" in str(asked.value)
    assert "\x1b" not in str(asked.value)
    seal(root.path, LIVE.session_id)
    assert resolve_recording(root, text) == LIVE.session_id


def test_the_last_one_before_the_first_recording_is_in_flight(root: Root, write_journal: Callable[..., str]) -> None:
    for number in range(2):
        write_journal([], session_id=f"20260212T083055-0000000{number}")
    with pytest.raises(UsageProblem, match="session 20260212T083055-00000001 is no recording yet: waiting"):
        resolve_recording(root, "last")
    seal(root.path, "20260212T083055-00000000")
    assert resolve_recording(root, "last") == "20260212T083055-00000000"


def test_a_prefix_of_recordings_means_recordings(root: Root, write_journal: Callable[..., str]) -> None:
    for number in range(3):
        write_journal([], session_id=f"20260212T083055-0000000{number}")
    for number in range(2):
        seal(root.path, f"20260212T083055-0000000{number}")
    with pytest.raises(UsageProblem, match="begins 2 recordings"):
        resolve_recording(root, "20260212T083055")
    with pytest.raises(UsageProblem, match="no recording matches"):
        resolve_recording(root, "2027")
    with pytest.raises(UsageProblem, match="00000002 is no recording yet"):
        resolve_recording(root, "20260212T083055-00000002")


@pytest.mark.parametrize(("sessions", "said"), [([LIVE], "eastus2"), ([], "no live sessions")])
def test_the_table(sessions: list[LiveSession], said: str) -> None:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table(sessions, console.width))
    assert said in shown.get()


def test_each_session_has_one_line_of_80_columns() -> None:
    waiting = replace(
        LIVE, state="waiting", events=120, bytes=99_900_000, target="wss://contoso.openai.azure.com/openai"
    )
    left_behind = replace(waiting, is_left_behind=True, age_s=None)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(table([LIVE, waiting, left_behind], console.width))
    head, *lines = shown.get().splitlines()
    assert head.split() == ["session", "target", "state"]
    assert [line.split(maxsplit=2)[2].rstrip() for line in lines] == [
        "live · 1:02:05 · 57 events · 1.2 MB",
        "waiting · 1:02:05 · 120 events · 99.9 MB",
        LEFT_BEHIND,
    ]


@asynccontextmanager
async def watching(root: Root, *options: str, **environment: str) -> AsyncIterator[tuple[Any, asyncio.StreamReader]]:
    """Run `wiretape capture list --watch`; gives the process, and its end of the pipe."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"from wiretape import main; main({['capture', 'list', '--watch', *options]!r})",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"WIRETAPE_RECORDINGS": str(root.path), "COLUMNS": "100"} | environment,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        try:
            yield process, process.stdout
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_watching_goes_on_until_it_is_interrupted(root: Root) -> None:
    async with watching(root, FORCE_COLOR="1") as (process, stdout):
        shown = await stdout.readuntil(b"no live sessions")
        shown += await stdout.readuntil(b"no live sessions")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert b"session" in shown


async def test_a_pipe_gets_a_line_a_session_every_second(root: Root, write_journal: Callable[..., str]) -> None:
    session_id = write_journal([("client", '{"type":"x"}')], target="eastus2")
    async with watching(root) as (process, stdout):
        lines = [(await stdout.readline()).decode() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    for line in lines:
        assert line.startswith(f"{session_id}  2026-02-12T08:30:55Z  eastus2  waiting · ")
        assert "· 1 event ·" in line


async def test_in_json_each_second_is_a_line(root: Root, write_journal: Callable[..., str]) -> None:
    async with watching(root, "--json") as (process, stdout):
        before = json.loads(await stdout.readline())
        session_id = write_journal([("client", '{"type":"x"}')], target="east\x1b[2J\u202e")
        sessions: list[dict[str, Any]] = []
        while not sessions:
            line = await stdout.readline()
            sessions = json.loads(line)["sessions"]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert before["sessions"] == []
    assert before["at"].endswith("Z")
    assert (sessions[0]["session_id"], sessions[0]["target"]) == (session_id, "east\x1b[2J\u202e")
    assert sessions[0].keys() == live_row(LIVE).keys()
    assert b"\\u202e" in line


@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_watching_ends_when_its_reader_has_seen_enough(
    root: Root, write_journal: Callable[..., str], options: list[str]
) -> None:
    write_journal()
    async with watching(root, *options) as (process, stdout):
        await stdout.readline()
        process._transport.get_pipe_transport(1).close()
        assert await process.wait() == 0
        assert await process.stderr.read() == b""
