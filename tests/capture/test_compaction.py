"""Compaction: every session once and byte for byte, before, after, and wherever it is killed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from capture.compaction import compact_date, dates_to_compact
from capture.errors import UsageProblem
from capture.recording.manifest import load_manifest, place_of, save_manifest
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.recording.schema import TABLES
from capture.recording.tables import read_rows
from capture.recording.writer import SessionWriter
from capture.regular_files import NO_FILE
from capture.sealing import SealingFailed, seal

DATE = "2026-02-12"
IDS = [f"20260212T0830{number:02}-0000000{number}" for number in range(5)]
Write = Callable[..., str]
Said = list[tuple[str, str | bytes]]


def speech(seed: int) -> Said:
    """Make up a session: text with audio in it, from both sides, and pings."""
    random = Random(seed)
    said: Said = [("server", json.dumps({"type": "session.created", "session": {"id": f"sess_{seed}"}}))]
    for _ in range(random.randint(1, 12)):
        audio = base64.b64encode(random.randbytes(random.randint(1, 3000))).decode()
        said.append(("client", json.dumps({"type": "input_audio_buffer.append", "audio": audio})))
        said.append(("server", json.dumps({"type": "response.output_audio.delta", "item_id": "i", "delta": audio})))
        said.append(("server", json.dumps({"type": "x", "text": "ä\u2028" * random.randint(0, 9)}, ensure_ascii=False)))
    return said


@pytest.fixture
def sealed(root: Root, write_journal: Write) -> dict[str, list[object]]:
    """Seal five sessions of one day; gives what each holds."""
    for seed, session_id in enumerate(IDS):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    return contents(root)


def content(root: Root, session_id: str) -> list[object]:
    recording = open_recording(root, session_id)
    return [recording.session, *recording.messages(), recording.audio("client"), recording.audio("server")]


def contents(root: Root) -> dict[str, list[object]]:
    return {session_id: content(root, session_id) for session_id in list_session_ids(root)}


def names(root: Root) -> list[str]:
    """List the files of the tables: compacted ones as `TABLE/compacted`."""
    return sorted(
        f"{path.parts[-3]}/{'compacted' if place_of(path.name) == 'compacted' else path.name}"
        for table in TABLES
        for path in root.table(table).rglob("*")
        if path.is_file()
    )


COMPACTED = ["audio/compacted", "events/compacted", "sessions/compacted"]


def test_a_day_becomes_one_file_a_table_and_its_sessions_stay_the_same(
    root: Root, sealed: dict[str, list[object]]
) -> None:
    result = compact_date(root, DATE, grace_s=0)
    assert (result.sessions, result.files_before, result.files_after) == (5, 15, 3)
    assert result.bytes_after == sum(path.stat().st_size for path in root.path.rglob("*.parquet"))
    assert names(root) == COMPACTED
    assert contents(root) == sealed


def test_rows_are_ordered_by_session_and_seq(root: Root, sealed: dict[str, list[object]]) -> None:
    compact_date(root, DATE, grace_s=0)
    (path,) = root.date_folder("events", DATE).iterdir()
    rows = pq.read_table(path, columns=["session_id", "seq"], partitioning=None).to_pylist()
    places = [(row["session_id"], row["seq"]) for row in rows]
    assert places == sorted(places)


def test_merged_files_stay_for_the_grace_period(root: Root, sealed: dict[str, list[object]]) -> None:
    compact_date(root, DATE)
    assert len(names(root)) == 15 + 3
    assert contents(root) == sealed
    assert compact_date(root, DATE).waits is None
    assert len(names(root)) == 15 + 3
    manifest = load_manifest(root, DATE)
    assert manifest is not None
    assert manifest.replaced is not None
    long_ago = replace(manifest.replaced, at=datetime.now(UTC) - timedelta(seconds=601))
    save_manifest(root, DATE, replace(manifest, replaced=long_ago))
    compact_date(root, DATE)
    assert names(root) == COMPACTED
    assert contents(root) == sealed


def test_what_comes_later_is_merged_into_the_same_few_files(root: Root, write_journal: Write) -> None:
    for seed, session_id in enumerate(IDS[1:3]):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    compact_date(root, DATE)
    for seed, session_id in enumerate([IDS[0], IDS[3]]):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    sealed = contents(root)
    assert list(sealed) == IDS[:4]
    assert "stay until" in (compact_date(root, DATE).waits or "")
    assert compact_date(root, DATE, grace_s=0).sessions == 2
    assert names(root) == COMPACTED
    assert contents(root) == sealed


def test_large_files_are_left_as_they_are_and_no_session_is_cut(
    root: Root, sealed: dict[str, list[object]], write_journal: Write
) -> None:
    compact_date(root, DATE, grace_s=0, file_bytes=1)
    before = set(root.path.rglob("compacted-*.parquet"))
    assert len(before) == 15
    seal(root.path, write_journal(speech(9), session_id="20260212T100000-00000009"))
    compact_date(root, DATE, at_least=1, grace_s=0, file_bytes=1)
    assert before < set(root.path.rglob("compacted-*.parquet"))
    assert {key: value for key, value in contents(root).items() if key in sealed} == sealed


def test_progress_shows_from_the_first_session_on_and_never_goes_back(
    root: Root, sealed: dict[str, list[object]]
) -> None:
    told: list[tuple[int, int]] = []
    compact_date(root, DATE, on_progress=lambda done, steps: told.append((done, steps)))
    # Nothing is merged while the footers are read, which takes a quarter of the time.
    checked = [(number, 30) for number in range(5)]
    assert told == [*checked, *((number, 30) for number in range(6, 31))]


def test_nothing_is_done_for_the_sake_of_one_session(root: Root, write_journal: Write) -> None:
    seal(root.path, write_journal(speech(1), session_id=IDS[0]))
    before = names(root)
    assert compact_date(root, DATE).sessions == 0
    assert names(root) == before
    assert compact_date(root, DATE, at_least=1, grace_s=0).sessions == 1
    assert names(root) == COMPACTED


def test_uncommitted_sessions_and_foreign_files_are_left_alone(root: Root, sealed: dict[str, list[object]]) -> None:
    root.table_file("sessions", IDS[0]).unlink()
    foreign = root.date_folder("events", DATE) / "foreign.parquet"
    pq.write_table(pa.table({"someone": ["else"]}), foreign)
    assert compact_date(root, DATE, grace_s=0).sessions == 4
    own = [f"{table}/{IDS[0]}.parquet" for table in ("audio", "events")]
    assert names(root) == sorted([*COMPACTED, *own, "events/foreign.parquet"])


def test_a_session_with_a_pipe_in_place_of_a_file_is_left_alone(root: Root, sealed: dict[str, list[object]]) -> None:
    pipe = root.table_file("audio", IDS[2])
    pipe.unlink()
    os.mkfifo(pipe)
    result = compact_date(root, DATE, grace_s=0)
    assert (result.sessions, result.left_alone) == (4, {str(pipe): NO_FILE})


@pytest.mark.parametrize("is_footer", [True, False])
def test_a_damaged_session_is_named_and_left_alone(
    is_footer: bool, root: Root, sealed: dict[str, list[object]]
) -> None:
    path = root.table_file("audio", IDS[2])
    damaged = bytearray(path.read_bytes())
    damaged[slice(-50, None) if is_footer else slice(4, 400)] = b"\xff" * (50 if is_footer else 396)
    path.write_bytes(damaged)
    result = compact_date(root, DATE, grace_s=0)
    assert result.sessions == 4
    assert list(result.left_alone) == [str(path)]
    assert names(root) == sorted(
        [*COMPACTED, *(f"{table}/{IDS[2]}.parquet" for table in ("audio", "events", "sessions"))]
    )
    del sealed[IDS[2]]
    assert {session_id: content(root, session_id) for session_id in sealed} == sealed


def test_compacted_files_without_their_manifest_are_not_touched(root: Root, sealed: dict[str, list[object]]) -> None:
    compact_date(root, DATE, grace_s=0)
    root.manifest_file(DATE).unlink()
    assert contents(root) == sealed
    with pytest.raises(UsageProblem, match="has compacted files but no manifest"):
        compact_date(root, DATE, grace_s=0)
    assert contents(root) == sealed


def test_which_dates_are_compacted(root: Root, sealed: dict[str, list[object]]) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    root.date_folder("sessions", today).mkdir()
    assert dates_to_compact(root) == [DATE]
    assert dates_to_compact(root, everything=True) == [DATE, today]
    assert dates_to_compact(root, [today, "2026-01-01"]) == ["2026-01-01", today]
    with pytest.raises(UsageProblem, match="--date takes a UTC day such as 2026-02-12, not 'yesterday'"):
        dates_to_compact(root, ["yesterday"])


# --- any recording --------------------------------------------------------------------------------------------

values = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
event_rows = st.fixed_dictionaries(
    {
        "offset_ns": st.integers(0, 2**62),
        "at": st.none() | st.integers(0, 2**52),
        "type": values,
        "payload": values,
        "payload_bytes": st.none() | st.binary(max_size=20),
        "content_index": st.none() | st.integers(-(2**31), 2**31 - 1),
        "pinned": st.none() | st.booleans(),
    }
)
session_rows = st.fixed_dictionaries(
    {
        "tags": st.none() | st.dictionaries(st.text("abc", max_size=3), values, max_size=3),
        "failure_keys": st.lists(values, max_size=3),
        "duration_ms": st.none() | st.floats(allow_nan=False),
    }
)


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    sessions=st.lists(st.tuples(st.lists(event_rows, max_size=4), session_rows), min_size=2, max_size=5),
    first=st.integers(0, 5),
)
def test_every_value_of_every_row_survives(
    sessions: list[tuple[list[dict[str, object]], dict[str, object]]],
    first: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = Root(tmp_path_factory.mktemp("root"))
    for session_id, (rows, session) in zip(IDS, sessions, strict=False):
        with SessionWriter(root, session_id) as writer:
            for seq, row in enumerate(rows):
                writer.add("events", row | {"seq": seq})
            writer.commit(session)
        if session_id == IDS[min(first, 4)]:
            compact_date(root, DATE, at_least=1, grace_s=0)
    before = rows_of(root)
    compact_date(root, DATE, at_least=1, grace_s=0)
    assert rows_of(root) == before


def rows_of(root: Root) -> dict[str, list[object]]:
    return {
        session_id: [row for table in TABLES for row in read_rows(root, table, session_id)]
        for session_id in list_session_ids(root)
    }


# --- sealing again --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grace_s", [0, 600])
def test_a_compacted_session_is_not_sealed_again(
    grace_s: float, root: Root, sealed: dict[str, list[object]], write_journal: Write
) -> None:
    compact_date(root, DATE, grace_s=grace_s)
    before = names(root)
    write_journal(speech(0), session_id=IDS[0])
    assert seal(root.path, IDS[0]).session_id == IDS[0]
    assert names(root) == before
    assert contents(root) == sealed
    assert list(root.journal.iterdir()) == []


def test_a_journal_stays_where_the_compacted_file_is_damaged(
    root: Root, sealed: dict[str, list[object]], write_journal: Write
) -> None:
    compact_date(root, DATE, grace_s=0)
    next(root.date_folder("sessions", DATE).iterdir()).write_bytes(b"nothing")
    write_journal(speech(0), session_id=IDS[0])
    with pytest.raises(SealingFailed, match=r"compacted-.*its journal is kept in"):
        seal(root.path, IDS[0])
    assert root.journal_of(IDS[0]).exists()


# --- crashes --------------------------------------------------------------------------------------------------

# A crash leaves no time to tidy up: the process ends in the middle of a system call's wrapper. Forked, not started
# anew: to import pyarrow takes longer than all the rest.
CRASHING = """
    import os, sys
    from pathlib import Path
    from capture.compaction import compact_date
    from capture.dropping import drop_sessions
    from capture.recording.root import Root

    folder, work = Path(sys.argv[1]), sys.argv[2]

    def crash_at(owner, name, left):
        original = getattr(owner, name)

        def counted(*arguments, **options):
            if left[0] == 0:
                os._exit(42)
            left[0] -= 1
            return original(*arguments, **options)

        setattr(owner, name, counted)

    for number in range(1000):
        root = Root(folder / str(number))
        child = os.fork()
        if child == 0:
            left = [number]
            for owner, name in ((Path, "replace"), (Path, "unlink"), (os, "fsync")):
                crash_at(owner, name, left)
            try:
                if work == "compact":
                    compact_date(root, "2026-02-12", at_least=1, grace_s=0)
                else:
                    drop_sessions(root, "2026-02-12", sys.argv[3:])
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)
        if status == 0:
            break
        sys.stdin.readline()
"""


def crash_everywhere(root: Root, folder: Path, *arguments: str) -> list[Root]:
    """Run work on copies of a root, killed one step later in each; the last one comes to its end."""
    crashed = []
    command = [sys.executable, "-c", textwrap.dedent(CRASHING), str(folder), *arguments]
    copy(root, folder, 0)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, status in enumerate(process.stdout):
            crashed.append(Root(folder / str(number)))
            if status.strip() == "0":
                break
            assert status.strip() == "42"
            copy(root, folder, number + 1)
            process.stdin.write("\n")
            process.stdin.flush()
    assert process.returncode == 0
    return crashed


def copy(root: Root, folder: Path, number: int) -> None:
    shutil.copytree(root.path, folder / str(number))


@pytest.mark.slow
def test_killed_anywhere_nothing_is_lost_and_nothing_doubled(root: Root, write_journal: Write, tmp_path: Path) -> None:
    for seed, session_id in enumerate(IDS[:2]):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    compact_date(root, DATE, grace_s=0)
    seal(root.path, write_journal(speech(7), session_id="20260212T083000-00000007"))
    before = contents(root)
    crashed = crash_everywhere(root, tmp_path / "crashed", "compact")
    assert len(crashed) > 15
    for each in crashed:
        assert contents(each) == before
        compact_date(each, DATE, at_least=1, grace_s=0)
        assert names(each) == COMPACTED
    assert contents(crashed[-1]) == contents(crashed[0]) == before
