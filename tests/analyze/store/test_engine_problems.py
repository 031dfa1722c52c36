"""What the engine cannot do is a sentence with what to do, and never its own many lines."""

from __future__ import annotations

from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.store import open_store
from analyze.store.engine_problems import in_a_sentence
from capture.errors import UsageProblem
from capture.recording.root import Root

ROWS = 2_000_000


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the engine as little as a small machine has beside a large root."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "40MB",
        "max_temp_directory_size": "10MB",
    }
    monkeypatch.setattr(duckdb, "connect", partial(duckdb.connect, config=config))


def write_bomb(root: Root, table: str, session_id: str, name: str) -> None:
    """Write a file of some kilobytes that unpacks to gigabytes."""
    codes = pa.array([0] * ROWS, pa.int32())
    columns = {"session_id": session_id, "model" if table == "sessions" else "payload": "x" * 1000}
    rows = {name: pa.DictionaryArray.from_arrays(codes, pa.array([text])) for name, text in columns.items()}
    pq.write_table(pa.table(rows), root.table_file(table, session_id).with_name(name))


@pytest.mark.parametrize("name", ["theirs.parquet", "20260212T090000-00000bad.parquet"])
def test_a_sessions_file_that_memory_does_not_hold_is_named_and_left_out(
    name: str, root: Root, failed_session: str, short_of_memory: None
) -> None:
    write_bomb(root, "sessions", failed_session, name)
    bomb = root.table_file("sessions", failed_session).with_name(name)
    with open_store(root) as store:
        assert store.rows("SELECT session_id FROM sessions") == [{"session_id": failed_session}]
        assert list(store.unreadable) == [bomb]
        assert store.unreadable[bomb].startswith("it unpacks to more than memory holds: Out of Memory Error")


def test_a_question_that_memory_does_not_hold_ends_in_a_sentence(
    root: Root, failed_session: str, short_of_memory: None
) -> None:
    write_bomb(root, "events", failed_session, "theirs.parquet")
    with open_store(root) as store:
        with pytest.raises(UsageProblem, match="takes more memory than there is, or more disk in TMPDIR") as told:
            store.rows("SELECT payload FROM events ORDER BY ALL")
        assert "\n" not in str(told.value)
        assert store.rows("SELECT session_id FROM sessions") == [{"session_id": failed_session}]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            duckdb.IOException("IO Error: on fire\nmore"),
            r"disks .* are full or unsound \(IO Error: on fire\)",
        ),
        (
            duckdb.InternalException("INTERNAL Error: assertion"),
            r"engine failed: .* \(INTERNAL Error: assertion",
        ),
    ],
)
def test_other_faults_say_what_to_do(error: duckdb.Error, told: str) -> None:
    with pytest.raises(UsageProblem, match=told), in_a_sentence():
        raise error


def test_what_is_wrong_with_our_own_sql_is_no_fault_of_the_machine() -> None:
    with pytest.raises(duckdb.ParserException), in_a_sentence(), duckdb.connect(":memory:") as connection:
        connection.execute("SELECT FROM")
