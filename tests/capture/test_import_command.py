from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture.cli import app
from capture.errors import UsageProblem
from capture.importers.importing import NothingImported
from capture.recording.reader import list_session_ids
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
