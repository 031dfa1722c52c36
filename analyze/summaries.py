"""Sessions as rows of a list; a latency that sealing did not measure is measured on their events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from analyze.answers import SessionSummary
from analyze.filters import SessionFilter
from analyze.session_order import FIRST_AUDIO_SQL, NEWEST_FIRST, ListedSessions, NotedSession, Order, order_sql
from analyze.store import Store

_COLUMNS = (
    "session_id, started_at, role, target, provider, region, model, transcription_model, dialect, turns, duration_ms,"
    " outcome, errors, first_error, failure_keys, complete, run_id, cell, trial, trial_outcome, replay_of, tags, notes"
)
_SELECTED = f"{_COLUMNS}, turn_latencies IS NOT NULL AS is_measured, {FIRST_AUDIO_SQL} AS first_audio_ms"
_NAMES = _COLUMNS.split(", ")
_MEASURED_AT_MOST = 200
_FEW = 500


class Summaries:
    """Sums sessions up; remembers what it measured on events, for a sealed session does not change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._first_audio_ms: dict[str, float | None] = {}

    def newest(self, picked: SessionFilter, *, limit: int | None, latency: bool) -> list[SessionSummary]:
        """List picked sessions, newest first; `latency` measures on events what sealing did not, of the newest 200."""
        # Which they are, and only then what they hold: to sort whole rows costs four times as much.
        found = self._store.tuples(
            f"SELECT session_id FROM sessions WHERE {picked.sql} ORDER BY {order_sql(NEWEST_FIRST)} LIMIT ?",  # noqa: S608 - columns of ours, values are parameters
            [*picked.params, limit],
        )
        return self._summed_up(self._rows([row[0] for row in found]), latency=latency)

    def lack_latencies(self, summaries: Sequence[SessionSummary]) -> bool:
        """Tell whether sealing left a latency of these sessions to be measured on their events."""
        ids = [each.session_id for each in summaries]
        older = "SELECT 1 FROM sessions WHERE turn_latencies IS NULL AND session_id IN (SELECT UNNEST(?)) LIMIT 1"
        return bool(self._store.tuples(older, [ids]))

    def these(self, session_ids: Sequence[str]) -> list[SessionSummary]:
        """Sum up the sessions of these ids, in their order; an id that is gone is passed over."""
        return self._summed_up(self._rows(session_ids), latency=True)

    def listed(self, picked: SessionFilter, *, order: Order, only: Collection[str] | None) -> ListedSessions:
        """Put picked sessions in order, those of `only` where it is given."""
        among = "TRUE" if only is None else "session_id IN (SELECT UNNEST(?))"
        params = [*picked.params, *([] if only is None else [list(only)])]
        where = f"({picked.sql}) AND {among}"
        ids = self._store.tuples(f"SELECT session_id FROM sessions WHERE {where} ORDER BY {order_sql(order)}", params)  # noqa: S608
        noted = self._store.tuples(
            "SELECT session_id, COALESCE(outcome, ''), COALESCE(region, target, 'unknown'), failure_keys[1]"  # noqa: S608 - columns of ours, values are parameters
            f" FROM sessions WHERE {where} AND (outcome IS DISTINCT FROM 'ok' OR LEN(failure_keys) > 0)"
            f" ORDER BY {order_sql(NEWEST_FIRST)}",
            params,
        )
        return ListedSessions([row[0] for row in ids], tuple(NotedSession(*row) for row in noted))

    def of_row(self, row: dict[str, Any], first_audio_ms: float | None) -> SessionSummary:
        """Sum up one session whose first audio was measured meanwhile."""
        self._first_audio_ms[row["session_id"]] = first_audio_ms
        return _summary(row, first_audio_ms)

    def _rows(self, session_ids: Sequence[str]) -> list[dict[str, Any]]:
        # A filter takes a third of the time of a join, until there are many ids to compare each session with.
        among = "list_contains(?, session_id)" if len(session_ids) <= _FEW else "session_id IN (SELECT UNNEST(?))"
        rows = self._store.rows(f"SELECT {_SELECTED} FROM sessions WHERE {among}", [list(session_ids)])  # noqa: S608 - columns of ours
        found = {row["session_id"]: row for row in rows}
        return [found[each] for each in session_ids if each in found]

    def _summed_up(self, rows: Sequence[dict[str, Any]], *, latency: bool) -> list[SessionSummary]:
        if latency:
            older = [row["session_id"] for row in rows[:_MEASURED_AT_MOST] if not row["is_measured"]]
            self._measure_first_audio(older)
        known = self._first_audio_ms
        return [
            _summary(row, row["first_audio_ms"] if row["is_measured"] else known.get(row["session_id"])) for row in rows
        ]

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
    columns = {name: row[name] for name in _NAMES}
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


def by_finding(listed: ListedSessions, names: Mapping[str, tuple[str, ...]], *, descends: bool) -> ListedSessions:
    """Order sessions, which come newest first, by their surest finding, else by their first failure."""
    found = {session.session_id: session.failure_key or "" for session in listed.noted}
    found |= {session_id: having[0] for session_id, having in names.items() if having}
    ordered = sorted(listed.session_ids, key=lambda session_id: found.get(session_id, ""), reverse=descends)
    return replace(listed, session_ids=ordered)
