from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.table_files import file_problem, is_uncommitted, shape_of
from capture.recording.schema import EVENTS

ID = "20260212T083055-0000000a"


def test_what_a_table_is_made_of() -> None:
    assert shape_of([]) == "empty"
    assert shape_of([f"/root/events/date=2026-02-12/{ID}.parquet"]) == "own"
    assert shape_of([f"/root/{ID}.parquet", "/root/compacted-0.parquet"]) == "shared"


def test_only_a_file_named_after_a_session_can_be_uncommitted() -> None:
    assert is_uncommitted(ID, set())
    assert not is_uncommitted(ID, {ID})
    assert not is_uncommitted("compacted-0", set())


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
