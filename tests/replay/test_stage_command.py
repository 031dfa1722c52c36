import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from replay.cli import app
from tests.unread_pipe import unread_pipe


def write(folder: Path, name: str, step: str = "{ await = 'session.created' }") -> str:
    path = folder / f"{name}.toml"
    path.write_text(f"name = '{name}'\nsummary = 'One session.'\n[[client.sessions]]\nsteps = [{step}]")
    return str(path)


def run(root: Root, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["stage", *arguments, "--recordings", str(root.path), "--speed", "8"])
    return result.exit_code, result.stdout, result.stderr


def test_prints_the_ids_of_what_was_recorded(root: Root, tmp_path: Path) -> None:
    status, printed, told = run(root, write(tmp_path, "one"), write(tmp_path, "two"))

    assert status == 0
    assert sorted(printed.split()) == list_session_ids(root)
    assert len(printed.split()) == 2
    assert "staging one: One session." in told
    assert "session 1: closed by the client with 1000" in told
    assert "wiretape analyze failures" in told


def test_a_step_in_vain_is_told_and_exits_1(root: Root, tmp_path: Path) -> None:
    vain = write(tmp_path, "vain", "{ await = 'response.done', timeout_s = 0.1 }")
    status, printed, told = run(root, vain, write(tmp_path, "one"), "--json")

    assert status == 1
    first, second = json.loads(printed)
    problem = "vain, session 1, step 1, await response.done: did not come within 0.1 s; the last that came was"
    assert first["scenario"] == "vain"
    assert first["problems"][0].startswith(problem)
    assert second == {
        "scenario": "one",
        "session_ids": second["session_ids"],
        "ended": ["closed by the client with 1000"],
        "problems": [],
    }
    assert sorted(first["session_ids"] + second["session_ids"]) == list_session_ids(root)
    assert problem in " ".join(told.split())


def test_an_unknown_scenario_is_refused_before_anything_is_played(root: Root, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no scenario 'nothing'"):
        CliRunner().invoke(
            app, ["stage", write(tmp_path, "one"), "nothing", "--recordings", str(root.path)], catch_exceptions=False
        )
    assert list_session_ids(root) == []


async def test_ctrl_c_keeps_what_was_recorded_and_says_so(root: Root, tmp_path: Path) -> None:
    endless = "{ await = 'response.done', timeout_s = 3600 }"
    arguments = ("stage", write(tmp_path, "one"), write(tmp_path, "endless", endless), "--recordings", str(root.path))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wiretape", "replay", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    printed = (await process.stdout.readline()).decode().strip()
    await asyncio.wait_for(_until_something_is_recorded(root), 60)
    process.send_signal(signal.SIGINT)
    _, told = await process.communicate()

    assert process.returncode == 130, told.decode()
    assert f"interrupted: what was recorded so far is kept in {root.path}" in " ".join(told.decode().split())
    [interrupted] = set(list_session_ids(root)) - {printed}
    assert open_recording(root, interrupted).session["tags"] == {"scenario": "endless"}
    assert not list(root.journal.glob("*.journal"))


async def _until_something_is_recorded(root: Root) -> None:
    # Another process writes it: there is no event to await.
    while True:
        if any(root.journal.glob("*.journal")):
            return
        await asyncio.sleep(0.05)


def test_a_terminal_that_is_stopped_holds_up_no_session_and_misses_no_line(root: Root, tmp_path: Path) -> None:
    names = [write(tmp_path, name) for name in ("one", "two")]
    command = [sys.executable, "-m", "wiretape", "replay", "stage", *names, "--recordings", str(root.path)]
    with (
        unread_pipe() as pipe,
        subprocess.Popen(
            command, stdout=pipe.writing, stderr=pipe.writing, env=os.environ | {"NO_COLOR": "1"}
        ) as staging,
    ):
        while len(list_session_ids(root)) < 2:
            assert staging.poll() is None
            time.sleep(0.05)
        lines = pipe.read_to_end().splitlines()
        assert staging.wait(60) == 0
    # By scenario: ids of one second are in no order.
    ids = {open_recording(root, each).session["tags"]["scenario"]: each for each in list_session_ids(root)}
    closed = "  session 1: closed by the client with 1000"
    assert [line.rstrip() for line in lines] == [
        *("staging one: One session.", closed, ids["one"]),
        *("staging two: One session.", closed, ids["two"]),
        f"recorded in {root.path}; now: wiretape analyze failures --recordings {root.path}",
    ]
