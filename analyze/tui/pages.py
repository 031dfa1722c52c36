"""Rows of a long list that are read page by page, as they come into sight."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar, overload

RowT = TypeVar("RowT")

PAGE_ROWS = 100
_KEPT_PAGES = 40


class Pages(Sequence[RowT]):
    """The rows of these keys, in their order; `read` gives those of some keys, in any order, without those gone.

    Its methods may be called from any thread. `load` reads, and so does an index whose page is not loaded: a screen
    asks `at` instead, and has pages loaded in a thread.
    """

    def __init__(
        self,
        keys: Sequence[str],
        read: Callable[[Sequence[str]], Sequence[RowT]],
        *,
        key: Callable[[RowT], str],
    ) -> None:
        self.keys = keys
        self._read = read
        self._key = key
        self._lock = Lock()
        self._pages: OrderedDict[int, list[RowT | None]] = OrderedDict()
        """The pages looked at last, the latest at the end."""

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> RowT: ...

    @overload
    def __getitem__(self, index: slice) -> list[RowT]: ...

    def __getitem__(self, index: int | slice) -> RowT | list[RowT]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        if not self.is_loaded(at):
            self.load(at)
        row = self.at(at)
        if row is None:
            raise IndexError(index)
        return row

    def is_loaded(self, index: int) -> bool:
        """Tell whether a row can be given at once."""
        return index // PAGE_ROWS in self._pages

    def at(self, index: int) -> RowT | None:
        """Give a row; None where its page is not loaded, or it is gone since its key was listed."""
        number, place = divmod(index, PAGE_ROWS)
        with self._lock:
            page = self._pages.get(number)
            if page is None:
                return None
            self._pages.move_to_end(number)
            return page[place] if place < len(page) else None

    def load(self, index: int) -> list[RowT]:
        """Read the page that a row stands on; give its rows."""
        number = index // PAGE_ROWS
        keys = self.keys[number * PAGE_ROWS : (number + 1) * PAGE_ROWS]
        found = {self._key(row): row for row in self._read(keys)}
        with self._lock:
            self._pages[number] = [found.get(key) for key in keys]
            self._pages.move_to_end(number)
            while len(self._pages) > _KEPT_PAGES:
                self._pages.popitem(last=False)
        return list(found.values())
