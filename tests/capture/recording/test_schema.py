"""The columns of the recording format: a contract with foreign readers."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capture.recording.schema import FORMAT_VERSION, TABLES

UNITS = {"_ms": pa.float64(), "_us": pa.float64(), "_ns": pa.int64(), "_dbfs": pa.float64()}


def columns_in_design(shared: Path, table: str) -> list[str]:
    """List the columns that the design names for a table, in its order."""
    section = (shared / "design.md").read_text().split(f"\n`{table}`: ")[1]
    paragraph = re.split(r"\n\n|\n`outcome`|\nA block|\n`events`", section)[0].rstrip(".")
    without_remarks = re.sub(r"\([^()]*\)", "", paragraph)
    return [column.strip() for column in without_remarks.split(",")]


@pytest.mark.parametrize("table", ["sessions", "events", "audio"])
def test_the_columns_of_the_design_are_all_there_in_its_order(table: str, shared: Path) -> None:
    designed = columns_in_design(shared, table)
    assert [name for name in TABLES[table].names if name in designed] == designed


def test_the_tables_of_version_1() -> None:
    assert FORMAT_VERSION == 1
    assert list(TABLES) == ["sessions", "events", "audio", "divergences", "rewrites"]


@pytest.mark.parametrize("table", TABLES)
def test_every_row_names_its_session_and_no_column_stands_twice(table: str) -> None:
    schema = TABLES[table]
    assert schema.names[0] == "session_id"
    assert not schema.field("session_id").nullable
    assert len(set(schema.names)) == len(schema.names)


@pytest.mark.parametrize("table", TABLES)
def test_a_unit_in_a_name_has_one_type(table: str) -> None:
    for field in TABLES[table]:
        for suffix, expected in UNITS.items():
            if field.name.endswith(suffix):
                assert field.type == expected, field.name


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_survive_parquet(table: str, tmp_path: Path) -> None:
    path = tmp_path / f"{table}.parquet"
    pq.write_table(TABLES[table].empty_table(), path)
    assert pq.read_schema(path).equals(TABLES[table])


def test_times_are_utc_to_the_microsecond() -> None:
    for table, column in [("sessions", "started_at"), ("sessions", "ended_at"), ("events", "at")]:
        assert TABLES[table].field(column).type == pa.timestamp("us", tz="UTC")
