"""By what sessions can be put in order, in SQL, and what a list in order is; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from capture.errors import UsageProblem

Order = tuple[str, bool]
"""Name of what sessions are ordered by, and whether it descends."""

NEWEST_FIRST: Order = ("started", True)
FINDING = "finding"
"""By what was found in sessions, or by the first failure that has no name: no column holds that."""
FIRST_AUDIO_SQL = "LIST_AGGREGATE(LIST_TRANSFORM(turn_latencies, LAMBDA took: took.first_audio_ms), 'median')"
"""Median over the turns that sealing measured, in milliseconds."""

_TAGS_SQL = (
    "LIST_AGGREGATE(LIST_TRANSFORM(MAP_ENTRIES(tags), LAMBDA tag: CONCAT_WS('=', tag.key, NULLIF(tag.value, ''))),"
    " 'string_agg', ' ')"
)
# An import that tells no time of day stands where it came into the root, as its id says: `last` means it, too.
_STARTED_SQL = "COALESCE(started_at, TRY_STRPTIME(LEFT(session_id, 15), '%Y%m%dT%H%M%S'))"
_NEWEST = f"{_STARTED_SQL} DESC NULLS LAST, session_id DESC"
_ORDERS: dict[str, tuple[str, ...]] = {
    "started": (_STARTED_SQL, "session_id"),
    "target": ("COALESCE(target, '')",),
    "region": ("COALESCE(region, '')",),
    "model": ("COALESCE(model, '')",),
    "transcription_model": ("COALESCE(transcription_model, '')",),
    "turns": ("COALESCE(turns, 0)",),
    "duration": ("COALESCE(duration_ms, 0)",),
    "first_audio": (f"COALESCE({FIRST_AUDIO_SQL}, 0)",),
    "run": ("COALESCE(run_id, '')", "COALESCE(trial, 0)"),
    "outcome": ("COALESCE(outcome, '')",),
    # As the column writes it. Without a word a session stands last, whichever way the words run.
    "said": (f"NULLIF(CONCAT_WS(' ', {_TAGS_SQL}, notes[-1]), '')",),
}


@dataclass(frozen=True, slots=True)
class NotedSession:
    """A session that is not plainly ok, as totals count it."""

    session_id: str
    outcome: str
    place: str
    """Its region, else its target."""
    failure_key: str | None
    """The first of its failures."""


@dataclass(frozen=True, slots=True)
class ListedSessions:
    """The sessions that a filter picks, in order; their rows are asked for page by page."""

    session_ids: Sequence[str]
    noted: tuple[NotedSession, ...]
    """Those of them that are not plainly ok, newest first."""


def order_sql(order: Order) -> str:
    """Give what stands behind ORDER BY; equal sessions stay newest first.

    Raises `UsageProblem` naming what sessions can be ordered by.
    """
    name, descends = order
    if name == FINDING:
        return _NEWEST
    if name not in _ORDERS:
        nearest = get_close_matches(name, _ORDERS, n=3) or list(_ORDERS)
        raise UsageProblem(f"sessions cannot be ordered by {name!r}; nearest are {', '.join(nearest)}")
    direction = "DESC" if descends else "ASC"
    return ", ".join([*(f"{sql} {direction} NULLS LAST" for sql in _ORDERS[name]), _NEWEST])
