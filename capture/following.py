"""Follow one session while it runs: its head, and the rows that sealing will make, as its journal grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from capture.errors import UsageProblem
from capture.journal import Direction
from capture.live import JournalSoFar, LiveSession
from capture.recording.root import Root
from capture.rows import Row, SessionRows, TableRow

RECORDS_A_LOOK = 4000
"""Read at most in one go: the journal of a long session is caught up with look by look, each with something to show."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a journal found."""

    session: LiveSession | None
    """As it stands; None where there is no journal any more: sealed, dropped by its keep rule, or in quarantine."""
    rows: tuple[Row, ...]
    """The rows of the events table that came since the last look; secrets and what `--redact` names are taken out."""
    is_behind: bool
    """There is more to read at once."""
    begins_anew: bool = False
    """The journal is another one than before: what was shown of it is to be forgotten."""
    hidden: str | None = None
    """Why its messages cannot be shown."""


class FollowedSession:
    """The journal of one session; each look reads on from where the last one ended. Nothing that was given is kept."""

    def __init__(self, root: Root, session_id: str, *, clock_s: Callable[[], float] = time.time) -> None:
        self._path = root.journal_of(session_id)
        self._session_id = session_id
        self._clock_s = clock_s
        self._inode: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._journal = JournalSoFar(self._path)
        self._rows = SessionRows(self._session_id)
        self._is_finished = False
        self._hidden: str | None = None

    def look(self, most: int | None = None) -> Look:
        """Read on, by `most` records at most; `RECORDS_A_LOOK` where it is not said."""
        try:
            return self._look(RECORDS_A_LOOK if most is None else most)
        except OSError:
            return Look(None, (), is_behind=False)

    def _look(self, most: int) -> Look:
        inode = self._path.stat().st_ino
        begins_anew = self._inode not in (None, inode)
        if begins_anew:
            self._begin()
        self._inode = inode
        # Asked before reading: if nobody holds it any more, its end is there or will never be.
        is_held = self._journal.is_held()
        rows: list[Row] = []
        is_behind = self._read(most, rows)
        session = self._journal.session(self._clock_s(), is_held=is_held)
        if session.state == "waiting" and not is_behind and not self._is_finished and self._hidden is None:
            self._is_finished = True
            # The body of a refused upgrade, and what was cut off.
            rows += _events(self._rows.finish())
        return Look(session, tuple(rows), is_behind, begins_anew, self._hidden)

    def _read(self, most: int, rows: list[Row]) -> bool:
        """Read up to `most` records, and put their rows behind the others; tell whether there may be more."""
        for taken, record in enumerate(self._journal.records(), 1):
            try:
                if self._hidden is None:
                    rows += _events(self._rows.feed(record))
            except UsageProblem as problem:
                # A rule of a newer version: what it hides is not for us to show.
                self._hidden = str(problem)
            # Gaps where the journal is damaged come together, one for each sender, and stay so.
            if taken >= most and record.direction is not Direction.GAP:
                return True
        return False


def _events(ready: Iterable[TableRow]) -> list[Row]:
    return [row for table, row in ready if table == "events"]
