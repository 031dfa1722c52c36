"""Roots that hold the worst that a column can: strategies by type, and files that no recorder of ours wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from capture.plain_text import visible
from capture.recording.root import Root
from capture.recording.schema import TABLES

HOSTILE = "\x1b[31m\x07[bold]x[/bold]\u202e\u200b\u2066\ud7a3"
NASTY = (
    HOSTILE,
    "",
    " ",
    "\x00",
    "\n\r\t\x0b\x0c",
    "\x9b2J\x9d0;owned\x9c",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "[/]",
    "[link=x]",
    "[@click=app.quit]quit[/]",
    "$variable {x} %s",
    "a,b*c:d!=e 'f\" \\g",
    "-region:x | DROP TABLE sessions",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "e\u0301\u0301\u0301" * 40,
    "\u0600\u06dd\ufdfd\U00012031",
    "\ufeff\u2028\u2029\u00ad\u061c\U000e0041",
    "word" * 400,
    "failed|" * 9,
    "absent:\x1b[2J",
    '{"a":' * 2000,
    "NULL",
)
TEXTS = st.sampled_from(NASTY) | st.text(max_size=20)
NUMBERS = st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e308, -1e308, -0.0, 5e-324]) | st.floats(0, 1e5)
Rows = list[dict[str, Any]]
EDGES = {"int32": 2**31 - 1, "int64": 2**63 - 1}
DATES = st.sampled_from([-(2**63) + 1, -62135596800000000, -62135596800000001, 0, 253402300799999999, 2**63 - 1])
"""In microseconds: the first that can be told, the year 1, the year 0, 1970, the end of 9999, the last."""
NOW_US = 1_770_885_055_000_000


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Give values for a column of a type, most of them nothing that a recorder would write."""
    if pa.types.is_string(kind):
        return TEXTS
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_integer(kind):
        edge = EDGES[str(kind)]
        return st.sampled_from([0, 1, -1, edge, -edge - 1]) | st.integers(0, 600)
    if pa.types.is_floating(kind):
        return NUMBERS
    if pa.types.is_timestamp(kind):
        return DATES | st.just(NOW_US)
    if pa.types.is_map(kind):
        return st.dictionaries(TEXTS, TEXTS | st.none(), max_size=3).map(lambda pairs: list(pairs.items()))
    if pa.types.is_list(kind):
        return st.lists(st.none() | values(kind.value_type), max_size=3)
    if pa.types.is_struct(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        return st.fixed_dictionaries({field.name: st.none() | values(field.type) for field in fields})
    return st.binary(max_size=20)


def session_rows(least: int = 4, most: int = 8) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Give rows of `sessions`, each of its columns drawn apart; some of them failed, of three cells of a matrix."""
    columns = {field.name: st.none() | values(field.type) for field in TABLES["sessions"]}
    columns["session_id"] = TEXTS.filter(bool) | st.integers(0, 99).map("20260212T083055-000000{:02d}".format)
    columns["outcome"] = st.sampled_from(["ok", "failed", "failed", "incomplete"]) | TEXTS
    return st.lists(
        st.fixed_dictionaries(columns), min_size=least, max_size=most, unique_by=lambda row: row["session_id"]
    )


def write_rows(root: Root, table: str, rows: list[dict[str, Any]], name: str = "theirs.parquet") -> None:
    """Write rows as a file of a name that is none of ours: then nobody says which sessions it holds."""
    folder = root.table(table) / "date=2026-02-12"
    folder.mkdir(parents=True, exist_ok=True)
    schema = TABLES[table]
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), folder / name)


def event_rows(session_id: str, payloads: list[str]) -> list[dict[str, Any]]:
    """Give the rows of a session's events."""
    return [
        {
            "session_id": session_id,
            "seq": at,
            "offset_ns": at * 1_000_000,
            "at": datetime(2026, 2, 12, tzinfo=UTC),
            "sender": "server",
            "kind": "event",
            "type": payload[:40],
            "payload": payload,
        }
        for at, payload in enumerate(payloads)
    ]


def acting(page: str) -> set[str]:
    """Give the characters of a page that would act on a terminal or hide."""
    return {letter for letter in page if visible(letter) != letter} - {"\n"}
