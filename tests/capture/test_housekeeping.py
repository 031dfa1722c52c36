"""`wiretape capture recover|list|prune|compact` as they are typed."""

from __future__ import annotations

import io
import json
import os
import time
from typing import Any, cast

import pytest
from rich.console import Console
from typer.testing import CliRunner

from capture.cli import app
from capture.errors import UsageProblem
from capture.recorder import Recorder
from capture.recording.facts import HandshakeRequest, HandshakeResponse, KeepRule, SessionEnd
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.recording.writer import SessionWriter
from capture.sealing import Sealer


def leave_journal(root: Root, **facts: Any) -> str:
    """Leave what a crash leaves: a session's journal that nobody seals."""
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        recording = recorder.start_session(recorder.new_facts(target="somewhere", **facts))
        recording.fact(SessionEnd(offset_ns=1))
    return recording.session_id


def leave_exchange(root: Root, **facts: Any) -> str:
    """Leave a plain request that was answered."""
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        recording = recorder.start_session(recorder.new_facts(target="somewhere", **facts))
        recording.fact(HandshakeRequest(offset_ns=0, method="GET", path="/", headers=[]))
        recording.fact(HandshakeResponse(offset_ns=0, status=200, headers=[]))
        recording.fact(SessionEnd(offset_ns=1))
    return recording.session_id


def test_recover_seals_what_a_crash_left(run: CliRunner, root: Root) -> None:
    session_id = leave_journal(root)
    asked = run.invoke(app, ["recover"])
    assert (asked.exit_code, asked.stdout) == (0, f"{session_id}\n")
    assert list_session_ids(root) == [session_id]
    assert run.invoke(app, ["recover", "--json"]).stdout == '{\n  "recovered": [],\n  "failed": []\n}\n'


def test_recover_of_a_foreign_file_recovers_nothing(run: CliRunner, root: Root) -> None:
    root.journal.mkdir(parents=True)
    (root.journal / "20260101T000000-00000000.journal").write_bytes(b"this is no journal")
    asked = run.invoke(app, ["recover", "--json"])
    assert asked.exit_code == 1
    assert [failed["session_id"] for failed in json.loads(asked.stdout)["failed"]] == ["20260101T000000-00000000"]


def test_recover_of_what_it_may_not_read_says_so(run: CliRunner, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_journal(root)
    # The superuser, as whom tests may run, reads everything.
    with monkeypatch.context() as another_user:
        another_user.setattr(os, "access", lambda path, _: path != root.journal)
        asked = run.invoke(app, ["recover"])
    assert isinstance(asked.exception, UsageProblem)
    assert f"{root.journal} cannot be read: check its permissions" in str(asked.exception)
    assert list_session_ids(root) == []


@pytest.mark.parametrize("options", [[], ["--json"], ["--watch"]])
def test_a_list_of_what_it_may_not_read_says_so(
    run: CliRunner, root: Root, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    leave_journal(root)
    # As above; the list ended in a traceback, or passed over what is live.
    with monkeypatch.context() as another_user:
        another_user.setattr(os, "access", lambda path, _: path != root.journal)
        asked = run.invoke(app, ["list", *options])
    assert isinstance(asked.exception, UsageProblem)
    assert f"{root.journal} cannot be read: check its permissions" in str(asked.exception)


def test_recover_with_loss_has_its_own_exit_status(run: CliRunner, root: Root) -> None:
    leave_journal(root)
    (root.journal / "20260101T000000-00000000.journal").write_bytes(b"this is no journal")
    assert run.invoke(app, ["recover"]).exit_code == 3


def test_recover_does_not_say_of_a_damaged_journal_that_nothing_is_lost(run: CliRunner, root: Root) -> None:
    leave_journal(root)
    [journal] = root.journal.glob("*.journal")
    journal.write_bytes(journal.read_bytes() + bytes(100))
    asked = run.invoke(app, ["recover"])
    assert asked.exit_code == 3
    assert "its journal is damaged: how much is lost there is not known; apart from that 0 bytes" in asked.stderr


def test_recover_leaves_out_what_is_not_to_be_kept(run: CliRunner, root: Root) -> None:
    # A plain exchange, and so one that went well without a conversation.
    session_id = leave_exchange(root, keep_rule=KeepRule(keep="failed"))
    asked = run.invoke(app, ["recover"])
    assert (asked.exit_code, asked.stdout) == (0, "")
    assert f"{session_id} ok: not kept" in asked.stderr
    assert list_session_ids(root) == []


def test_prune_prints_what_went(run: CliRunner, root: Root) -> None:
    session_id = leave_journal(root)
    run.invoke(app, ["recover"])
    rehearsed = run.invoke(app, ["prune", "--max-bytes", "0", "--dry-run"])
    assert (rehearsed.exit_code, rehearsed.stdout) == (0, f"{session_id}\n")
    assert "would remove 1 recording, 0 journals" in rehearsed.stderr
    spared = run.invoke(app, ["prune", "--max-bytes", "0", "--keep-failed"])
    assert (spared.exit_code, spared.stdout) == (0, "")
    assert f"kept 1 recording, failed or incomplete (--keep-failed): {session_id}" in spared.stderr
    assert list_session_ids(root) == [session_id]
    told = json.loads(run.invoke(app, ["prune", "--max-bytes", "0", "--json"]).stdout)
    assert [one["session_id"] for one in told["recordings"]] == [session_id]
    assert (told["dry_run"], told["bytes_left"], told["spared_failed"]) == (False, 0, [])
    assert told["bytes"] == told["recordings"][0]["bytes"] > 0
    assert list_session_ids(root) == []


def test_list_gives_a_line_a_recording(run: CliRunner, root: Root) -> None:
    assert run.invoke(app, ["list"]).stdout == ""
    session_id = leave_journal(root)
    run.invoke(app, ["recover"])
    [line] = run.invoke(app, ["list"]).stdout.splitlines()
    assert line.split()[0] == session_id
    assert line.split()[2] == "somewhere"
    [row] = json.loads(run.invoke(app, ["list", "--json"]).stdout)
    assert row["session_id"] == session_id


def test_list_passes_over_a_file_that_cannot_be_read_and_names_it(run: CliRunner, root: Root) -> None:
    session_id = leave_journal(root)
    run.invoke(app, ["recover"])
    damaged = root.table_file("sessions", "20260101T000000-00000000")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"this is no Parquet")
    asked = run.invoke(app, ["list"])
    assert asked.exit_code == 0
    assert [line.split()[0] for line in asked.stdout.splitlines()] == [session_id]
    assert "20260101T000000-00000000" in asked.stderr


def test_compact_gives_a_line_a_day_and_says_what_it_leaves_alone(run: CliRunner, root: Root) -> None:
    root.path.mkdir()
    assert run.invoke(app, ["compact"]).stderr == "nothing to compact\n"
    for session_id in ("20260212T083055-0000000a", "20260212T083056-0000000b", "20260213T083056-0000000c"):
        with SessionWriter(root, session_id) as writer:
            writer.add("events", {"seq": 0, "offset_ns": 0})
            writer.commit({})
    damaged = root.table_file("sessions", "20260212T090000-0000000d")
    damaged.write_bytes(b"this is no Parquet")
    asked = run.invoke(app, ["compact"])
    assert asked.exit_code == 0
    assert asked.stdout.startswith("2026-02-12  2 sessions  4 -> 2 files  ")
    assert len(asked.stdout.splitlines()) == 1
    assert f"{damaged} is left as it is: " in asked.stderr
    assert asked.stderr.endswith("compacted 2 sessions of 1 day\n")
    assert len(list_session_ids(root)) == 4
    assert len(list(root.path.rglob("*.parquet"))) == 4 + 2 + 2 + 1


def test_a_low_terminal_shows_the_day_that_is_compacted_however_many_are_behind_it(
    run: CliRunner, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(10, 16):
        with SessionWriter(root, f"202602{day}T083055-0000000a") as writer:
            writer.commit({})
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, height=3)
    monkeypatch.setattr("capture.narration.console", lambda: screen)
    assert run.invoke(app, ["compact"]).exit_code == 0
    drawn = cast("io.StringIO", screen.file).getvalue()
    assert "2026-02-10, day 1 of 6" in drawn
    assert "2026-02-15, day 6 of 6" in drawn


def test_compact_takes_a_named_day_and_tells_json(run: CliRunner, root: Root) -> None:
    with SessionWriter(root, "20260212T083055-0000000a") as writer:
        writer.commit({})
    asked = run.invoke(app, ["compact", "--date", "2026-02-12", "--grace", "0", "--json"])
    told = json.loads(asked.stdout)
    assert (told["failed"], [(one["date"], one["sessions"]) for one in told["dates"]]) == ([], [("2026-02-12", 1)])
    assert list_session_ids(root) == ["20260212T083055-0000000a"]


def test_compact_speaks_of_one_session_in_the_singular(run: CliRunner, root: Root) -> None:
    with SessionWriter(root, "20260212T083055-0000000a") as writer:
        writer.commit({})
    asked = run.invoke(app, ["compact", "--date", "2026-02-12", "--grace", "0"])
    assert asked.stdout.startswith("2026-02-12  1 session  2 -> 1 file  ")
    assert asked.stderr.endswith("compacted 1 session of 1 day\n")


def test_compact_says_which_day_it_could_not_take(run: CliRunner, root: Root) -> None:
    with SessionWriter(root, "20260212T083055-0000000a") as writer:
        writer.commit({})
    root.manifests.mkdir()
    root.manifest_file("2026-02-12").write_bytes(b"?")
    asked = run.invoke(app, ["compact"])
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "2026-02-12 is left as it is: " in asked.stderr
    assert "nothing to compact" not in asked.stderr
    assert isinstance(run.invoke(app, ["compact", "--date", "today"]).exception, UsageProblem)


def test_list_shows_what_is_no_recording_yet_after_the_recordings(run: CliRunner, root: Root) -> None:
    sealed_id = leave_journal(root)
    run.invoke(app, ["recover"])
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        live = recorder.start_session(recorder.new_facts(target="somewhere"))
        while not root.journal_of(live.session_id).exists():
            time.sleep(0.001)
        rows = json.loads(run.invoke(app, ["list", "--json"]).stdout)
        assert [(row["session_id"], row["state"]) for row in rows] == [
            (sealed_id, "sealed"),
            (live.session_id, "live"),
        ]
        assert rows[0].keys() == rows[1].keys()
        assert "  live · 0:00:0" in run.invoke(app, ["list"]).stdout.splitlines()[1]
    assert "left behind: run wiretape capture recover" in run.invoke(app, ["list"]).stdout.splitlines()[1]


def test_recover_names_what_is_in_quarantine_and_what_to_do_with_it(run: CliRunner, root: Root) -> None:
    root.quarantine.mkdir(parents=True)
    (root.quarantine / "20260101T000000-00000000.journal").write_bytes(b"this is no journal")
    asked = run.invoke(app, ["recover"])
    assert (asked.exit_code, asked.stdout) == (0, "")
    assert "in quarantine: 1 that could not be sealed twice; to try again" in asked.stderr


@pytest.mark.parametrize("command", [["recover"], ["compact"], ["prune", "--older-than", "1d"]])
def test_housekeeping_of_a_folder_that_is_not_there_says_so(run: CliRunner, root: Root, command: list[str]) -> None:
    asked = run.invoke(app, command)
    assert (asked.exit_code, asked.stdout) == (0, "")
    assert f"there is no folder {root.path}: nothing was recorded to it yet, or --recordings" in asked.stderr
    assert not root.path.exists()
