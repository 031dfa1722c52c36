"""Where the screens get their answers: a root behind a lock, or whatever a test puts in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from analyze.findings import NamedFailures
from capture.errors import UsageProblem
from capture.recording.root import Root

if TYPE_CHECKING:
    from analyze.answers import (
        EventDetail,
        FailureMatrix,
        RunSummary,
        SessionDetail,
        SessionSummary,
        TimelineRow,
    )
    from analyze.audio_health import AudioHealth
    from analyze.findings import Finding, UnknownFailure
    from analyze.playing import Playback
    from analyze.queries import Queries
    from analyze.side_by_side import SideBySide
    from analyze.store import Store
    from replay.verdict import Verdict


class Source(Protocol):
    """The questions that the screens ask; called from worker threads, never from the screen's own."""

    @property
    def root(self) -> Root:
        """The root that is shown."""
        ...

    def live_count(self) -> int:
        """Count the sessions in flight."""
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

    def session(self, session_id: str) -> SessionDetail:
        """Give one session."""
        ...

    def timeline(self, session_id: str, *, fold: bool = True) -> list[TimelineRow]:
        """Give a session's events in order."""
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

    def failures(self, by: Sequence[str]) -> FailureMatrix:
        """Count failures over two dimensions."""
        ...

    def findings(self) -> Sequence[Finding]:
        """Name the failures of all sessions; takes as long as a pass over the root, the first time."""
        ...

    def session_findings(self, session_id: str) -> Sequence[Finding]:
        """Name the failures of one session, the surest first."""
        ...

    def unknown_failures(self) -> list[UnknownFailure]:
        """List the failure keys that no finding accounts for."""
        ...

    def runs(self) -> list[RunSummary]:
        """List runs of replay, newest first."""
        ...

    def verdict(self, run_id: str) -> Verdict:
        """Say what a run proved."""
        ...

    def audio_health(self, session_id: str) -> AudioHealth:
        """Judge the audio that the client of a session sent."""
        ...

    def write_wav(self, session_id: str, folder: Path) -> list[Path]:
        """Write each track of a session as a WAV file and name the files."""
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
        self._named = NamedFailures(self._open_for_pass)

    @property
    def root(self) -> Root:
        """The root that is shown."""
        return self._root

    @contextmanager
    def _queries(self) -> Iterator[Queries]:
        from analyze.queries import Queries
        from analyze.store import open_store

        with self._lock:
            if self._asked is None:
                self._asked = Queries(open_store(self._root), self._named)
            yield self._asked

    def _open_for_pass(self) -> Store:
        from analyze.store import open_store

        if self._pass_store is None:
            self._pass_store = open_store(self._root)
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

    def reload(self) -> None:
        """Look at the root afresh before the next answer."""
        self.close()

    def unreadable(self) -> dict[Path, str]:
        """Name the files that were left out so far, with the reason."""
        with self._queries() as queries:
            return dict(queries.store.unreadable)

    def live_count(self) -> int:
        """Count the journals that a recorder holds open."""
        from capture.journal import is_locked

        return sum(is_locked(path) for path in self._root.journal.glob("*.journal"))

    def session_count(self) -> int:
        """Count all sessions."""
        with self._queries() as queries:
            return queries.session_count()

    def sessions(self, filter: str = "", *, limit: int | None = None) -> list[SessionSummary]:  # noqa: A002 - its word
        """List sessions, newest first."""
        if "finding:" in filter.casefold():
            self._named.all()
        with self._queries() as queries:
            return queries.sessions(filter, limit=limit)

    def session(self, session_id: str) -> SessionDetail:
        """Give one session."""
        with self._queries() as queries:
            return queries.session(session_id)

    def timeline(self, session_id: str, *, fold: bool = True) -> list[TimelineRow]:
        """Give a session's events in order."""
        with self._queries() as queries:
            return queries.timeline(session_id, fold=fold)

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
        with self._queries() as queries:
            return queries.side_by_side(session_ids)

    def failures(self, by: Sequence[str]) -> FailureMatrix:
        """Count failures over two dimensions."""
        with self._queries() as queries:
            return queries.failures(by)

    def findings(self) -> Sequence[Finding]:
        """Name the failures of all sessions; takes as long as a pass over the root, the first time."""
        return self._named.all()

    def session_findings(self, session_id: str) -> Sequence[Finding]:
        """Name the failures of one session, the surest first."""
        return self._named.by_session().get(session_id, ())

    def unknown_failures(self) -> list[UnknownFailure]:
        """List the failure keys that no finding accounts for."""
        self._named.all()
        with self._queries() as queries:
            return queries.unknown_failures()

    def runs(self) -> list[RunSummary]:
        """List runs of replay, newest first."""
        with self._queries() as queries:
            return queries.runs()

    def verdict(self, run_id: str) -> Verdict:
        """Say what a run proved."""
        with self._queries() as queries:
            return queries.verdict(run_id)

    def audio_health(self, session_id: str) -> AudioHealth:
        """Judge the audio that the client of a session sent."""
        with self._queries() as queries:
            return queries.audio_health(session_id)

    def write_wav(self, session_id: str, folder: Path) -> list[Path]:
        """Write each track of a session as a WAV file and name the files."""
        from analyze.wav import write_track
        from capture.recording.reader import open_recording

        recording = open_recording(self._root, session_id)
        tracks = [track for track in ("client", "server") if recording.audio(track)]
        if not tracks:
            raise UsageProblem(f"session {session_id} has no audio to write")
        paths = {track: folder / f"{session_id}-{track}.wav" for track in tracks}
        for track, path in paths.items():
            write_track(recording, track, path)
        return list(paths.values())

    def play(self, session_id: str, track: str) -> Playback:
        """Begin to play a track on this machine's audio device."""
        from analyze.playing import Playback, track_samples
        from capture.recording.reader import open_recording

        return Playback(*track_samples(open_recording(self._root, session_id), track))
