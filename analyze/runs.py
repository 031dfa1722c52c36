"""Runs of replay, read off the sessions they recorded."""

from __future__ import annotations

from datetime import UTC

from analyze.answers import RunSummary
from analyze.store import Store


def list_runs(store: Store) -> list[RunSummary]:
    """List runs, newest first."""
    rows = store.rows(
        "SELECT run_id, MIN(started_at) AS started_at, LIST(DISTINCT replay_of) AS replay_of,"
        " COUNT(DISTINCT cell) AS cells, COUNT(*) AS trials,"
        " COUNT(CASE WHEN trial_outcome = 'failed' THEN 1 END) AS failed,"
        " COUNT(CASE WHEN trial_outcome = 'ok' THEN 1 END) AS ok"
        " FROM sessions WHERE run_id IS NOT NULL GROUP BY run_id ORDER BY started_at DESC, run_id DESC"
    )
    return [
        RunSummary(
            run_id=row["run_id"],
            started_at=row["started_at"].replace(tzinfo=UTC),
            replay_of=tuple(sorted(filter(None, row["replay_of"] or []))),
            cells=row["cells"],
            trials=row["trials"],
            failed=row["failed"],
            ok=row["ok"],
            not_counted=row["trials"] - row["failed"] - row["ok"],
        )
        for row in rows
    ]
