from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.store.table_files import file_problem, names_holding, newest_files, page_problem, readable_names, shape_of
from capture.recording.listing import TableFiles
from capture.recording.manifest import compacted_name
from capture.recording.root import Root
from capture.recording.schema import EVENTS

ID, OTHER_ID = "20260212T083055-0000000a", "20260212T090000-0000000b"


def test_what_a_table_is_made_of() -> None:
    assert shape_of([], []) == "empty"
    assert shape_of(["/root/a.parquet", "/root/b.parquet"], ["/root/c.parquet"]) == "committed"
    assert shape_of(["/root/a.parquet", "/root/b.parquet"], ["/root/b.parquet"]) == "shared"


def test_only_a_file_named_after_a_session_can_be_uncommitted() -> None:
    committed, uncommitted = Path(f"/root/{ID}.parquet"), Path(f"/root/{OTHER_ID}.parquet")
    compacted, foreign, bad = Path("/root/c.parquet"), Path("/root/f.parquet"), Path("/root/bad.parquet")
    files = TableFiles(own=[committed, uncommitted], compacted=[compacted], foreign=[foreign, bad])
    assert readable_names(files, {ID}, [bad]) == [str(path) for path in (committed, compacted, foreign)]


def test_in_which_files_a_session_may_lie() -> None:
    root = Root(Path("/root"))
    own, other = (str(root.table_file("events", session_id)) for session_id in (ID, OTHER_ID))
    around, before = (f"/root/{compacted_name(first, ID)}" for first in (ID, "20260101T000000-00000000"))
    shared = {around, before, "/root/foreign.parquet"}
    assert names_holding(root, "events", [ID], {own, other}, shared) == [own]
    assert names_holding(root, "events", [ID], {other}, shared) == sorted(shared)
    assert names_holding(root, "events", [OTHER_ID], {own}, shared) == ["/root/foreign.parquet"]
    assert names_holding(root, "events", [ID, OTHER_ID], {own, other}, shared) == sorted([own, other])


def test_the_newest_sessions_lie_in_few_files(tmp_path: Path) -> None:
    def shared(first: int, last: int) -> Path:
        ids = [f"20260212T0900{n:02d}-0000000a" for n in range(first, last + 1)]
        path = tmp_path / compacted_name(ids[0], ids[-1])
        pq.write_table(pa.table({"session_id": ids}), path)
        return path

    old, new = shared(0, 9), shared(10, 19)
    own = [tmp_path / f"20260212T0900{n}-0000000b.parquet" for n in (15, 21, 22)]
    files = TableFiles(own=own, compacted=[old, new])
    assert newest_files(files, 1) == ([own[2]], "20260212T090021-0000000b")
    assert newest_files(files, 3) == ([own[2], own[1], new], "20260212T090015-0000000b")
    assert newest_files(files, 12) == ([own[2], own[1], new], "20260212T090015-0000000b")
    assert newest_files(files, 13) == ([own[2], own[1], new, own[0]], "20260212T090009-0000000a")
    assert newest_files(files, 14) is None
    assert newest_files(TableFiles(own=own, foreign=[tmp_path / "theirs.parquet"]), 1) is None


@pytest.mark.parametrize(
    ("seq", "problem"),
    [
        (pa.array([1], pa.int64()), None),
        (pa.array([1], pa.int32()), None),
        (pa.array([None], pa.null()), None),
        (pa.array(["1"]), "its column seq is string, not int64"),
        (pa.array([[1]]), "its column seq is list<element: int64>, not int64"),
    ],
)
def test_columns_must_hold_what_the_format_says(seq: pa.Array, problem: str | None, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    names = pa.array([ID], pa.string()).dictionary_encode()
    pq.write_table(pa.table({"session_id": names, "seq": seq, "more": [1]}), path)
    assert file_problem(path, EVENTS) == problem


def test_files_that_are_none_of_ours(tmp_path: Path) -> None:
    foreign, corrupt = tmp_path / "foreign.parquet", tmp_path / "corrupt.parquet"
    pq.write_table(pa.table({"fare": [1.5]}), foreign)
    corrupt.write_bytes(b"PAR1")
    assert file_problem(foreign, EVENTS) == "it has no session_id: no file of this table"
    assert (file_problem(corrupt, EVENTS) or "").startswith("no readable Parquet file: ")
    assert file_problem(tmp_path / "gone.parquet", EVENTS) is None


def test_a_page_that_does_not_read_is_found_by_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"session_id": ["a"], "seq": [0]}), path)
    assert page_problem(path) is None
    content = bytearray(path.read_bytes())
    content[4:12] = b"\xff" * 8
    path.write_bytes(content)
    assert (page_problem(path) or "").startswith("a page of it does not read: ")
    path.unlink()
    assert page_problem(path) is None
