"""The committed sample: small, readable without our code, and a whole story."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from analyze.queries import Queries
from analyze.store import open_store
from capture.recording.root import Root
from capture.recording.schema import AUDIO, EVENTS, SESSIONS
from replay.runs import load_run
from replay.verdict import read_verdict
from tests.sample import COMMITTED, MADE_AT, RUN


def test_the_sample_stays_small() -> None:
    tracked = [file for table in ("sessions", "events", "audio") for file in COMMITTED.glob(f"{table}/*/{MADE_AT}*")]
    assert sum(file.stat().st_size for file in tracked) < 2_000_000


def test_plain_duckdb_reads_it() -> None:
    with duckdb.connect() as connection:
        counted = connection.execute(
            "SELECT region, transcription_model, count(*) FILTER (trial_outcome = 'failed'), count(*)"
            " FROM read_parquet(?) WHERE role = 'replayed' GROUP BY ALL ORDER BY ALL",
            [f"{COMMITTED}/sessions/*/{MADE_AT}*.parquet"],
        ).fetchall()
    assert counted == [
        ("eastus2", "gpt-4o-transcribe", 5, 5),
        ("eastus2", "whisper-1", 0, 5),
        ("swedencentral", "gpt-4o-transcribe", 0, 5),
        ("swedencentral", "whisper-1", 0, 5),
    ]


@pytest.mark.parametrize(("table", "schema"), [("sessions", SESSIONS), ("events", EVENTS), ("audio", AUDIO)])
def test_plain_pyarrow_reads_it_with_the_contracts_columns(table: str, schema: pa.Schema) -> None:
    files = sorted(str(file) for file in COMMITTED.glob(f"{table}/*/{MADE_AT}*.parquet"))
    found = ds.dataset(files).schema
    # Columns may be added to a version of the format; the sample is as old as it is.
    assert found.equals(pa.schema(list(schema)[: len(found)]))


def test_its_run_has_a_verdict() -> None:
    verdict = read_verdict(load_run(Root(COMMITTED), RUN))
    assert verdict.pattern == "combination"
    assert "it takes both" in verdict.sentence


def test_what_failed_in_it_is_named() -> None:
    with open_store(Root(COMMITTED)) as store:
        queries = Queries(store)
        findings = queries.findings(f"session:{MADE_AT}*")
        failed = queries.sessions(f"session:{MADE_AT}* outcome:failed", latency=False)
    assert {finding.session_id for finding in findings} == {session.session_id for session in failed}
    assert {(finding.name, finding.confidence) for finding in findings} == {
        ("transcription_model_path_failure", "likely")
    }
