"""Typed SQL over a root: a store of its own, so that no other question waits for a long one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from capture.recording.root import Root

if TYPE_CHECKING:
    from analyze.store import ConsoleResult, Store

ROWS = 100_000
"""Rows of an answer that are held; an export writes all of them."""
_AGAIN_S = 0.05


class ConsoleSource:
    """Answers typed SQL, one question at a time; called from worker threads."""

    def __init__(self, root: Root, is_left: Callable[[], bool] = lambda: False) -> None:
        """Ask a root; `is_left` tells that nobody waits for an answer any more."""
        self._root = root
        self._is_left = is_left
        self._is_broken_off = False
        """What is read of the root is not waited for."""
        self._is_stale = False
        """The root may have changed since the store took it in."""
        self._opening = Lock()
        self._store: Store | None = None

    def run(self, sql: str) -> ConsoleResult:
        """Run one SELECT or EXPLAIN; raises `UsageProblem` where it cannot be run or was broken off."""
        store = self._opened()
        if self._is_stale:
            self._is_broken_off = False
            store.refresh()
            self._is_stale = False
        return store.console(sql, limit=ROWS)

    def reload(self) -> None:
        """Have the next statement take in what was recorded, compacted or removed; an export writes what was shown."""
        self._is_stale = True

    def catalog(self) -> dict[str, tuple[str, ...]]:
        """Name the tables with their columns."""
        return self._opened().catalog()

    def export(self, sql: str, path: Path, *, overwrite: bool) -> int:
        """Write the whole answer to a file; give the number of rows."""
        from analyze.export import export

        return export(self._opened(), sql, path, overwrite=overwrite)

    def unreadable(self) -> int:
        """Count the files that the answers so far were given without."""
        return 0 if self._store is None else len(self._store.unreadable)

    def interrupt(self) -> None:
        """Break off the question that is being answered, and the reading for it, if any; at once, on any thread."""
        self._is_broken_off = True
        if self._store is not None:
            self._store.interrupt()

    def close(self) -> None:
        """Close the store, breaking off what runs; the next question opens it again."""
        while not self._opening.acquire(timeout=_AGAIN_S):
            self._is_broken_off = True
        try:
            store, self._store = self._store, None
        finally:
            self._opening.release()
        if store is None:
            return
        closing = Thread(target=store.close, name="closing the console")
        closing.start()
        # Again and again: a question may only be about to start.
        while closing.is_alive():
            store.interrupt()
            closing.join(_AGAIN_S)

    def _opened(self) -> Store:
        from analyze.store import open_store

        with self._opening:
            if self._store is None:
                self._is_broken_off = False
                self._store = open_store(self._root, is_over=lambda: self._is_broken_off or self._is_left())
            return self._store
