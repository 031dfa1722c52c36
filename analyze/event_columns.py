"""The events of one session column by column: what is asked of all of them at once costs no object an event; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analyze.wording import FAILED_ENDING, Event

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_KINDS: dict[str, pa.DataType] = {
    "seq": pa.int64(),
    "last_seq": pa.int64(),
    "events": pa.int64(),
    "offset_ms": pa.float64(),
    "payload_bytes": pa.large_binary(),
    "audio_start": pa.int64(),
    "audio_bytes": pa.int64(),
    "wire_bytes": pa.int64(),
}
# Large: the texts of a session may come to more than 2 GB.
_SCHEMA = pa.schema([(name, _KINDS.get(name, pa.large_string())) for name in Event._fields])
_STREAMING = (".delta", ".append")
_HEARTBEATS = ("ping", "pong")


def is_streaming(kind: str, event_type: str | None) -> bool:
    """Tell whether an event is one of a stream: audio or text in pieces, or a heartbeat."""
    return kind in _HEARTBEATS or (event_type or "").endswith(_STREAMING)


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of few different values: a number an event, and what the numbers stand for."""

    codes: Integers
    """-1 where there is no value."""
    values: list[str]

    @classmethod
    def of(cls, values: Iterable[str | None]) -> Coded:
        """Give values numbers in the order of their first appearance."""
        numbers: dict[str, int] = {}
        codes = [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values]
        return cls(np.array(codes, dtype=np.int64), list(numbers))

    def at(self, places: Integers) -> Coded:
        """Give the column of some events."""
        return Coded(self.codes[places], self.values)

    def is_any(self, wanted: Iterable[str]) -> Flags:
        """Tell which events have one of some values."""
        numbers = [number for number, value in enumerate(self.values) if value in set(wanted)]
        return np.isin(self.codes, numbers)

    def ends_with(self, endings: tuple[str, ...]) -> Flags:
        """Tell which events have a value with one of some endings."""
        return self.is_any([value for value in self.values if value.endswith(endings)])


class EventColumns:
    """Events in order, as the timeline view gives them."""

    def __init__(self, table: pa.Table) -> None:
        """Take in a table with the columns of `Event`."""
        # One piece a column, so that an event is found without looking for its piece.
        self._table = table.select(list(Event._fields)).cast(_SCHEMA).combine_chunks()

    @classmethod
    def of(cls, events: Iterable[Event]) -> EventColumns:
        """Set events in columns."""
        return cls(pa.Table.from_pylist([event._asdict() for event in events], schema=_SCHEMA))

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def gather(self, places: Sequence[int] | Integers) -> list[Event]:
        """Give the events at some places."""
        found = self._table.take(_indices(places))
        return [Event(*values) for values in zip(*(column.to_pylist() for column in found.columns), strict=True)]

    def payload(self, place: int) -> str | None:
        """Give the text of one event; None where it has none."""
        text: str | None = self._table["payload"][place].as_py()
        return text

    def payloads(self, places: Sequence[int] | Integers) -> pa.ChunkedArray:
        """Give the texts of the events at some places."""
        return self._table["payload"].take(_indices(places))

    def integers(self, name: str) -> Integers:
        """Give a column of integers; 0 where there is no value."""
        numbers: Integers = pc.fill_null(self._table[name], 0).to_numpy()
        return numbers

    @cached_property
    def offset_ms(self) -> NDArray[np.float64]:
        """Milliseconds from the session's start; NaN where they are not known."""
        times: NDArray[np.float64] = self._table["offset_ms"].to_numpy()
        return times

    def coded(self, name: str) -> Coded:
        """Give a column of few different values."""
        column: Any = pc.dictionary_encode(self._table[name])
        column = column.combine_chunks() if column.num_chunks else pc.dictionary_encode(pa.array([], pa.large_string()))
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        return Coded(pc.fill_null(column.indices, -1).to_numpy().astype(np.int64), column.dictionary.to_pylist())

    @cached_property
    def types(self) -> Coded:
        """The types of the events."""
        return self.coded("type")

    @cached_property
    def streaming(self) -> Flags:
        """Which events are one of a stream, as `is_streaming` tells it."""
        return self.coded("kind").is_any(_HEARTBEATS) | self.types.ends_with(_STREAMING)

    @cached_property
    def has_payload(self) -> Flags:
        """Which events have a text."""
        valid: Flags = pc.is_valid(self._table["payload"]).to_numpy()
        return valid

    @cached_property
    def failed(self) -> Flags:
        """Which events say that something failed, as `analyze.wording.error_of` reads them."""
        failed = self.types.is_any(["error"]) | self.types.ends_with((FAILED_ENDING,))
        for name in ("error_type", "error_code", "error_message"):
            failed |= pc.fill_null(pc.greater(pc.binary_length(self._table[name]), 0), fill_value=False).to_numpy()
        return failed


def _indices(places: Sequence[int] | Integers) -> pa.Array:
    # `pa.array` would import numpy.ma to look at an array: 30 ms before the first row stands.
    numbers = np.ascontiguousarray(places, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])
