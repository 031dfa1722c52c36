from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture.cli import app
from capture.errors import UsageProblem
from capture.importers.importing import ImportFailed, NothingImported
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from tests.capture.importers.conftest import CREATED

LOG = "\n".join(json.dumps({"dir": "in", "event": CREATED}) for _ in range(3))


def run(*arguments: str) -> tuple[str, str, Exception | None]:
    result = CliRunner().invoke(app, ["import", *arguments])
    return result.stdout, result.stderr, result.exception if isinstance(result.exception, Exception) else None


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "call.jsonl"
    path.write_text(f"{LOG}\n{{broken\n")
    return path


def test_it_prints_the_ids_and_says_what_is_missing(root: Root, log: Path) -> None:
    said, told, error = run(str(log), "--recordings", str(root.path))
    assert error is None
    assert said.split() == list_session_ids(root)
    assert "line 4 is not imported: it is no JSON object that can be read" in told
    assert "the file has no times" in told
    assert "incomplete" in told


def test_a_second_time_it_says_so(root: Root, log: Path) -> None:
    run(str(log), "--recordings", str(root.path))
    said, told, error = run(str(log), "--recordings", str(root.path))
    assert (said, error) == ("", None)
    assert f"imported before as {list_session_ids(root)[0]}" in told
    said, _, _ = run(str(log), "--recordings", str(root.path), "--again")
    assert said.strip() in list_session_ids(root)


def test_json_tells_all_of_it(root: Root, log: Path) -> None:
    said, _, _ = run(str(log), "--recordings", str(root.path), "--json")
    (file,) = json.loads(said)["files"]
    assert [session["session_id"] for session in file["sessions"]] == list_session_ids(root)
    assert file["unreadable"] == [
        {"place": "line 4", "reason": "it is no JSON object that can be read", "is_lost": True}
    ]


def test_nothing_to_import_is_status_1(root: Root, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("hello\n")
    *_, error = run(str(tmp_path / "empty.jsonl"), "--recordings", str(root.path))
    assert isinstance(error, NothingImported)
    assert error.exit_code == 1


def test_one_good_file_of_two_is_status_0(root: Root, log: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("hello\n")
    said, told, error = run(str(tmp_path / "empty.jsonl"), str(log), "--recordings", str(root.path))
    assert error is None
    assert len(said.split()) == 1
    assert "empty.jsonl: it holds no WebSocket session that can be read" in told


def test_a_missing_file_is_a_usage_problem(root: Root, tmp_path: Path) -> None:
    *_, error = run(str(tmp_path / "nowhere.har"), "--recordings", str(root.path))
    assert isinstance(error, UsageProblem)
    assert list_session_ids(root) == []


def test_a_pipe_and_a_folder_are_no_files(root: Root, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        *_, error = run(str(path), "--recordings", str(root.path))
        assert str(error) == (
            f"no file to read from: {path}; name the files themselves, and save what comes through a pipe"
        )


def test_of_a_har_that_is_cut_off_it_says_what_became_of_the_entry(root: Root, tmp_path: Path) -> None:
    path = tmp_path / "session.har"
    message = {"type": "receive", "time": 1.5, "opcode": 1, "data": '{"type":"session.created"}'}
    entry = {"request": {"url": "wss://example.com/"}, "_webSocketMessages": [message, message]}
    text = json.dumps({"log": {"entries": [entry]}})
    path.write_text(text[: text.rindex("opcode")])
    _, told, _ = run(str(path), "--recordings", str(root.path))
    assert "entry 1 is imported as far as it can be read: it is cut off" in told
    assert "entry 1, message 2 is not imported: it is no JSON object that can be read" in told


def test_a_root_that_is_no_folder_is_a_usage_problem(root: Root, log: Path) -> None:
    root.path.touch()
    *_, error = run(str(log), "--recordings", str(root.path))
    assert isinstance(error, UsageProblem)
    assert f"{root.path} is no folder; give another root" in str(error)


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(root: Root, log: Path) -> None:
    root.path.mkdir()
    root.table("sessions").touch()
    *_, error = run(str(log), "--recordings", str(root.path))
    assert isinstance(error, ImportFailed)
    assert f"{log} is not imported whole: " in str(error)
    assert "sessions" in str(error)
    assert [path for path in root.path.rglob("*") if path.is_file()] == [root.table("sessions")]


def test_a_file_whose_name_is_no_text_is_imported(root: Root, log: Path) -> None:
    odd = log.rename(log.with_name(os.fsdecode(b"caf\xe9.jsonl")))
    said, told, error = run(str(odd), "--recordings", str(root.path), "--json")
    assert error is None
    assert json.loads(said)["files"][0]["file"] == str(odd)
    assert "line 4 is not imported" in told


# --- beside other processes -----------------------------------------------------------------------------------

# Takes a pipe's line for each sessions row: so an import stands where all is written but what makes it a recording.
HELD = """
    import sys
    from pathlib import Path

    replace = Path.replace

    def hold(source, target):
        if target.parts[-3] == "sessions":
            print("held", flush=True)
            sys.stdin.readline()
        return replace(source, target)

    Path.replace = hold
"""
COMMAND = """
    import sys
    from wiretape import main

    main(["capture", *sys.argv[1:]])
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        cwd=Path(__file__).parents[2],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def capture(*arguments: str) -> tuple[int, str, str]:
    with start(COMMAND, *arguments) as process:
        said, told = process.communicate(timeout=120)
    return process.returncode, said, told


@pytest.fixture
def at_root(root: Root) -> tuple[str, str]:
    return "--recordings", str(root.path)


@pytest.fixture
def held(log: Path, at_root: tuple[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Give an import whose events are in place, and its sessions row not yet."""
    with start(HELD + COMMAND, "import", str(log), *at_root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_two_imports_of_one_file_make_one_recording(
    root: Root, log: Path, at_root: tuple[str, str], held: subprocess.Popen[str]
) -> None:
    with start(COMMAND, "import", str(log), *at_root) as second:
        assert second.stderr is not None
        assert "waiting for another process that imports call.jsonl" in second.stderr.readline()
        assert list_session_ids(root) == []
        said, _ = held.communicate("\n", timeout=120)
        assert (held.returncode, said.split()) == (0, list_session_ids(root))
        said_second, told_second = second.communicate(timeout=120)
    assert (second.returncode, said_second) == (0, "")
    (session_id,) = list_session_ids(root)
    assert f"imported before as {session_id}" in told_second
    assert len(list(open_recording(root, session_id).messages())) == 3
    assert list(root.journal.iterdir()) == []


def test_who_waits_for_another_import_can_be_interrupted(
    log: Path, at_root: tuple[str, str], held: subprocess.Popen[str]
) -> None:
    with start(COMMAND, "import", str(log), *at_root) as second:
        assert second.stderr is not None
        assert "waiting" in second.stderr.readline()
        second.send_signal(signal.SIGINT)
        second.communicate(timeout=120)
    assert second.returncode == 130
    held.communicate("\n", timeout=120)
    assert held.returncode == 0


def test_pruning_and_recovering_leave_an_import_alone(
    root: Root, at_root: tuple[str, str], held: subprocess.Popen[str]
) -> None:
    (events,) = root.table("events").rglob("*.parquet")
    for unfinished in root.path.glob("*/date=*/.*.tmp"):
        os.utime(unfinished, (0, 0))
    status, _, told = capture("prune", "--older-than", "0s", *at_root)
    assert (status, "removed 0 recordings, 0 journals: " in told) == (0, True), told
    assert capture("recover", *at_root)[0] == 0
    assert capture("compact", "--all", *at_root)[0] == 0
    assert events.exists()
    said, _ = held.communicate("\n", timeout=120)
    assert (held.returncode, said.split()) == (0, list_session_ids(root))
    assert len(list(open_recording(root, said.strip()).messages())) == 3


def test_what_a_killed_import_left_is_a_leftover(
    root: Root, log: Path, at_root: tuple[str, str], held: subprocess.Popen[str]
) -> None:
    held.kill()
    held.wait()
    status, _, told = capture("prune", "--older-than", "30d", *at_root)
    assert (status, "1 leftover" in told) == (0, True), told
    assert list(root.table("events").rglob("*.parquet")) == []
    said, _, error = run(str(log), *at_root)
    assert (said.split(), error) == (list_session_ids(root), None)
