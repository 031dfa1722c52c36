"""One typed method a question; what the command line and the TUI show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC
from statistics import median
from typing import TYPE_CHECKING, Any

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
from analyze.audio_health import AudioHealth, SentAudio, judge
from analyze.diff import Side, compare
from analyze.filters import SessionFilter, read_filter
from analyze.findings import Finding, NamedFailures, UnknownFailure, find_unknown, names_by_session, with_findings
from analyze.matrix import count_failures, dimension_sql
from analyze.store import Store
from analyze.timeline import AudioClock, AudioSpan, event_detail, fold_events, is_streaming, unfolded
from analyze.wording import Event, parse_payload
from capture.errors import UsageProblem
from capture.realtime.configuration import ConfigurationTracker
from capture.realtime.outcomes import failure_key
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

Row = dict[str, Any]

_SUMMARY_COLUMNS = (
    "session_id, started_at, role, target, provider, region, model, transcription_model, dialect, turns, duration_ms,"
    " outcome, errors, first_error, failure_keys, complete, run_id, cell, trial, trial_outcome, replay_of, tags"
)
_EVENT_COLUMNS = ", ".join(Event._fields)
_UNFOLDED = "(SELECT *, seq AS last_seq, 1 AS events FROM events)"
_MEASURED_AT_MOST = 200
_CONFIGURATION_EVENTS = (
    "session.update",
    "session.created",
    "session.updated",
    "transcription_session.update",
    "transcription_session.created",
    "transcription_session.updated",
)


class Queries:
    """The questions that can be asked of an open store; every method raises `UsageProblem` for unknown ids."""

    def __init__(self, store: Store, named: NamedFailures | None = None) -> None:
        self.store = store
        self._first_audio_ms: dict[str, float | None] = {}
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
        found = self._read_filter(filter)
        rows = self.store.rows(
            f"SELECT {_SUMMARY_COLUMNS} FROM sessions WHERE {found.sql}"  # noqa: S608 - columns of ours, values are parameters
            " ORDER BY started_at DESC, session_id DESC LIMIT ?",
            [*found.params, limit],
        )
        listed = self._summaries(rows, latency=latency)
        return with_findings(listed, names_by_session(self._named.all())) if findings else listed

    def session_count(self) -> int:
        """Count all sessions of the root."""
        return int(self.store.rows("SELECT COUNT(*) AS sessions FROM sessions")[0]["sessions"])

    def resolve(self, text: str) -> str:
        """Find the session id that an id, a unique prefix or `last` stands for; errors name the nearest ids."""
        return resolve_session(self.store.root, text)

    def session(self, session_id: str) -> SessionDetail:
        """Give one session with its configuration, turns and audio."""
        row = self._session_row(session_id)
        turns = self._turns(session_id)
        self._first_audio_ms[session_id] = _median([turn.first_audio_latency_ms for turn in turns])
        configuration = self._configuration(session_id)
        return SessionDetail(
            summary=self._summaries([row])[0],
            row=row,
            configuration_asked=configuration.asked,
            configuration_echoed=configuration.echoed,
            turns=tuple(turns),
            audio=tuple(self._tracks(session_id)),
            audio_health=self.audio_health(session_id),
        )

    def audio_health(self, session_id: str) -> AudioHealth:
        """Judge the audio that the client of a session sent: clean, or what is wrong with it."""
        self._session_row(session_id)
        rows = self.store.rows(
            "SELECT t.*, s.pacing_ratio, s.longest_append_gap_ms, s.audio_missing_ms"
            " FROM tracks AS t INNER JOIN sessions AS s ON s.session_id = t.session_id"
            " WHERE t.session_id = ? AND t.track = 'client' ORDER BY t.format, t.rate",
            [session_id],
            only=[session_id],
        )
        return judge([SentAudio.from_row(row) for row in rows])

    def timeline(self, session_id: str, *, fold: bool = True) -> list[TimelineRow]:
        """Give a session's events in order.

        `fold` joins the pieces of one stream into one row; streams that run side by side overlap in seq, so ask
        `events` with the row's type too.
        """
        return self._timeline(session_id, fold_streams=fold)[0]

    def rows_at(self, session_id: str, seqs: Collection[int]) -> list[TimelineRow]:
        """Give some of a session's events in order, one row an event."""
        found = self.store.tuples(
            f"SELECT {_EVENT_COLUMNS} FROM {_UNFOLDED} WHERE session_id = ? AND list_contains(?, seq) ORDER BY seq",  # noqa: S608 - columns of ours
            [session_id, list(seqs)],
            only=[session_id],
        )
        return unfolded([Event._make(each) for each in found], self._audio_clock(session_id))

    def lacks_events(self, session_id: str) -> bool:
        """Tell whether a session whose row counts events has none that can be read, as where its file is damaged."""
        found = self.store.tuples(
            "SELECT COALESCE(events_sent, 0) + COALESCE(events_received, 0) > 0"
            " AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.session_id = s.session_id)"
            " FROM sessions AS s WHERE session_id = ?",
            [session_id],
            only=[session_id],
        )
        return bool(found and found[0][0])

    def failing_seqs(self, session_id: str) -> dict[str, list[int]]:
        """Give the failure keys that a session's events told, each with the seqs of these events."""
        rows = self.store.rows(
            "SELECT seq, type, error_type, error_code, error_message FROM errors WHERE session_id = ? ORDER BY seq",
            [session_id],
            only=[session_id],
        )
        found: dict[str, list[int]] = {}
        for row in rows:
            key = failure_key(row["type"] or "", row["error_type"], row["error_code"], row["error_message"])
            found.setdefault(key, []).append(row["seq"])
        return found

    def events(
        self,
        session_id: str,
        first_seq: int,
        last_seq: int,
        *,
        type: str | None = None,  # noqa: A002 - its word
    ) -> list[EventDetail]:
        """Give the messages first_seq..last_seq (inclusive) as they were stored; of one type only if asked."""
        rows = self.store.rows(
            "SELECT * FROM events WHERE session_id = ? AND seq BETWEEN ? AND ?"
            " AND (? IS NULL OR type = ?) ORDER BY seq",
            [session_id, first_seq, last_seq, type, type],
            only=[session_id],
        )
        clock = self._audio_clock(session_id)
        return [event_detail(row, clock) for row in rows]

    def levels(self, session_id: str, track: str, bins: int) -> list[float]:
        """Give the peak level (0..1) of a track in `bins` equal spans of the session, as it would have been heard."""
        from analyze.levels import peak_levels
        from capture.recording.reader import open_recording

        recording = open_recording(self.store.root, session_id)
        chunks = self.store.rows(
            "SELECT offset_ms, audio_start, audio_bytes FROM events WHERE session_id = ? AND audio_track = ?"
            " ORDER BY seq",
            [session_id, track],
            only=[session_id],
        )
        return peak_levels(recording.spans(track), chunks, recording.session["duration_ms"] or 0.0, bins)

    def diff(self, left_id: str, right_id: str) -> SessionDiff:
        """Set two sessions side by side."""
        self.store.look_at([left_id, right_id])
        return compare(self._side(left_id), self._side(right_id))

    def failures(
        self,
        by: Sequence[str],
        *,
        filter: str = "",  # noqa: A002 - its word
        run_id: str | None = None,
    ) -> FailureMatrix:
        """Count failures over one or two dimensions: columns of the sessions view, or `tag:NAME`.

        `run_id` (an id, a unique prefix or `last`) takes the sessions of one run only.
        """
        found = self._read_filter(filter)
        dimensions = [dimension_sql(name) for name in by]
        labels = ", ".join(f"COALESCE(CAST({sql} AS VARCHAR), '–') AS label_{n}" for n, sql in enumerate(dimensions))
        where, params = found.sql, [*found.params]
        if run_id is not None:
            where, params = f"{where} AND run_id = ?", [*params, self._resolve_run(run_id)]
        rows = self.store.rows(
            f"SELECT {labels}, session_id, COALESCE(trial_outcome, outcome) AS outcome"  # noqa: S608 - columns of ours, values are parameters
            f" FROM sessions WHERE {where} ORDER BY session_id",
            params,
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
        self._session_row(session_id)
        return list(self._named.by_session().get(session_id, ()))

    def unknown_failures(self, filter: str = "") -> list[UnknownFailure]:  # noqa: A002 - its word
        """List the failure keys of picked sessions that no finding accounts for, the most frequent first."""
        return find_unknown(self._picked(filter), self._named.all())

    def runs(self) -> list[RunSummary]:
        """List runs of replay, newest first."""
        rows = self.store.rows(
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

    def verdict(self, run_id: str) -> Verdict:
        """Say what a run proved of the first session it replayed; `run_id` is an id, a unique prefix or `last`."""
        return self.verdicts(run_id)[0]

    def verdicts(self, run_id: str) -> list[Verdict]:
        """Say what a run proved of each session it replayed."""
        from replay.runs import load_run
        from replay.verdict import read_verdicts

        return read_verdicts(load_run(self.store.root, run_id))

    def _picked(self, words: str) -> list[Row]:
        found = self._read_filter(words)
        return self.store.rows(
            f"SELECT session_id, started_at, failure_keys FROM sessions WHERE {found.sql}"  # noqa: S608 - columns of ours, values are parameters
            " ORDER BY started_at, session_id",
            found.params,
        )

    def _read_filter(self, words: str) -> SessionFilter:
        return read_filter(words, found=self._named.sessions_by_name)

    def _session_row(self, session_id: str) -> Row:
        rows = self.store.rows("SELECT * FROM sessions WHERE session_id = ?", [session_id], only=[session_id])
        if not rows:
            raise UsageProblem(f"there is no recording {session_id} in {self.store.root.path}")
        return rows[0]

    def _summaries(self, rows: list[Row], *, latency: bool = True) -> list[SessionSummary]:
        if latency:
            self._measure_first_audio([row["session_id"] for row in rows[:_MEASURED_AT_MOST]])
        return [_summary(row, self._first_audio_ms.get(row["session_id"])) for row in rows]

    def _measure_first_audio(self, session_ids: Collection[str]) -> None:
        # A sealed session does not change: each is measured once.
        missing = [session_id for session_id in session_ids if session_id not in self._first_audio_ms]
        if not missing:
            return
        rows = self.store.rows(
            "SELECT session_id, MEDIAN(latency_ms) AS median_ms FROM latencies"
            " WHERE name = 'first_audio' AND list_contains(?, session_id) GROUP BY session_id",
            [missing],
            only=missing,
        )
        self._first_audio_ms.update(dict.fromkeys(missing))
        self._first_audio_ms.update({row["session_id"]: row["median_ms"] for row in rows})

    def _turns(self, session_id: str) -> list[Turn]:
        rows = self.store.rows(
            "SELECT * FROM turns WHERE session_id = ? ORDER BY turn", [session_id], only=[session_id]
        )
        same = ("item_id", "speech_started_ms", "speech_stopped_ms", "asked_ms", "committed_ms", "first_audio_ms")
        more = ("response_done_ms", "transcribed_ms", "response_id", "response_status", "transcription", "transcript")
        return [
            Turn(number=row["turn"], answer=row["answer"], **{name: row[name] for name in (*same, *more)})
            for row in rows
        ]

    def _configuration(self, session_id: str) -> ConfigurationTracker:
        rows = self.store.rows(
            "SELECT sender, payload FROM events WHERE session_id = ? AND list_contains(?, type) ORDER BY seq",
            [session_id, list(_CONFIGURATION_EVENTS)],
            only=[session_id],
        )
        tracker = ConfigurationTracker()
        for row in rows:
            tracker.observe(row["sender"], parse_payload(row["payload"]))
        return tracker

    def _tracks(self, session_id: str) -> list[TrackFacts]:
        rows = self.store.rows(
            "SELECT track, format, rate, duration_ms, rms_dbfs, peak, clipped, speech_ms, silence_ms"
            " FROM tracks WHERE session_id = ? ORDER BY track, format, rate",
            [session_id],
            only=[session_id],
        )
        return [TrackFacts(**{**row, "clipped": int(row["clipped"] or 0)}) for row in rows]

    def _audio_clock(self, session_id: str) -> AudioClock:
        rows = self.store.rows(
            "SELECT track, start_byte, bytes / duration_ms AS bytes_per_ms FROM audio WHERE session_id = ?"
            " AND duration_ms > 0 ORDER BY track, start_byte",
            [session_id],
            only=[session_id],
        )
        return AudioClock((row["track"], AudioSpan(row["start_byte"], row["bytes_per_ms"])) for row in rows)

    def _timeline(self, session_id: str, *, fold_streams: bool) -> tuple[list[TimelineRow], dict[int, str]]:
        """Give rows, and by seq the text of the events that are no part of a stream."""
        self._session_row(session_id)
        source = "timeline" if fold_streams else _UNFOLDED
        found = self.store.tuples(
            f"SELECT {_EVENT_COLUMNS} FROM {source} WHERE session_id = ? ORDER BY seq",  # noqa: S608 - columns of ours
            [session_id],
            only=[session_id],
        )
        events = [Event._make(each) for each in found]
        clock = self._audio_clock(session_id)
        rows = fold_events(events, clock) if fold_streams else unfolded(events, clock)
        return rows, {e.seq: e.payload for e in events if e.payload is not None and not is_streaming(e.kind, e.type)}

    def _side(self, session_id: str) -> Side:
        rows, payloads = self._timeline(session_id, fold_streams=True)
        return Side(self.session(session_id), rows, payloads)

    def _resolve_run(self, text: str) -> str:
        from replay.runs import load_run

        return load_run(self.store.root, text).run_id


def _summary(row: Row, first_audio_ms: float | None) -> SessionSummary:
    columns = {name: row[name] for name in _SUMMARY_COLUMNS.split(", ")}
    return SessionSummary(
        **{
            **columns,
            "started_at": row["started_at"] and row["started_at"].replace(tzinfo=UTC),
            "turns": row["turns"] or 0,
            "errors": row["errors"] or 0,
            "complete": bool(row["complete"]),
            "failure_keys": tuple(row["failure_keys"] or ()),
            "tags": row["tags"] or {},
        },
        first_audio_ms=first_audio_ms,
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
