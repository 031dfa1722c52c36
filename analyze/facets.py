"""Count the values of the fields that sessions are told apart by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from analyze.answers import Facet
from analyze.filters import SessionFilter
from analyze.store import Store

FACETS = (
    "outcome",
    "region",
    "target",
    "model",
    "transcription_model",
    "voice",
    "dialect",
    "provider",
    "turn_detection",
    "role",
    "run_id",
    "cell",
    "closed_by",
    "end_reason",
)
"""Fields whose values are counted: such as have few of them."""
VALUES_A_FIELD = 50
"""Values that are counted of each field, the most frequent."""

_COLUMNS = ", ".join(f"COALESCE(CAST({name} AS VARCHAR), '') AS {name}" for name in FACETS)


def count_facets(store: Store, picked: SessionFilter, names: Mapping[str, tuple[str, ...]]) -> list[Facet]:
    """Count values field by field; `names` are what was found in each session, by session id."""
    rows = store.tuples(
        f"WITH picked AS (SELECT outcome = 'failed' AS is_failed, {_COLUMNS} FROM sessions WHERE {picked.sql}),"  # noqa: S608 - columns of ours, values are parameters
        " counted AS (SELECT field, value, COUNT(*) AS sessions, COUNT(*) FILTER (is_failed) AS failed"
        f" FROM (UNPIVOT picked ON {', '.join(FACETS)} INTO NAME field VALUE value) GROUP BY field, value)"
        " SELECT field, value, sessions, failed FROM counted WHERE value <> ''"
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY field ORDER BY sessions DESC, value) <= ?",
        [*picked.params, VALUES_A_FIELD],
    )
    counted = [Facet(*row) for row in rows] + _tags(store, picked) + _found(store, picked, names)
    order = {field: at for at, field in enumerate(("outcome", "finding", *FACETS[1:], "tag"))}
    return sorted(counted, key=lambda facet: (order[facet.field], -facet.sessions, facet.value))


def _tags(store: Store, picked: SessionFilter) -> list[Facet]:
    rows = store.tuples(
        "SELECT entry.key || '=' || COALESCE(entry.value, ''), COUNT(*) AS sessions,"  # noqa: S608 - as above
        " COUNT(*) FILTER (outcome = 'failed')"
        f" FROM (SELECT outcome, UNNEST(MAP_ENTRIES(tags)) AS entry FROM sessions WHERE {picked.sql})"
        " GROUP BY ALL ORDER BY sessions DESC LIMIT ?",
        [*picked.params, VALUES_A_FIELD],
    )
    return [Facet("tag", *row) for row in rows]


def _found(store: Store, picked: SessionFilter, names: Mapping[str, tuple[str, ...]]) -> list[Facet]:
    if not names:
        return []
    rows = store.tuples(f"SELECT session_id, outcome FROM sessions WHERE {picked.sql}", picked.params)  # noqa: S608
    sessions, failed = Counter[str](), Counter[str]()
    for session_id, outcome in rows:
        for name in names.get(session_id, ()):
            sessions[name] += 1
            failed[name] += outcome == "failed"
    return [Facet("finding", name, count, failed[name]) for name, count in sessions.items()]
