"""Rows that are built when somebody looks at them: of 100,000 a screen shows forty."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

RowT = TypeVar("RowT")

_TOGETHER = 128
"""Rows that are built at once: about two screens."""
_KEPT = 64
"""Such batches that are kept."""


class OnDemand(Sequence[RowT]):
    """A sequence that builds its rows batch by batch and keeps those looked at last; from any thread."""

    def __init__(self) -> None:
        self._built: dict[int, list[RowT]] = {}

    @abstractmethod
    def _build(self, places: Sequence[int]) -> list[RowT]:
        """Build the rows at these places."""

    @overload
    def __getitem__(self, index: int) -> RowT: ...

    @overload
    def __getitem__(self, index: slice) -> list[RowT]: ...

    def __getitem__(self, index: int | slice) -> RowT | list[RowT]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return self._build(places)
        number, place = divmod(places, _TOGETHER)
        batch = self._built.get(number)
        if batch is None:
            batch = self._build(self._places(number))
            if len(self._built) >= _KEPT:
                self._built = {}
            self._built[number] = batch
        return batch[place]

    def __iter__(self) -> Iterator[RowT]:
        for number in range(-(-len(self) // _TOGETHER)):
            yield from self._build(self._places(number))

    def at(self, places: Sequence[int]) -> list[RowT]:
        """Give the rows at some places, without building those between them."""
        return self._build(places)

    def _places(self, batch: int) -> range:
        return range(len(self))[batch * _TOGETHER : (batch + 1) * _TOGETHER]


def rows_at(rows: Sequence[RowT], places: Sequence[int]) -> list[RowT]:
    """Give the rows at some places of a sequence that may be one built on demand."""
    return rows.at(places) if isinstance(rows, OnDemand) else [rows[place] for place in places]
