from __future__ import annotations

from pathlib import Path

import pytest

from analyze.tui.memory import KEPT_ROOTS, Memory, default_path
from capture.recording.root import Root

ROOT, OTHER = Root(Path("/somewhere/recordings")), Root(Path("/elsewhere/recordings"))


def test_every_root_has_a_place_of_its_own_and_filters_are_shared(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "screens.json"
    memory = Memory(path, ROOT)
    assert memory.recall("sessions") == {}
    memory.remember("sessions", filter="region:eastus2")
    memory.remember("sessions", order="target|up")
    memory.save_filter("east", "region:eastus2")
    assert Memory(path, ROOT).recall("sessions") == {"filter": "region:eastus2", "order": "target|up"}
    assert Memory(path, OTHER).recall("sessions") == {}
    assert Memory(path, OTHER).filters == {"east": "region:eastus2"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["screens.json"]


def test_the_roots_looked_at_last_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "screens.json"
    for number in range(KEPT_ROOTS + 2):
        Memory(path, Root(Path(f"/r{number}"))).remember("app", mode="failures")
    assert Memory(path, Root(Path("/r1"))).recall("app") == {}
    assert Memory(path, Root(Path("/r2"))).recall("app") == {"mode": "failures"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"roots": [], "filters": {"a": 1}}',
        b'{"roots": {"/somewhere/recordings": 3}}',
        b'{"roots": {"/somewhere/recordings": {"sessions": {"filter": ["x"]}}}}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_does_not_read_is_ignored_and_written_anew(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "screens.json"
    path.write_bytes(content)
    memory = Memory(path, ROOT)
    assert (memory.recall("sessions"), memory.filters) == ({}, {})
    memory.remember("sessions", filter="ok")
    assert Memory(path, ROOT).recall("sessions") == {"filter": "ok"}


def test_a_key_that_was_searched_for_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "screens.json"
    Memory(path, ROOT).remember("sessions", filter="sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")
    assert "abcdefgh" not in path.read_text()


def test_what_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Memory(tmp_path / "file" / "screens.json", ROOT).remember("app", mode="failures")
    Memory(None, ROOT).save_filter("a", "b")


def test_it_lies_in_the_state_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "wiretape" / "screens.json"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".local" / "state" / "wiretape" / "screens.json"


def test_two_terminals_forget_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "screens.json"
    one, two = Memory(path, ROOT), Memory(path, OTHER)
    one.save_filter("east", "region:eastus2")
    two.remember("sessions", selected="20260212T083055-4f3a9c12")
    one.remember("app", mode="failures")
    two.save_filter("west", "region:westus")
    one.drop_filter("east")
    assert Memory(path, ROOT).filters == {"west": "region:westus"}
    assert Memory(path, ROOT).recall("app") == {"mode": "failures"}
    assert Memory(path, OTHER).recall("sessions") == {"selected": "20260212T083055-4f3a9c12"}
    two.look()
    assert two.filters == {"west": "region:westus"}
