"""Recordings are removed by name: from files of their own and from compacted ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from capture.compaction import compact_date
from capture.drop_command import app
from capture.errors import UsageProblem
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.sealing import seal
from tests.capture.test_compaction import DATE, IDS, speech


@pytest.fixture
def sealed(root: Root, write_journal: Callable[..., str]) -> list[str]:
    """Seal five sessions of one day."""
    for seed, session_id in enumerate(IDS):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    return list(IDS)


def drop(root: Root, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--recordings", str(root.path)])


@pytest.mark.parametrize("is_compacted", [False, True])
def test_what_is_named_goes_wherever_it_lies(root: Root, sealed: list[str], is_compacted: bool) -> None:
    if is_compacted:
        compact_date(root, DATE)
    assert drop(root, sealed[3], sealed[1], "--dry-run").stdout.split() == [sealed[1], sealed[3]]
    assert list_session_ids(root) == sealed
    done = drop(root, sealed[3], sealed[1])
    assert (done.exit_code, done.stdout.split()) == (0, [sealed[1], sealed[3]])
    assert list_session_ids(root) == [sealed[0], sealed[2], sealed[4]]
    assert not any(sealed[1].encode() in path.read_bytes() for path in root.path.rglob("*.*") if path.is_file())


def test_replays_with_the_same_caller_are_named(root: Root, sealed: list[str], monkeypatch: Any) -> None:
    replayed = {sealed[1]: sealed[0], sealed[2]: sealed[1], sealed[3]: None, sealed[4]: sealed[0], sealed[0]: None}
    monkeypatch.setattr(
        "capture.recording.all_sessions.read_all_sessions",
        lambda *_: {session_id: {"replay_of": of} for session_id, of in replayed.items()},
    )
    done = drop(root, sealed[0], sealed[4], "--json")
    assert json.loads(done.stdout) == {
        "dry_run": False,
        "sessions": [sealed[0], sealed[4]],
        "replays": [sealed[1], sealed[2]],
    }
    assert f"which stay unless they are named too: {sealed[1]} {sealed[2]}" in done.stderr.replace("\n", " ")


def test_nothing_goes_where_one_of_the_names_is_none(root: Root, sealed: list[str]) -> None:
    for name, problem in [
        ("20250101T", "no recording matches"),
        (sealed[0][:8], "begins 5 recordings"),
        ("last", "give the id"),
    ]:
        done = drop(root, sealed[1], name)
        assert isinstance(done.exception, UsageProblem)
        assert problem in str(done.exception)
    assert list_session_ids(root) == sealed


def test_what_recovery_would_bring_back_is_recovered_first(
    root: Root, sealed: list[str], write_journal: Callable[..., str]
) -> None:
    write_journal(speech(0), session_id=sealed[0])
    done = drop(root, sealed[0])
    assert "`wiretape capture recover`, then drop" in str(done.exception)
    assert list_session_ids(root) == sealed


def test_a_file_of_others_is_left_and_named(root: Root, sealed: list[str]) -> None:
    own = root.table_file("sessions", sealed[2])
    own.rename(own.with_name("theirs.parquet"))
    done = drop(root, sealed[1], sealed[2])
    assert done.stdout.split() == [sealed[1]]
    assert str(done.exception) == f"not removed, for they stand in files that Wiretape did not write: {sealed[2]}"
    assert sealed[2] in list_session_ids(root)
