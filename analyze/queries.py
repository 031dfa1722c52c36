"""One typed method a question; what the command line and the TUI show."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from analyze.answers import (
    DiffRow,
    EventDetail,
    Facet,
    FailureMatrix,
    LatencyDelta,
    MatrixCell,
    PathChange,
    RateOverTime,
    RunSummary,
    SessionDetail,
    SessionDiff,
    SessionSummary,
    TimelineRow,
    TrackFacts,
    TranscriptDiff,
    Turn,
)
from analyze.audio_health import AudioHealth
from analyze.event_diff import Side
from analyze.facets import count_facets
from analyze.filters import SessionFilter, read_filter
from analyze.findings import Finding, NamedFailures, UnknownFailure, find_unknown, names_by_session, with_findings
from analyze.matrix import count_failures, dimension_sql
from analyze.over_time import rates_over_time
from analyze.runs import find_run, find_run_id, list_runs
from analyze.session_order import FINDING, NEWEST_FIRST, ListedSessions, Order
from analyze.session_parts import (
    Row,
    SessionParts,
    find_in_payloads,
    lacks_events,
    read_audio_health,
    read_event_levels,
    read_failing_seqs,
    read_levels,
    read_messages,
    read_parts,
    read_row,
    read_rows_at,
    read_run,
    read_timeline,
    read_whole,
)
from analyze.side_by_side import MOST_SESSIONS, SideBySide, compare_sides
from analyze.store import Store
from analyze.summaries import Summaries, by_finding
from capture.errors import UsageProblem
from capture.listing import resolve_recording
from capture.recording.root import started_at_by

if TYPE_CHECKING:
    from replay.verdict import Verdict

__all__ = [
    "AudioHealth",
    "DiffRow",
    "EventDetail",
    "Facet",
    "FailureMatrix",
    "Finding",
    "LatencyDelta",
    "MatrixCell",
    "PathChange",
    "Queries",
    "RateOverTime",
    "RunSummary",
    "SessionDetail",
    "SessionDiff",
    "SessionSummary",
    "TimelineRow",
    "TrackFacts",
    "TranscriptDiff",
    "Turn",
    "UnknownFailure",
]


class Queries:
    """The questions that can be asked of an open store; every method raises `UsageProblem` for unknown ids."""

    def __init__(self, store: Store, named: NamedFailures | None = None) -> None:
        self.store = store
        self._summaries = Summaries(store)
        self._named = NamedFailures(lambda: store) if named is None else named

    def sessions(
        self,
        filter: str = "",  # noqa: A002 - its word
        *,
        limit: int | None = None,
        latency: bool = True,
        findings: bool = False,
    ) -> list[SessionSummary]:
        """List sessions, newest first.

        `filter` is the language of `analyze.filters`. Where sealing did not measure `first_audio_ms` it is taken from
        the events, of the newest 200 at most; `latency=False` reads none.
        `findings` names what the signatures found, which the first time takes a pass over the whole root.
        """
        listed = self._summaries.newest(self._read_filter(filter), limit=limit, latency=latency)
        return with_findings(listed, names_by_session(self._named.all())) if findings else listed

    def newest_held(self, limit: int) -> list[SessionSummary] | None:
        """List the newest sessions of a store that was opened with these only, as `sessions` lists them of all.

        None where another may be among them, or something of them stands in files that are not held.
        """
        store = self.store
        if store.others_up_to is None or not store.looks_whole():
            return None
        found = self._summaries.newest(read_filter(""), limit=limit, latency=False)
        if len(found) < limit:
            return None
        # Ids tell the second in which a session began, and of one second not which came first.
        earliest = found[-1].started_at or started_at_by(found[-1].session_id)
        next_one = started_at_by(store.others_up_to)
        if earliest is None or next_one is None or earliest < next_one + timedelta(seconds=1):
            return None
        return None if self._summaries.lack_latencies(found) else found

    def sessions_in_order(
        self,
        filter: str = "",  # noqa: A002 - its word
        *,
        order: Order = NEWEST_FIRST,
        only: Collection[str] | None = None,
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> ListedSessions:
        """Put the sessions that a filter picks in order, without their rows; those of `only` where it is given.

        `names` are the findings of each session, surest first, for the order by `finding`.
        """
        found = self._summaries.listed(self._read_filter(filter), order=order, only=only)
        return by_finding(found, names or {}, descends=order[1]) if order[0] == FINDING else found

    def sessions_by_id(self, session_ids: Sequence[str]) -> list[SessionSummary]:
        """Sum up the sessions of these ids in their order; ids that are gone are passed over."""
        return self._summaries.these(session_ids)

    def session_count(self, filter: str = "") -> int:  # noqa: A002 - its word
        """Count the sessions of the root, or those that a filter picks."""
        picked = self._read_filter(filter)
        counted = self.store.tuples(
            f"SELECT COUNT(*) FROM sessions WHERE {picked.sql}",  # noqa: S608 - columns of ours, values are parameters
            picked.params,
        )
        return int(counted[0][0])

    def resolve(self, text: str) -> str:
        """Find the session id that an id, a unique prefix or `last` stands for; errors name the nearest ids."""
        return resolve_recording(self.store.root, text)

    def session(self, session_id: str) -> SessionDetail:
        """Give one session with its configuration, turns and audio."""
        return self._detail(read_parts(self.store, session_id))

    def audio_health(self, session_id: str) -> AudioHealth:
        """Judge the audio that the client of a session sent: clean, or what is wrong with it."""
        return read_audio_health(self.store, session_id)

    def timeline(self, session_id: str, *, fold: bool = True) -> Sequence[TimelineRow]:
        """Give a session's events in order; each row is built when it is looked at.

        `fold` joins the pieces of one stream into one row; streams that run side by side overlap in seq, so ask
        `events` with the row's type too.
        """
        read_row(self.store, session_id)
        return read_timeline(self.store, session_id, fold=fold)

    def run(self, session_id: str, row: TimelineRow) -> Sequence[TimelineRow]:
        """Give the events that a row of a session's folded timeline stands for, one row an event."""
        return read_run(self.store, session_id, row)

    def rows_at(self, session_id: str, seqs: Collection[int]) -> Sequence[TimelineRow]:
        """Give some of a session's events in order, one row an event."""
        return read_rows_at(self.store, session_id, seqs)

    def lacks_events(self, session_id: str) -> bool:
        """Tell whether a session whose row counts events has none that can be read, as where its file is damaged."""
        return lacks_events(self.store, session_id)

    def failing_seqs(self, session_id: str) -> dict[str, list[int]]:
        """Give the failure keys that a session's events told, each with the seqs of these events."""
        return read_failing_seqs(self.store, session_id)

    def events(
        self,
        session_id: str,
        first_seq: int,
        last_seq: int,
        *,
        type: str | None = None,  # noqa: A002 - its word
    ) -> list[EventDetail]:
        """Give the messages first_seq..last_seq (inclusive) as they were stored; of one type only if asked."""
        return read_messages(self.store, session_id, first_seq, last_seq, type)

    def levels(self, session_id: str, track: str, bins: int) -> list[float]:
        """Give the peak level (0..1) of a track in `bins` equal spans of the session, as it would have been heard."""
        return read_levels(self.store, session_id, track, bins)

    def event_levels(self, session_id: str, row: TimelineRow, bins: int) -> list[float]:
        """Give the peak level (0..1) of the audio that a row of the timeline carries, in at most `bins` equal parts."""
        return read_event_levels(self.store, session_id, row, bins)

    def find(self, session_id: str, words: str) -> list[int]:
        """Find the events of a session whose payload holds some words, whatever their case; gives their seqs."""
        return find_in_payloads(self.store, session_id, words)

    def side_by_side(self, session_ids: Sequence[str]) -> SideBySide:
        """Set two to eight sessions beside each other; the first is the baseline that the others are compared with."""
        return compare_sides(self.sides(session_ids))

    def sides(self, session_ids: Sequence[str]) -> list[Side]:
        """Read two to eight sessions that are to be compared."""
        if not 2 <= len(session_ids) <= MOST_SESSIONS:
            raise UsageProblem(f"2 to {MOST_SESSIONS} sessions can be compared, not {len(session_ids)}")
        self.store.look_at(session_ids)
        return [Side(self._detail(parts), timeline) for parts, timeline in read_whole(self.store, session_ids)]

    def failures(self, by: Sequence[str], *, filter: str = "") -> FailureMatrix:  # noqa: A002 - its word
        """Count failures over one or two dimensions: columns of the sessions view, or `tag:NAME`."""
        found = self._read_filter(filter)
        dimensions = [dimension_sql(name) for name in by]
        labels = ", ".join(f"COALESCE(CAST({sql} AS VARCHAR), '–') AS label_{n}" for n, sql in enumerate(dimensions))
        rows = self.store.rows(
            f"SELECT {labels}, COALESCE(trial_outcome, outcome) AS outcome, LIST(session_id) AS session_ids"  # noqa: S608 - columns of ours, values are parameters
            f" FROM sessions WHERE {found.sql} GROUP BY ALL",
            found.params,
        )
        return count_failures(by, rows)

    def failures_over_time(
        self,
        by: str | None = None,
        *,
        filter: str = "",  # noqa: A002 - its word
    ) -> list[RateOverTime]:
        """Count failures span by span, all sessions first, then value by value of a dimension."""
        found = self._read_filter(filter)
        label = f", COALESCE(CAST({dimension_sql(by)} AS VARCHAR), '–') AS label" if by else ""
        rows = self.store.rows(
            f"SELECT started_at, COALESCE(trial_outcome, outcome) AS outcome{label} FROM sessions WHERE {found.sql}",  # noqa: S608 - columns of ours, values are parameters
            found.params,
        )
        return rates_over_time(rows)

    def facets(self, filter: str = "") -> list[Facet]:  # noqa: A002 - its word
        """Count the values of the fields that sessions are told apart by, field by field, the most frequent first.

        What was found and what tags say is counted too. `filter` picks the sessions that count.
        """
        return count_facets(self.store, self._read_filter(filter), self._named.known_by_session())

    def findings(self, filter: str = "") -> list[Finding]:  # noqa: A002 - its word
        """Name the failures of the sessions that a filter picks, session by session, the surest first in each.

        Signatures that compare sessions look at all of the root, whatever is picked.
        """
        picked = {row["session_id"] for row in self._picked(filter)}
        return [finding for finding in self._named.all() if finding.session_id in picked]

    def session_findings(self, session_id: str) -> list[Finding]:
        """Name the failures of one session, the surest first."""
        read_row(self.store, session_id)
        return list(self._named.by_session().get(session_id, ()))

    def unknown_failures(self, filter: str = "") -> list[UnknownFailure]:  # noqa: A002 - its word
        """List the failure keys of picked sessions that no finding accounts for, the most frequent first."""
        return find_unknown(self._picked(filter), self._named.all())

    def runs(self) -> list[RunSummary]:
        """List runs of replay, newest first."""
        return list_runs(self.store)

    def run_id(self, text: str) -> str:
        """Give the id of a run by itself, a unique prefix or `last`; raises `UsageProblem` where there is none."""
        return find_run_id(self.store, text)

    def verdict(self, *run_ids: str) -> Verdict:
        """Say what a run, or several put together, proved of the first session; each is an id, a prefix or `last`."""
        return self.verdicts(*run_ids)[0]

    def verdicts(self, *run_ids: str) -> list[Verdict]:
        """Say what a run proved of each session it replayed; several, or a tag's sessions, are put together."""
        from replay.verdict import read_verdicts

        return [self._ready_for_a_shell(verdict) for verdict in read_verdicts(find_run(self.store, run_ids))]

    def _ready_for_a_shell(self, verdict: Verdict) -> Verdict:
        # A verdict knows its run, and not where that lies.
        command = self.store.root.command
        topics = (replace(topic, command=topic.command and command(topic.command)) for topic in verdict.not_tested)
        return replace(verdict, not_tested=tuple(topics))

    def _detail(self, parts: SessionParts) -> SessionDetail:
        latencies_ms = [turn.first_audio_latency_ms for turn in parts.turns if turn.first_audio_latency_ms is not None]
        return SessionDetail(
            summary=self._summaries.of_row(parts.row, median(latencies_ms) if latencies_ms else None),
            row=parts.row,
            configuration_asked=parts.configuration.asked,
            configuration_echoed=parts.configuration.echoed,
            turns=tuple(parts.turns),
            audio=tuple(parts.tracks),
            audio_health=parts.audio_health,
            is_transcription_session=parts.configuration.is_transcription_session,
        )

    def _picked(self, words: str) -> list[Row]:
        found = self._read_filter(words)
        return self.store.rows(
            f"SELECT session_id, started_at, failure_keys FROM sessions WHERE {found.sql}"  # noqa: S608 - columns of ours, values are parameters
            " ORDER BY started_at, session_id",
            found.params,
        )

    def _read_filter(self, words: str) -> SessionFilter:
        return read_filter(words, found=self._named.sessions_by_name, by_sql=self._ids_by_sql)

    def _ids_by_sql(self, statement: str) -> list[str]:
        return [str(row[0]) for row in self.store.console(statement).rows if row[0] is not None]
