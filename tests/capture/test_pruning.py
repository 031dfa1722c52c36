"""What pruning takes, what it spares, and that readers never see half a recording."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from analyze.store import Store
from capture.cli import app
from capture.compaction import compact_date
from capture.errors import UsageProblem, WiretapeError
from capture.journal import Direction, JournalWriter
from capture.pruning import PrunePlan, PruneRule, parse_age, parse_size, plan_pruning, prune, prune_by, sum_up
from capture.recording.facts import Sender
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root, date_of
from capture.recording.schema import TABLES
from capture.sealing import seal
from tests.capture.conftest import write_session_journal

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD, OLDER, OLDEST = "20260212T083055-00000003", "20260120T083055-00000002", "20260101T083055-00000001"
YOUNG = "20260228T120000-00000004"
ALL = [OLDEST, OLDER, OLD, YOUNG]
APPEND = '{"type":"input_audio_buffer.append","audio":"AAECAwQF"}'
CREATED = '{"type":"session.created","session":{"id":"sess_1"}}'
ERROR = '{"type":"error","error":{"type":"server_error","message":"busy"}}'
MONTH = PruneRule(older_than=timedelta(days=30))


def record(root: Root, session_id: str, *, fails: bool = False) -> None:
    said: list[tuple[Sender, str | bytes]] = [("server", CREATED), ("client", APPEND)]
    if fails:
        said.append(("server", ERROR))
    write_session_journal(root, said, session_id=session_id)
    seal(root.path, session_id)


@pytest.fixture
def recorded(root: Root) -> Root:
    """Give a root with four sessions, the oldest of which failed."""
    for session_id in ALL:
        record(root, session_id, fails=session_id == OLDEST)
    return root


def carry_out(root: Root, rule: PruneRule) -> list[str]:
    plan = plan_pruning(root, rule, NOW)
    prune(plan)
    return [removal.name for removal in plan.recordings]


def files(root: Root) -> list[Path]:
    return sorted(path for path in root.path.rglob("*") if path.is_file())


def total_bytes(root: Root) -> int:
    return sum(path.stat().st_size for path in files(root))


# --- which recordings -----------------------------------------------------------------------------------------


def test_recordings_go_by_age(recorded: Root) -> None:
    assert carry_out(recorded, MONTH) == [OLDEST, OLDER]
    assert list_session_ids(recorded) == [OLD, YOUNG]
    assert not [path for path in files(recorded) if OLDER in path.name or OLDEST in path.name]
    assert [len(list(open_recording(recorded, left).messages())) for left in (OLD, YOUNG)] == [2, 2]
    # Nor are empty folders left of their days.
    assert sorted(path.name for path in recorded.table("events").iterdir()) == ["date=2026-02-12", "date=2026-02-28"]


def test_recordings_go_by_size_the_oldest_first(recorded: Root) -> None:
    last_two = sum(path.stat().st_size for path in files(recorded) if OLD in path.name or YOUNG in path.name)
    plan = plan_pruning(recorded, PruneRule(max_bytes=last_two), NOW)
    assert [removal.name for removal in plan.recordings] == [OLDEST, OLDER]
    assert plan.bytes_left == last_two
    prune(plan)
    assert total_bytes(recorded) == last_two
    assert plan_pruning(recorded, PruneRule(max_bytes=last_two), NOW).removals == []
    assert carry_out(recorded, PruneRule(max_bytes=0)) == [OLD, YOUNG]
    assert files(recorded) == [recorded.manifests / ".lock"]


def test_age_and_size_are_both_heeded(recorded: Root) -> None:
    before = total_bytes(recorded)
    assert carry_out(recorded, PruneRule(older_than=timedelta(days=50), max_bytes=before)) == [OLDEST]
    assert carry_out(recorded, PruneRule(older_than=timedelta(days=30), max_bytes=0)) == [OLDER, OLD, YOUNG]


def test_failed_and_incomplete_sessions_may_be_spared(recorded: Root) -> None:
    torn = "20260102T000000-0000000a"
    journal = recorded.journal_of(write_session_journal(recorded, [("server", CREATED)], session_id=torn))
    with journal.open("rb+") as file:
        file.truncate(journal.stat().st_size - 5)
    assert seal(recorded.path, torn).outcome == "incomplete"
    plan = plan_pruning(recorded, PruneRule(max_bytes=0, keep_failed=True), NOW)
    assert plan.spared_failed == [OLDEST, torn]
    prune(plan)
    assert list_session_ids(recorded) == [OLDEST, torn]
    assert plan.bytes_left == total_bytes(recorded)


def test_a_recording_that_cannot_be_read_counts_as_failed(recorded: Root) -> None:
    recorded.table_file("sessions", OLDER).write_bytes(b"nothing")
    rule = PruneRule(older_than=timedelta(days=30), keep_failed=True)
    assert plan_pruning(recorded, rule, NOW).spared_failed == [OLDEST, OLDER]
    assert carry_out(recorded, MONTH) == [OLDEST, OLDER]


def test_what_a_run_names_is_spared(recorded: Root) -> None:
    recorded.runs.mkdir()
    cells = [{"cell": "eastus2", "trials": [{"trial": 1, "session_id": OLDER, "outcome": "ok"}]}]
    run = recorded.runs / "r20260201T000000-0001.json"
    run.write_text(json.dumps({"run_id": "r", "recordings": [{"session_id": OLDEST}], "cells": cells}))
    plan = plan_pruning(recorded, MONTH, NOW)
    assert (plan.recordings, plan.spared_by_runs) == ([], [OLDEST, OLDER])
    assert carry_out(recorded, PruneRule(older_than=timedelta(days=30), include_runs=True)) == [OLDEST, OLDER]
    assert run.exists()
    run.write_text("{")
    with pytest.raises(UsageProblem, match="what it names cannot be spared"):
        plan_pruning(recorded, MONTH, NOW)


def test_a_dry_run_changes_nothing(recorded: Root) -> None:
    before = {path: path.read_bytes() for path in files(recorded)}
    plan = plan_pruning(recorded, PruneRule(max_bytes=0), NOW)
    assert plan.bytes == total_bytes(recorded)
    assert {path: path.read_bytes() for path in files(recorded)} == before


def test_foreign_files_and_an_empty_root_are_left_alone(root: Root) -> None:
    assert plan_pruning(root, PruneRule(max_bytes=0), NOW).removals == []
    folder = root.table("sessions") / "date=2026-01-01"
    folder.mkdir(parents=True)
    (folder / "notes.parquet").write_bytes(b"mine")
    assert carry_out(root, PruneRule(max_bytes=0)) == []
    assert len(files(root)) == 1


# --- sessions that share files --------------------------------------------------------------------------------


def test_compacted_sessions_go_like_others(recorded: Root) -> None:
    neighbour = f"{OLDEST[:-1]}b"
    record(recorded, neighbour)
    compact_date(recorded, "2026-01-01", grace_s=0)
    plan = plan_pruning(recorded, PruneRule(older_than=timedelta(days=30), keep_failed=True), NOW)
    assert [removal.name for removal in plan.recordings] == [neighbour, OLDER]
    assert plan.recordings[0].bytes > 0
    prune(plan)
    assert list_session_ids(recorded) == [OLDEST, OLD, YOUNG]
    assert len(list(open_recording(recorded, OLDEST).messages())) == 3


def test_of_a_day_that_waits_for_its_grace_no_copy_stays(recorded: Root) -> None:
    compact_date(recorded, "2026-01-01", at_least=1)
    assert carry_out(recorded, MONTH) == [OLDEST, OLDER]
    assert not [path for path in files(recorded) if OLDEST in path.name]
    assert list_session_ids(recorded) == [OLD, YOUNG]


def test_with_a_manifest_that_cannot_be_read_nothing_is_removed(recorded: Root) -> None:
    recorded.manifests.mkdir()
    recorded.manifest_file("2026-01-01").write_text("")
    with pytest.raises(UsageProblem, match="date=2026-01-01"):
        plan_pruning(recorded, MONTH, NOW)


def test_files_that_compaction_replaced_cost_no_recording(recorded: Root) -> None:
    for seconds in range(6):
        record(recorded, f"20260228T13000{seconds}-0000000d")
    ids = list_session_ids(recorded)
    room = total_bytes(recorded)
    compact_date(recorded, "2026-02-28")
    assert total_bytes(recorded) > room
    rule = PruneRule(max_bytes=room)
    plan = plan_pruning(recorded, rule, NOW)
    assert plan.recordings == []
    prune_by(rule, plan)
    assert list_session_ids(recorded) == ids
    assert plan.bytes_left == sum(path.stat().st_size for path in recorded.path.rglob("*.parquet")) <= room


def test_pruning_goes_on_until_the_root_is_under_the_limit(root: Root) -> None:
    for number in range(6):
        said: list[tuple[Sender, str | bytes]] = [("client", os.urandom(200_000 if number == 5 else 100).hex())]
        write_session_journal(root, said, session_id=f"20260212T09000{number}-0000000a")
        seal(root.path, f"20260212T09000{number}-0000000a")
    compact_date(root, "2026-02-12", grace_s=0)
    rule = PruneRule(max_bytes=60_000)
    plan = plan_pruning(root, rule, NOW)
    prune_by(rule, plan)
    left = sum(path.stat().st_size for path in root.path.rglob("*.parquet"))
    assert plan.bytes_left == left <= 60_000


def test_a_session_whose_journal_is_there_is_passed_over(recorded: Root) -> None:
    recorded.journal_of(OLDEST).write_bytes(b"")
    assert carry_out(recorded, MONTH) == [OLDER]


PRUNING = """
    import sys
    from datetime import timedelta
    from pathlib import Path
    from capture.pruning import PruneRule, plan_pruning, prune
    from capture.recording.root import Root, date_of

    root = Root(Path(sys.argv[1]))
    for line in sys.stdin:
        plan = plan_pruning(root, PruneRule(older_than=timedelta(days=1)))
        oldest = plan.recordings[: int(line)]
        plan.recordings[:] = oldest
        prune(plan)
        print(*[removal.name for removal in oldest], flush=True)
"""


@pytest.mark.slow
def test_pruning_and_compaction_do_not_undo_each_other(root: Root) -> None:
    left = [f"20260212T0900{number:02}-000000{number:02x}" for number in range(24)]
    for session_id in left:
        record(root, session_id)
    stop = threading.Event()

    def compact() -> None:
        while not stop.is_set():
            compact_date(root, "2026-02-12", at_least=1, grace_s=0)

    compacting = threading.Thread(target=compact)
    command = [sys.executable, "-c", textwrap.dedent(PRUNING), str(root.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pruning:
        assert pruning.stdin is not None
        assert pruning.stdout is not None
        compacting.start()
        while left:
            pruning.stdin.write("3\n")
            pruning.stdin.flush()
            gone = pruning.stdout.readline().split()
            assert gone == left[:3]
            left = left[3:]
            record(root, f"20260212T0930{len(left):02}-000000ff")
            assert [one for one in list_session_ids(root) if "T0900" in one] == left
            assert all(len(list(open_recording(root, one).messages())) == 2 for one in left)
        stop.set()
        compacting.join(timeout=30)
    assert len(list_session_ids(root)) == 8


def test_an_id_out_of_a_shared_file_is_never_taken_for_a_path(recorded: Root) -> None:
    table = TABLES["sessions"].empty_table().schema
    row = {"session_id": "../../../../x", "outcome": "ok"}
    path = recorded.table("sessions") / "date=2026-01-01" / "foreign.parquet"
    pq.write_table(pa.Table.from_pylist([row], schema=table), path)
    assert carry_out(recorded, PruneRule(max_bytes=0)) == ALL
    assert path.exists()


# --- readers, crashes -----------------------------------------------------------------------------------------


def test_a_removal_that_is_interrupted_is_never_half_seen_and_ended_by_the_next(
    recorded: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, removed = Path.unlink, 0

    def interrupted(path: Path, **options: bool) -> None:
        nonlocal removed
        if removed == 1:
            raise KeyboardInterrupt
        removed += 1
        unlink(path, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", interrupted)
        carry_out(recorded, MONTH)
    assert list_session_ids(recorded) == [OLDER, OLD, YOUNG]
    with Store(recorded) as store:
        seen = store.rows("SELECT DISTINCT session_id FROM events ORDER BY ALL")
    assert [row["session_id"] for row in seen] == [OLDER, OLD, YOUNG]
    plan = plan_pruning(recorded, MONTH, NOW)
    assert [removal.name for removal in plan.leftovers] == [OLDEST]
    prune(plan)
    assert not [path for path in files(recorded) if OLDEST in path.name]
    assert plan.bytes_left == total_bytes(recorded)


def test_half_of_a_copy_is_not_taken_for_leftovers(recorded: Root) -> None:
    shutil.rmtree(recorded.table("sessions"))
    held = files(recorded)
    plan = plan_pruning(recorded, MONTH, NOW)
    assert (plan.leftovers, plan.not_copied) == ([], [OLDEST, OLDER, OLD, YOUNG])
    prune(plan)
    assert files(recorded) == held
    assert (
        "kept 4 recordings, whose sessions are missing, was all of the root copied?" in sum_up(plan, dry_run=False)[1]
    )


def test_rows_whose_session_is_still_being_sealed_are_no_leftovers(recorded: Root) -> None:
    fresh = "20260212T090000-0000000c"
    record(recorded, fresh)
    recorded.table_file("sessions", fresh).unlink()
    write_session_journal(recorded, [("server", CREATED)], session_id=fresh)
    assert plan_pruning(recorded, MONTH, NOW).leftovers == []


def test_a_reader_goes_on_while_recordings_go(recorded: Root) -> None:
    with Store(recorded) as store:
        assert len(store.rows("SELECT * FROM sessions")) == 4
        carry_out(recorded, MONTH)
        assert store.rows("SELECT COUNT(*) AS n FROM events WHERE session_id = ?", [YOUNG], only=[YOUNG]) == [{"n": 2}]
        store.refresh()
        assert len(store.rows("SELECT * FROM sessions")) == 2


def test_a_file_that_cannot_be_removed_is_named(recorded: Root) -> None:
    path = recorded.table_file("audio", OLDEST)
    path.unlink()
    path.mkdir()
    with pytest.raises(WiretapeError, match=f"what is to go of {date_of(OLDEST)} cannot be removed: {path}: "):
        carry_out(recorded, MONTH)
    # The rest goes all the same: a nightly run must not end at the same file night after night.
    assert list_session_ids(recorded) == [OLD, YOUNG]


def test_what_is_left_is_measured_when_a_compacted_day_is_gone(root: Root) -> None:
    for number in range(7):
        record(root, f"20260101T083055-0000000{number}")
    compact_date(root, "2026-01-01", grace_s=0)
    plan = plan_pruning(root, MONTH, NOW)
    prune_by(MONTH, plan)
    # Seven shares of a size that seven does not divide leave a few bytes.
    assert (len(plan.recordings), plan.bytes_left) == (7, 0)
    assert not list(root.path.glob("*/date=*/*.parquet"))


def test_a_disk_that_is_full_is_told_as_such(recorded: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    compact_date(recorded, date_of(OLDEST), at_least=1, grace_s=0)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("capture.dropping.save_manifest", full)
    with pytest.raises(WiretapeError, match=f"{date_of(OLDEST)} cannot be removed: No space left on device"):
        carry_out(recorded, MONTH)


def test_what_has_gone_is_told_where_one_day_cannot_go(
    recorded: Root, run: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact_date(recorded, date_of(OLDEST), at_least=1, grace_s=0)
    others = [session_id for session_id in list_session_ids(recorded) if date_of(session_id) != date_of(OLDEST)]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("capture.dropping.save_manifest", full)
    asked = run.invoke(app, ["prune", "--max-bytes", "0"])
    assert isinstance(asked.exception, WiretapeError)
    assert asked.stdout.split() == others
    assert f"removed {len(others)} recordings" in asked.stderr


# --- journals -------------------------------------------------------------------------------------------------


def aged(path: Path, age: timedelta) -> Path:
    at = (NOW - age).timestamp()
    os.utime(path, (at, at))
    return path


def test_journals_go_by_their_own_age(root: Root) -> None:
    root.quarantine.mkdir(parents=True)
    for number, age in enumerate((6.9, 7.1)):
        write_session_journal(root, session_id=f"20260212T083055-0000000{number}")
        aged(root.journal_of(f"20260212T083055-0000000{number}"), timedelta(days=age))
        (root.quarantine / f"poisoned-{number}.journal").write_bytes(b"secrets")
        aged(root.quarantine / f"poisoned-{number}.journal", timedelta(days=age))
    plan = plan_pruning(root, MONTH, NOW)
    assert [removal.name for removal in plan.journals] == ["poisoned-1", "20260212T083055-00000001"]
    prune(plan)
    assert sorted(path.name for path in files(root)) == ["20260212T083055-00000000.journal", "poisoned-0.journal"]
    prune(plan_pruning(root, PruneRule(journals_older_than=timedelta(0)), NOW))
    assert files(root) == []


def test_a_quarantine_that_leads_elsewhere_costs_nobody_a_file(root: Root, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years of work")
    aged(home / "thesis.tex", timedelta(days=400))
    root.journal.mkdir(parents=True)
    root.quarantine.symlink_to(home)
    prune(plan_pruning(root, MONTH, NOW))
    assert (home / "thesis.tex").read_text() == "years of work"


def test_a_folder_that_is_called_as_a_journal_stays(root: Root) -> None:
    (root.journal / "x.journal").mkdir(parents=True)
    aged(root.journal / "x.journal", timedelta(days=8))
    plan = plan_pruning(root, MONTH, NOW)
    assert plan.journals == []
    prune(plan)


def test_the_journal_of_a_living_session_stays(root: Root) -> None:
    writer = JournalWriter(root.journal, tick_s=0.001)
    journal = writer.open(YOUNG)
    journal.append(Direction.FACT, 0, b"{}")
    closed = JournalWriter(root.journal, tick_s=0.001)
    closed.open(OLD).append(Direction.FACT, 0, b"{}")
    closed.close()
    while not root.journal_of(YOUNG).exists():
        os.sched_yield()
    for session_id in (YOUNG, OLD):
        aged(root.journal_of(session_id), timedelta(days=40))
    assert carry_out(root, MONTH) == []
    assert [path.stem for path in root.journal.glob("*.journal")] == [YOUNG]
    journal.close()
    writer.close()


def test_a_journal_that_a_sealer_took_up_meanwhile_stays(root: Root) -> None:
    path = aged(root.journal_of(write_session_journal(root, session_id=OLD)), timedelta(days=40))
    plan = plan_pruning(root, MONTH, NOW)
    assert [removal.name for removal in plan.journals] == [OLD]
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        prune(plan)
        assert path.exists()
    prune(plan)
    assert not path.exists()
    prune(plan)


# --- what is typed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("1.5h", timedelta(minutes=90)),
        ("45m", timedelta(minutes=45)),
        ("90s", timedelta(seconds=90)),
        ("2w", timedelta(days=14)),
    ],
)
def test_an_age_is_read(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("50G", 50 << 30), ("500m", 500 << 20), ("1.5TiB", 3 << 39), ("2KB", 2048)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 days", "1y", "nan"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="an age is a number with its unit"):
        parse_age(text)


@pytest.mark.parametrize("text", ["999999d", "99999999999w", f"{'9' * 400}d"])
def test_an_age_before_all_that_was_recorded_is_refused(text: str) -> None:
    assert parse_age("36500d") == timedelta(days=36500)
    with pytest.raises(UsageProblem, match="an age is 100 years at most"):
        parse_age(text)


def test_a_size_beyond_all_disks_is_refused() -> None:
    with pytest.raises(UsageProblem, match="a size is less than the 400 digits of 9999999999…"):
        parse_size(f"{'9' * 400}")


@pytest.mark.parametrize("text", ["", "G", "-1", "50X", "1e9", "five"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="a size is"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (3 << 29, "1.5 GiB"), (1 << 51, "2048.0 TiB")],
)
def test_what_is_left_is_told_in_its_unit(size: int, said: str) -> None:
    [line] = sum_up(PrunePlan(Root(Path()), bytes_left=size), dry_run=True)
    assert line == f"would remove 0 recordings, 0 journals: 0 bytes; {said} of recordings would be left"
