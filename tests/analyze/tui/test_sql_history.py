from __future__ import annotations

from pathlib import Path

import pytest

from analyze.tui.sql_history import KEPT, SqlHistory, default_path


def test_statements_are_recalled_and_what_was_typed_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history.jsonl"
    history = SqlHistory(path)
    for statement in ("SELECT 1", "SELECT 2\n-- über", "SELECT 1"):
        history.add(statement)
    again = SqlHistory(path)
    assert again.statements == ["SELECT 2\n-- über", "SELECT 1"]
    assert [again.back("half"), again.back(""), again.back("")] == ["SELECT 1", "SELECT 2\n-- über", None]
    assert [again.forward(), again.forward(), again.forward()] == ["SELECT 1", "half", None]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_secret_in_a_statement_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    SqlHistory(path).add("SELECT * FROM events WHERE payload LIKE '%sk-proj-abcdefghijklmnopqrstuvwxyz0123456789%'")
    assert "abcdefghijkl" not in path.read_text()
    assert "payload LIKE" in path.read_text()


def test_only_the_newest_are_kept_and_no_monsters(tmp_path: Path) -> None:
    history = SqlHistory(tmp_path / "history.jsonl")
    for number in range(KEPT + 5):
        history.add(f"SELECT {number}")
    history.add("  ")
    history.add("SELECT " + "1" * 30_000)
    assert len(history.statements) == KEPT
    assert history.statements[-1] == f"SELECT {KEPT + 4}"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"no json\n", b"[1, 2]\n7\n"])
def test_a_damaged_file_is_no_history(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(content)
    assert SqlHistory(path).statements == []


def test_where_it_cannot_be_written_work_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = SqlHistory(tmp_path / "file" / "history.jsonl")
    history.add("SELECT 1")
    assert history.statements == ["SELECT 1"]


def test_the_file_lies_with_the_user_s_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "wiretape" / "sql_history.jsonl"
    monkeypatch.setenv("XDG_STATE_HOME", "")
    assert default_path() == Path.home() / ".local" / "state" / "wiretape" / "sql_history.jsonl"


def test_two_terminals_keep_what_either_has_run(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    one, two = SqlHistory(path), SqlHistory(path)
    one.add("SELECT 1")
    two.add("SELECT 2")
    one.add("SELECT 3")
    assert SqlHistory(path).statements == ["SELECT 1", "SELECT 2", "SELECT 3"]
    assert [one.back(""), one.back("")] == ["SELECT 3", "SELECT 2"]
