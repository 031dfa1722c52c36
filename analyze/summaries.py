"""Sessions as rows of a list, with the latency that has to be measured on their events."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC
from typing import Any

from analyze.answers import SessionSummary
from analyze.filters import SessionFilter
from analyze.store import Store

_COLUMNS = (
    "session_id, started_at, role, target, provider, region, model, transcription_model, dialect, turns, duration_ms,"
    " outcome, errors, first_error, failure_keys, complete, run_id, cell, trial, trial_outcome, replay_of, tags, notes"
)
_MEASURED_AT_MOST = 200


class Summaries:
    """Sums sessions up; remembers what it measured, for a sealed session does not change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._first_audio_ms: dict[str, float | None] = {}

    def list(self, picked: SessionFilter, *, limit: int | None, latency: bool) -> list[SessionSummary]:
        """List picked sessions, newest first; `latency` measures the first audio of the newest 200."""
        rows = self._store.rows(
            f"SELECT {_COLUMNS} FROM sessions WHERE {picked.sql}"  # noqa: S608 - columns of ours, values are parameters
            " ORDER BY started_at DESC, session_id DESC LIMIT ?",
            [*picked.params, limit],
        )
        if latency:
            self._measure_first_audio([row["session_id"] for row in rows[:_MEASURED_AT_MOST]])
        return [_summary(row, self._first_audio_ms.get(row["session_id"])) for row in rows]

    def of_row(self, row: dict[str, Any], first_audio_ms: float | None) -> SessionSummary:
        """Sum up one session whose first audio was measured meanwhile."""
        self._first_audio_ms[row["session_id"]] = first_audio_ms
        return _summary(row, first_audio_ms)

    def _measure_first_audio(self, session_ids: Collection[str]) -> None:
        missing = [session_id for session_id in session_ids if session_id not in self._first_audio_ms]
        if not missing:
            return
        rows = self._store.rows(
            "SELECT session_id, MEDIAN(latency_ms) AS median_ms FROM latencies"
            " WHERE name = 'first_audio' AND list_contains(?, session_id) GROUP BY session_id",
            [missing],
            only=missing,
        )
        self._first_audio_ms.update(dict.fromkeys(missing))
        self._first_audio_ms.update({row["session_id"]: row["median_ms"] for row in rows})


def _summary(row: dict[str, Any], first_audio_ms: float | None) -> SessionSummary:
    columns = {name: row[name] for name in _COLUMNS.split(", ")}
    return SessionSummary(
        **{
            **columns,
            "started_at": row["started_at"] and row["started_at"].replace(tzinfo=UTC),
            "turns": row["turns"] or 0,
            "errors": row["errors"] or 0,
            "complete": bool(row["complete"]),
            "failure_keys": tuple(row["failure_keys"] or ()),
            "tags": row["tags"] or {},
            "notes": tuple(row["notes"] or ()),
        },
        first_audio_ms=first_audio_ms,
    )
