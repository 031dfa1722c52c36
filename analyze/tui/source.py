"""Where the screens get their answers: a root behind a lock, or whatever a test puts in its place."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from analyze.findings import NamedFailures
from analyze.session_order import NEWEST_FIRST
from analyze.tui.console_source import ConsoleSource
from capture.errors import UsageProblem
from capture.recording.root import Root

if TYPE_CHECKING:
    from analyze.answers import (
        EventDetail,
        Facet,
        FailureMatrix,
        RateOverTime,
        RunSummary,
        SessionDetail,
        SessionSummary,
        TimelineRow,
    )
    from analyze.audio_health import AudioHealth
    from analyze.findings import Finding, UnknownFailure
    from analyze.playing import Playback
    from analyze.queries import Queries
    from analyze.session_order import ListedSessions, Order
    from analyze.side_by_side import SideBySide
    from analyze.store import Store
    from capture.following import FollowedSession
    from capture.live import LiveJournals, LiveSession
    from replay.verdict import Verdict


class Source(Protocol):
    """The questions that the screens ask; called from worker threads, never from the screen's own."""

    @property
    def root(self) -> Root:
        """The root that is shown."""
        ...

    @property
    def console(self) -> ConsoleSource:
        """Answers typed SQL."""
        ...

    def live(self) -> list[LiveSession]:
        """Read on what the journals of sessions in flight hold."""
        ...

    def follow(self, session_id: str) -> FollowedSession:
        """Begin to read the journal of a session in flight."""
        ...

    def annotate(self, session_ids: Sequence[str], tags: Mapping[str, str | None], notes: Sequence[str]) -> None:
        """Give sessions tags and notes."""
        ...

    def facets(self, filter: str = "") -> list[Facet]:  # noqa: A002 - its word
        """Count the values of the fields that sessions are told apart by."""
        ...

    @property
    def looks(self) -> int:
        """How often the root was looked at afresh, or written to: answers of before may be of another root."""
        ...

    def is_behind(self) -> bool:
        """Tell whether sessions came or went since the root was looked at; costs a look at one folder a date."""
        ...

    def leave(self) -> None:
        """Break off what is read and asked: nobody waits for an answer any more."""
        ...

    def reload(self) -> None:
        """Look at the root afresh before the next answer."""
        ...

    def unreadable(self) -> dict[Path, str]:
        """Name the files that were left out so far, with the reason."""
        ...

    def session_count(self) -> int:
        """Count all sessions."""
        ...

    def sessions(self, filter: str = "", *, limit: int | None = None) -> list[SessionSummary]:  # noqa: A002 - its word
        """List sessions, newest first."""
        ...

    @property
    def slow(self) -> str:
        """Why to open the root takes long, and what makes it quick, once it was glanced at; empty where it does not."""
        ...

    def glance(self, limit: int) -> tuple[list[SessionSummary], int] | None:
        """Give the newest sessions and how many there are in all, where that is quicker than opening the root.

        None where the root is open already.
        """
        ...

    def sessions_in_order(
        self,
        filter: str = "",  # noqa: A002 - its word
        *,
        order: Order = NEWEST_FIRST,
        only: Collection[str] | None = None,
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> ListedSessions:
        """Put sessions in an order, those of `only` where it is given; `names` are what was found in each."""
        ...

    def sessions_by_id(self, session_ids: Sequence[str]) -> list[SessionSummary]:
        """Give the rows of some sessions, in their order, without those that are gone."""
        ...

    def session(self, session_id: str) -> SessionDetail:
        """Give one session."""
        ...

    def timeline(self, session_id: str) -> Sequence[TimelineRow]:
        """Give a session's events in order, streams folded."""
        ...

    def run(self, session_id: str, row: TimelineRow) -> Sequence[TimelineRow]:
        """Give the events that a row of a session's timeline stands for."""
        ...

    def events(self, session_id: str, first_seq: int, last_seq: int) -> list[EventDetail]:
        """Give messages as they were stored."""
        ...

    def levels(self, session_id: str, track: str, bins: int) -> list[float]:
        """Give the peak level of a track over the session's time."""
        ...

    def event_levels(self, session_id: str, row: TimelineRow, bins: int) -> list[float]:
        """Give the peak level of the audio that a row of the timeline carries."""
        ...

    def find(self, session_id: str, words: str) -> list[int]:
        """Find the events whose payload holds some words; gives their seqs."""
        ...

    def side_by_side(self, session_ids: Sequence[str]) -> SideBySide:
        """Set two to eight sessions beside each other; the first is the baseline."""
        ...

    def failures(self, by: Sequence[str], *, filter: str = "") -> FailureMatrix:  # noqa: A002 - its word
        """Count failures over two dimensions."""
        ...

    def failures_over_time(
        self,
        by: str | None = None,
        *,
        filter: str = "",  # noqa: A002 - its word
    ) -> list[RateOverTime]:
        """Count failures span by span, of all sessions or value by value."""
        ...

    def findings(self, filter: str = "") -> Sequence[Finding]:  # noqa: A002 - its word
        """Name the failures of sessions; takes as long as a pass over the root, the first time."""
        ...

    def session_findings(self, session_id: str) -> Sequence[Finding]:
        """Name the failures of one session, the surest first."""
        ...

    def unknown_failures(self, filter: str = "") -> list[UnknownFailure]:  # noqa: A002 - its word
        """List the failure keys that no finding accounts for."""
        ...

    def runs(self) -> list[RunSummary]:
        """List runs of replay, newest first."""
        ...

    def verdict(self, *run_ids: str) -> Verdict:
        """Say what a run proved, or several put together."""
        ...

    def audio_health(self, session_id: str) -> AudioHealth:
        """Judge the audio that the client of a session sent."""
        ...

    def write_wav(self, session_id: str, folder: Path, *, overwrite: bool = False) -> list[Path]:
        """Write each track of a session as a WAV file and name the files; those there are stay unless `overwrite`."""
        ...

    def play(self, session_id: str, track: str) -> Playback:
        """Begin to play a track on this machine's audio device."""
        ...


class RootSource:
    """A root on disk; opens its store with the first question and answers one question at a time."""

    def __init__(self, root: Root) -> None:
        self._root = root
        # A DuckDB connection must not be used by two threads at once, and the screens ask from many.
        self._lock = Lock()
        self._asked: Queries | None = None
        # The pass of the signatures has a store of its own: no other question waits for it.
        self._pass_store: Store | None = None
        self._is_stale = self._is_pass_stale = False
        """The root may have changed since a store took it in."""
        self._folders: dict[str, int] | None = None
        """When each folder of sessions had changed last as the store took them in; None before that."""
        self._looks = 0
        self._slow = ""
        self._named = NamedFailures(self._open_for_pass)
        self._journals: LiveJournals | None = None
        self._live_lock = Lock()
        self._is_left = False
        self._console = ConsoleSource(root, lambda: self._is_left)

    @property
    def console(self) -> ConsoleSource:
        """Answers typed SQL."""
        return self._console

    @property
    def root(self) -> Root:
        """The root that is shown."""
        return self._root

    @contextmanager
    def _queries(self) -> Iterator[Queries]:
        from analyze.queries import Queries

        with self._lock:
            if self._asked is None or self._is_stale or self._asked.store.is_partial:
                # Before they are read: what comes meanwhile is rather read twice than missed.
                self._folders = _changed_at(self._root)
            if self._asked is None:
                self._asked = Queries(self._open_store(), self._named)
            if self._is_stale or self._asked.store.is_partial:
                self._asked.store.refresh()
                self._is_stale = False
            yield self._asked

    def _open_store(self, newest: int | None = None) -> Store:
        from analyze.store import open_store

        return open_store(self._root, newest=newest, is_over=lambda: self._is_left)

    def _prepare(self, filter_text: str) -> None:
        # The pass is made outside the lock, so that no other question waits for it.
        if "finding" in filter_text.casefold():
            self._named.all()

    def _open_for_pass(self) -> Store:
        if self._pass_store is None:
            self._pass_store = self._open_store()
        elif self._is_pass_stale:
            self._pass_store.refresh()
        self._is_pass_stale = False
        return self._pass_store

    def close(self) -> None:
        """Close the stores; the next question opens them again."""
        with self._lock:
            asked_store = None if self._asked is None else self._asked.store
            stores = (asked_store, self._pass_store)
            self._asked = self._pass_store = None
            self._named = NamedFailures(self._open_for_pass)
        for store in stores:
            if store is not None:
                store.close()
        self._console.close()

    @property
    def looks(self) -> int:
        """How often the root was looked at afresh, or written to."""
        return self._looks

    def is_behind(self) -> bool:
        """Tell whether sessions came or went since the root was looked at, as far as its folders tell."""
        return self._folders is not None and self._folders != _changed_at(self._root)

    def leave(self) -> None:
        """Break off what is read and asked; what is asked later is answered only from what was read before."""
        self._is_left = True
        self._console.interrupt()

    def reload(self) -> None:
        """Have the next answer take in what was recorded, compacted or removed; what is the same is not read again."""
        self._is_stale = self._is_pass_stale = True
        self._console.reload()
        self._looks += 1

    def unreadable(self) -> dict[Path, str]:
        """Name the files that were left out so far, with the reason."""
        with self._queries() as queries:
            return dict(queries.store.unreadable)

    def live(self) -> list[LiveSession]:
        """Read on what the journals of sessions in flight hold."""
        from capture.live import LiveJournals

        with self._live_lock:
            if self._journals is None:
                self._journals = LiveJournals(self._root)
            return self._journals.refresh()

    def follow(self, session_id: str) -> FollowedSession:
        """Begin to read the journal of a session in flight."""
        from capture.following import FollowedSession

        return FollowedSession(self._root, session_id)

    def annotate(self, session_ids: Sequence[str], tags: Mapping[str, str | None], notes: Sequence[str]) -> None:
        """Give sessions tags and notes."""
        from analyze.annotating import annotate

        annotate(self._root, session_ids, tags=tags, notes=notes)
        with self._queries() as queries:
            queries.store.refresh()
        self._console.reload()
        self._looks += 1

    def facets(self, filter: str = "") -> list[Facet]:  # noqa: A002 - its word
        """Count the values of the fields that sessions are told apart by."""
        self._prepare(filter)
        with self._queries() as queries:
            return queries.facets(filter)

    def session_count(self) -> int:
        """Count all sessions."""
        with self._queries() as queries:
            return queries.session_count()

    def sessions(self, filter: str = "", *, limit: int | None = None) -> list[SessionSummary]:  # noqa: A002 - its word
        """List sessions, newest first."""
        self._prepare(filter)
        with self._queries() as queries:
            return queries.sessions(filter, limit=limit)

    @property
    def slow(self) -> str:
        """Why to open the root takes long, and what makes it quick."""
        return self._slow

    def glance(self, limit: int) -> tuple[list[SessionSummary], int] | None:
        """Give the newest sessions of a root that is not open yet, and about how many there are."""
        from analyze.queries import Queries
        from analyze.store import why_slow

        with self._lock:
            if self._asked is not None:
                return None
            self._folders = _changed_at(self._root)
            store = self._open_store(newest=limit)
            self._asked = Queries(store, self._named)
            if not store.is_partial:
                return None
            self._slow = why_slow(self._root, store.own_sessions)
            return self._asked.sessions(limit=limit, latency=False), store.listed_sessions

    def sessions_in_order(
        self,
        filter: str = "",  # noqa: A002 - its word
        *,
        order: Order = NEWEST_FIRST,
        only: Collection[str] | None = None,
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> ListedSessions:
        """Put sessions in an order."""
        self._prepare(filter)
        with self._queries() as queries:
            return queries.sessions_in_order(filter, order=order, only=only, names=names)

    def sessions_by_id(self, session_ids: Sequence[str]) -> list[SessionSummary]:
        """Give the rows of some sessions."""
        with self._queries() as queries:
            return queries.sessions_by_id(session_ids)

    def session(self, session_id: str) -> SessionDetail:
        """Give one session."""
        with self._queries() as queries:
            return queries.session(session_id)

    def timeline(self, session_id: str) -> Sequence[TimelineRow]:
        """Give a session's events in order, streams folded."""
        with self._queries() as queries:
            return queries.timeline(session_id)

    def run(self, session_id: str, row: TimelineRow) -> Sequence[TimelineRow]:
        """Give the events that a row of a session's timeline stands for."""
        with self._queries() as queries:
            return queries.run(session_id, row)

    def events(self, session_id: str, first_seq: int, last_seq: int) -> list[EventDetail]:
        """Give messages as they were stored."""
        with self._queries() as queries:
            return queries.events(session_id, first_seq, last_seq)

    def levels(self, session_id: str, track: str, bins: int) -> list[float]:
        """Give the peak level of a track over the session's time."""
        with self._queries() as queries:
            return queries.levels(session_id, track, bins)

    def event_levels(self, session_id: str, row: TimelineRow, bins: int) -> list[float]:
        """Give the peak level of the audio that a row of the timeline carries."""
        with self._queries() as queries:
            return queries.event_levels(session_id, row, bins)

    def find(self, session_id: str, words: str) -> list[int]:
        """Find the events whose payload holds some words; gives their seqs."""
        with self._queries() as queries:
            return queries.find(session_id, words)

    def side_by_side(self, session_ids: Sequence[str]) -> SideBySide:
        """Set two to eight sessions beside each other; the first is the baseline."""
        from analyze.side_by_side import compare_sides

        with self._queries() as queries:
            sides = queries.sides(session_ids)
        # Without the lock: who leaves meanwhile need not wait until it is done.
        return compare_sides(sides)

    def failures(self, by: Sequence[str], *, filter: str = "") -> FailureMatrix:  # noqa: A002 - its word
        """Count failures over two dimensions."""
        self._prepare(filter)
        with self._queries() as queries:
            return queries.failures(by, filter=filter)

    def failures_over_time(
        self,
        by: str | None = None,
        *,
        filter: str = "",  # noqa: A002 - its word
    ) -> list[RateOverTime]:
        """Count failures span by span, of all sessions or value by value."""
        self._prepare(filter)
        with self._queries() as queries:
            return queries.failures_over_time(by, filter=filter)

    def findings(self, filter: str = "") -> Sequence[Finding]:  # noqa: A002 - its word
        """Name the failures of sessions; takes as long as a pass over the root, the first time."""
        found = self._named.all()
        if not filter:
            return found
        with self._queries() as queries:
            return queries.findings(filter)

    def session_findings(self, session_id: str) -> Sequence[Finding]:
        """Name the failures of one session, the surest first."""
        return self._named.by_session().get(session_id, ())

    def unknown_failures(self, filter: str = "") -> list[UnknownFailure]:  # noqa: A002 - its word
        """List the failure keys that no finding accounts for."""
        self._named.all()
        with self._queries() as queries:
            return queries.unknown_failures(filter)

    def runs(self) -> list[RunSummary]:
        """List runs of replay, newest first."""
        with self._queries() as queries:
            return queries.runs()

    def verdict(self, *run_ids: str) -> Verdict:
        """Say what a run proved, or several put together."""
        with self._queries() as queries:
            return queries.verdict(*run_ids)

    def audio_health(self, session_id: str) -> AudioHealth:
        """Judge the audio that the client of a session sent."""
        with self._queries() as queries:
            return queries.audio_health(session_id)

    def write_wav(self, session_id: str, folder: Path, *, overwrite: bool = False) -> list[Path]:
        """Write each track of a session as a WAV file and name the files; those there are stay unless `overwrite`."""
        from analyze.wav import wav_paths, write_track
        from capture.recording.reader import open_recording

        recording = open_recording(self._root, session_id)
        paths = {track: path for track, path in wav_paths(session_id, folder).items() if recording.audio(track)}
        if not paths:
            raise UsageProblem(f"session {session_id} has no audio to write")
        for track, path in paths.items():
            write_track(recording, track, path, overwrite=overwrite)
        return list(paths.values())

    def play(self, session_id: str, track: str) -> Playback:
        """Begin to play a track on this machine's audio device."""
        from analyze.playing import Playback
        from analyze.track_audio import track_samples
        from capture.recording.reader import open_recording

        return Playback(*track_samples(open_recording(self._root, session_id), track))


def _changed_at(root: Root) -> dict[str, int]:
    """Give the time of the last change of each date's folder of sessions: there are few, however many the sessions."""
    try:
        with os.scandir(root.table("sessions")) as dates:
            return {date.name: date.stat().st_mtime_ns for date in dates}
    except OSError:
        # No root yet, or a date that went meanwhile; what cannot be read is said by who reads it.
        return {}
