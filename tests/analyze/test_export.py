from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analyze.export import export
from analyze.store import Store
from capture.errors import UsageProblem

SQL = "SELECT session_id, started_at, failure_keys, tags, 'x\x1b[31m' AS hostile, ''::BLOB AS nothing FROM sessions"


def test_all_rows_are_written_in_each_format(
    failed_session: str, ok_session: str, store: Store, tmp_path: Path
) -> None:
    written = {ending: tmp_path / f"answer.{ending}" for ending in ("csv", "json", "parquet")}
    for path in written.values():
        assert export(store, f"{SQL} ORDER BY session_id;", path) == 2
        assert path.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(io.StringIO(written["csv"].read_text(encoding="utf-8"))))
    assert [row["session_id"] for row in rows] == [failed_session, ok_session]
    records = json.loads(written["json"].read_text(encoding="utf-8"))
    assert records[1]["started_at"] == "2026-02-12T08:31:55"
    assert records[0]["hostile"] == "x\x1b[31m"
    table = pq.read_table(written["parquet"])
    assert table.column("failure_keys").to_pylist()[1] == []
    assert str(table.schema.field("tags").type).startswith("map")
    assert sorted(path.name for path in tmp_path.glob("answer*")) == ["answer.csv", "answer.json", "answer.parquet"]


def test_a_file_that_is_there_stays_unless_it_may_go(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    path.write_text("mine")
    with pytest.raises(UsageProblem, match="exists already"):
        export(store, "SELECT 1 AS one", path)
    with pytest.raises(UsageProblem, match="cannot be run"):
        export(store, "SELECT nonsense", path, overwrite=True)
    assert path.read_text() == "mine"
    assert export(store, "SELECT 1 AS one", path, overwrite=True) == 1
    assert path.read_text() == "one\n1\n"


@pytest.mark.parametrize(
    ("name", "sql", "words"),
    [
        ("answer.xlsx", "SELECT 1", r"end the name in \.csv, \.json, \.parquet"),
        ("no/such/folder.csv", "SELECT 1", "cannot be written: No such file"),
        ("answer.parquet", "DROP VIEW sessions", "only one SELECT or EXPLAIN"),
    ],
)
def test_what_cannot_be_written_says_why(store: Store, tmp_path: Path, name: str, sql: str, words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        export(store, sql, tmp_path / name)
    assert list(tmp_path.glob("*answer*")) == []
