"""What looks like a pattern over many sessions must not be chance: random failures of one steady rate, over many roots.

The evidence is computed from rows that are drawn instead of recorded; all roots go through it at once, as endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from analyze.signatures import load_signatures

ROOTS = 60
MORNING = 1_770_854_400
"""2026-02-12, seconds since 1970."""
BY_HOUR = np.array([1, 1, 1, 1, 1, 2, 4, 6, 9, 10, 10, 9, 8, 9, 10, 9, 8, 6, 5, 4, 3, 2, 1, 1]) / 121
MOST = 0.1
"""Share of roots that may be named by chance, in each of these conditions; in most of them none is."""

SESSIONS = """
CREATE OR REPLACE TEMP TABLE sessions AS
SELECT DISTINCT
    session_id, 'wss://' || root || '/x' AS url, CAST(NULL AS VARCHAR) AS target, CAST(NULL AS VARCHAR) AS region,
    'gpt-realtime' AS model, 'transcribe-prod' AS transcription_model,
    CAST(NULL AS VARCHAR) AS transcription_model_echoed,
    make_timestamp(began_s * 1000000) AS started_at, 'server_vad' AS turn_detection, 'audio/pcm' AS input_format,
    'ga' AS dialect, 'other' AS provider, MAP {'x-request-id': '1'} AS response_headers,
    ['conversation.item.input_audio_transcription.failed|server_error||No.'] AS failure_keys
FROM drawn
"""
ANSWERS = """
CREATE OR REPLACE TEMP TABLE _answers AS
SELECT
    session_id, make_timestamp(at_s * 1000000) AS done_at, number AS done_seq, 2.0 AS done_ms, 1.0 AS created_ms,
    1 AS first_audio_seq, CASE WHEN failed THEN 'server_error' END AS error_type, CAST(NULL AS VARCHAR) AS error_code
FROM drawn
"""
COMMITS = """
CREATE OR REPLACE TEMP TABLE _commits AS
SELECT session_id, 'item_' || number AS item_id, number AS seq, make_timestamp(at_s * 1000000) AS at_utc FROM drawn
"""
MARKS = """
CREATE OR REPLACE TEMP TABLE _marks AS
SELECT session_id, 0 AS seq, 'transcribe-prod' AS transcription_model FROM sessions
"""
HEARD = """
CREATE OR REPLACE TEMP TABLE _heard AS
SELECT
    session_id, 'item_' || number AS item_id, number AS seq, make_timestamp(at_s * 1000000) AS at_utc,
    CASE WHEN failed THEN 0 ELSE 1 END AS completions, CASE WHEN failed THEN 'server_error' END AS error_type,
    CAST(NULL AS VARCHAR) AS error_code
FROM drawn
"""


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(evidence("_macros"))
        yield connection


def evidence(name: str) -> str:
    return (files("analyze") / "sql" / "evidence" / f"{name}.sql").read_text()


def draw(seed: int, *, days: int, sessions: int, turns: int, rate: float, in_clusters: bool) -> pa.Table:
    """Draw the turns of sessions that fail at one rate: each by itself, or half the turns of a few bad sessions."""
    chance = np.random.default_rng(seed)
    root = np.repeat(np.arange(ROOTS), sessions)
    began_s = MORNING + chance.integers(0, days, len(root)) * 86_400 + chance.choice(24, len(root), p=BY_HOUR) * 3600
    began_s += chance.integers(0, 3600, len(root))
    is_bad = chance.random(len(root)) < (rate / 0.5 if in_clusters else 1)
    session, number = np.repeat(np.arange(len(root)), turns), np.tile(np.arange(turns), len(root))
    failed = is_bad[session] & (chance.random(len(session)) < (0.5 if in_clusters else rate))
    columns: dict[str, Any] = {
        "session_id": [f"s{each}" for each in session],
        "root": root[session],
        "began_s": began_s[session],
        "at_s": began_s[session] + 20 * number,
        "number": number,
        "failed": failed,
    }
    return pa.table(columns)


def share_of_roots(database: duckdb.DuckDBPyConnection, name: str) -> float:
    """Give the share of roots in which a signature names any session."""
    (sql,) = (signature.sql for signature in load_signatures() if signature.name == name)
    found = database.execute(f"SELECT COUNT(DISTINCT url) FROM ({sql}) JOIN sessions USING (session_id)")  # noqa: S608 - our own
    return float(found.fetchall()[0][0]) / ROOTS


@pytest.mark.parametrize("in_clusters", [False, True], ids=["each by itself", "in clusters"])
@pytest.mark.parametrize("rate", [0.003, 0.02, 0.1])
@pytest.mark.parametrize(("days", "sessions"), [(1, 100), (7, 100), (30, 600)])
def test_one_steady_rate_has_no_peak(
    database: duckdb.DuckDBPyConnection, days: int, sessions: int, rate: float, in_clusters: bool
) -> None:
    drawn = draw(1, days=days, sessions=sessions, turns=8, rate=rate, in_clusters=in_clusters)
    database.register("drawn", drawn)
    for script in (SESSIONS, ANSWERS, evidence("capacity")):
        database.execute(script).fetchall()

    assert share_of_roots(database, "peak_hour_capacity") <= MOST


@pytest.mark.parametrize("in_clusters", [False, True], ids=["each by itself", "in clusters"])
@pytest.mark.parametrize("rate", [0.003, 0.02, 0.1])
@pytest.mark.parametrize("sessions", [20, 200])
@pytest.mark.parametrize("turns", [1, 4])
def test_failures_at_random_are_neither_an_outage_nor_a_quota(
    database: duckdb.DuckDBPyConnection, turns: int, sessions: int, rate: float, in_clusters: bool
) -> None:
    drawn = draw(2, days=3, sessions=sessions, turns=turns, rate=rate, in_clusters=in_clusters)
    database.register("drawn", drawn)
    for script in (SESSIONS, MARKS, COMMITS, HEARD, evidence("transcribers")):
        database.execute(script).fetchall()

    assert share_of_roots(database, "transcription_outage_window") <= MOST
    assert share_of_roots(database, "transcription_quota") <= MOST
