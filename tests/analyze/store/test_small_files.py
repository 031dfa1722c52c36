"""Many sessions that were not compacted: their files are read together, and a damaged or older one does no harm."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.store import open_store
from analyze.store.small_files import read_small_files
from capture.recording.root import Root

COLUMNS = [("session_id", "VARCHAR"), ("turns", "BIGINT"), ("date", "DATE")]


@pytest.fixture
def names(root: Root, ok_session: str) -> list[str]:
    """Give the sessions files of 120 sessions, which differ in their ids and turns."""
    row = pq.read_table(root.table_file("sessions", ok_session), partitioning=None)
    paths = []
    for number in range(120):
        session_id = f"20260212T100000-{number:08x}"
        other = {"session_id": pa.array([session_id]), "turns": pa.array([number], pa.int64())}
        columns = [other.get(name, row[name]) for name in row.column_names]
        paths.append(root.table_file("sessions", session_id))
        pq.write_table(pa.table(columns, schema=row.schema), paths[-1])
    return [str(path) for path in paths]


def turns(root: Root) -> list[int]:
    with open_store(root) as store:
        return [
            row["turns"] for row in store.rows("SELECT turns FROM sessions WHERE session_id > '20260212T10' ORDER BY 1")
        ]


def test_they_are_read_as_one_table_with_their_names(names: list[str]) -> None:
    rows = read_small_files(names, COLUMNS)
    assert rows is not None
    assert rows.column_names == ["session_id", "turns", "date", "filename"]
    assert sorted(rows["turns"].to_pylist()) == list(range(120))
    assert {Path(row["filename"]).stem for row in rows.to_pylist()} == set(rows["session_id"].to_pylist())


def test_few_files_are_left_to_others(names: list[str]) -> None:
    assert read_small_files(names[:49], COLUMNS) is None
    assert read_small_files([], COLUMNS) is None


@pytest.mark.parametrize("at", [0, 1, 77])
def test_one_that_lacks_a_column_is_read_all_the_same(root: Root, names: list[str], at: int) -> None:
    older = pq.read_table(names[at], partitioning=None).drop_columns(["drift_us"])
    pq.write_table(older, names[at])
    rows = read_small_files(names, [*COLUMNS, ("drift_us", "DOUBLE")])
    assert rows is not None
    assert {row["filename"]: row["drift_us"] for row in rows.to_pylist()}[names[at]] is None
    assert turns(root) == list(range(120))


def test_values_are_never_cast_to_the_types_of_another_file(root: Root, names: list[str]) -> None:
    row = pq.read_table(names[0], partitioning=None)
    narrow = row.set_column(row.column_names.index("turns"), "turns", pa.array([0], pa.int16()))
    pq.write_table(narrow, names[0])
    large = pq.read_table(names[100], partitioning=None)
    pq.write_table(large.set_column(large.column_names.index("turns"), "turns", pa.array([70_000])), names[100])
    rows = read_small_files(names, COLUMNS)
    assert rows is not None
    assert max(rows["turns"].to_pylist()) == 70_000
    assert turns(root)[-1] == 70_000


def test_where_one_holds_no_values_of_a_column_it_is_left_out(root: Root, names: list[str]) -> None:
    row = pq.read_table(names[60], partitioning=None)
    pq.write_table(row.set_column(row.column_names.index("turns"), "turns", pa.array(["many"])), names[60])
    assert read_small_files(names, COLUMNS) is None
    assert turns(root) == [number for number in range(120) if number != 60]


def test_a_corrupt_one_among_them_is_named_and_left_out(root: Root, names: list[str]) -> None:
    Path(names[60]).write_bytes(b"PAR1 this is no Parquet file PAR1")
    assert turns(root) == [number for number in range(120) if number != 60]
    with open_store(root) as store:
        assert [str(path) for path in store.unreadable] == [names[60]]


def test_the_newest_of_them_first(root: Root, names: list[str]) -> None:
    with open_store(root, newest=60) as store:
        assert store.is_partial
        assert [row["turns"] for row in store.rows("SELECT turns FROM sessions ORDER BY 1")] == list(range(60, 120))
