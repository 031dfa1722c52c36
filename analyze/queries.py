"""One typed method a question; what the command line and the TUI show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median
from typing import TYPE_CHECKING

from analyze.answers import (
    DiffRow,
    EventDetail,
    FailureMatrix,
    LatencyDelta,
    MatrixCell,
    PathChange,
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
from analyze.diff import Side, compare
from analyze.filters import SessionFilter, read_filter
from analyze.findings import Finding, NamedFailures, UnknownFailure, find_unknown, names_by_session, with_findings
from analyze.matrix import count_failures, dimension_sql
from analyze.runs import find_run, list_runs
from analyze.session_parts import (
    Row,
    lacks_events,
    read_audio_health,
    read_configuration,
    read_failing_seqs,
    read_levels,
    read_messages,
    read_row,
    read_rows_at,
    read_timeline,
    read_tracks,
    read_turns,
)
from analyze.store import Store
from analyze.summaries import Summaries
from capture.recording.reader import resolve_session

if TYPE_CHECKING:
    from replay.verdict import Verdict

__all__ = [
    "AudioHealth",
    "DiffRow",
    "EventDetail",
    "FailureMatrix",
    "Finding",
    "LatencyDelta",
    "MatrixCell",
    "PathChange",
    "Queries",
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

        `filter` is the language of `analyze.filters`. `first_audio_ms` is measured for the newest 200 at most, for it
        has to be read from the events; `latency=False` reads none, which takes milliseconds at any number of sessions.
        `findings` names what the signatures found, which the first time takes a pass over the whole root.
        """
        listed = self._summaries.list(self._read_filter(filter), limit=limit, latency=latency)
        return with_findings(listed, names_by_session(self._named.all())) if findings else listed

    def session_count(self) -> int:
        """Count all sessions of the root."""
        return int(self.store.rows("SELECT COUNT(*) AS sessions FROM sessions")[0]["sessions"])

    def resolve(self, text: str) -> str:
        """Find the session id that an id, a unique prefix or `last` stands for; errors name the nearest ids."""
        return resolve_session(self.store.root, text)

    def session(self, session_id: str) -> SessionDetail:
        """Give one session with its configuration, turns and audio."""
        row = read_row(self.store, session_id)
        turns = read_turns(self.store, session_id)
        latencies_ms = [turn.first_audio_latency_ms for turn in turns if turn.first_audio_latency_ms is not None]
        configuration = read_configuration(self.store, session_id)
        return SessionDetail(
            summary=self._summaries.of_row(row, median(latencies_ms) if latencies_ms else None),
            row=row,
            configuration_asked=configuration.asked,
            configuration_echoed=configuration.echoed,
            turns=tuple(turns),
            audio=tuple(read_tracks(self.store, session_id)),
            audio_health=read_audio_health(self.store, session_id),
        )

    def audio_health(self, session_id: str) -> AudioHealth:
        """Judge the audio that the client of a session sent: clean, or what is wrong with it."""
        read_row(self.store, session_id)
        return read_audio_health(self.store, session_id)

    def timeline(self, session_id: str, *, fold: bool = True) -> list[TimelineRow]:
        """Give a session's events in order.

        `fold` joins the pieces of one stream into one row; streams that run side by side overlap in seq, so ask
        `events` with the row's type too.
        """
        read_row(self.store, session_id)
        return read_timeline(self.store, session_id, fold=fold).rows

    def rows_at(self, session_id: str, seqs: Collection[int]) -> list[TimelineRow]:
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

    def diff(self, left_id: str, right_id: str) -> SessionDiff:
        """Set two sessions side by side."""
        self.store.look_at([left_id, right_id])
        return compare(self._side(left_id), self._side(right_id))

    def failures(self, by: Sequence[str], *, filter: str = "") -> FailureMatrix:  # noqa: A002 - its word
        """Count failures over one or two dimensions: columns of the sessions view, or `tag:NAME`."""
        found = self._read_filter(filter)
        dimensions = [dimension_sql(name) for name in by]
        labels = ", ".join(f"COALESCE(CAST({sql} AS VARCHAR), '–') AS label_{n}" for n, sql in enumerate(dimensions))
        rows = self.store.rows(
            f"SELECT {labels}, session_id, COALESCE(trial_outcome, outcome) AS outcome"  # noqa: S608 - columns of ours, values are parameters
            f" FROM sessions WHERE {found.sql} ORDER BY session_id",
            found.params,
        )
        return count_failures(by, rows)

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

    def verdict(self, run_id: str) -> Verdict:
        """Say what a run proved of the first session it replayed; `run_id` is an id, a unique prefix or `last`."""
        return self.verdicts(run_id)[0]

    def verdicts(self, *run_ids: str) -> list[Verdict]:
        """Say what a run proved of each session it replayed; several, or a tag's sessions, are put together."""
        from replay.verdict import read_verdicts

        return read_verdicts(find_run(self.store, run_ids))

    def _picked(self, words: str) -> list[Row]:
        found = self._read_filter(words)
        return self.store.rows(
            f"SELECT session_id, started_at, failure_keys FROM sessions WHERE {found.sql}"  # noqa: S608 - columns of ours, values are parameters
            " ORDER BY started_at, session_id",
            found.params,
        )

    def _read_filter(self, words: str) -> SessionFilter:
        return read_filter(words, found=self._named.sessions_by_name)

    def _side(self, session_id: str) -> Side:
        rows, payloads = read_timeline(self.store, session_id, fold=True)
        return Side(self.session(session_id), rows, payloads)
