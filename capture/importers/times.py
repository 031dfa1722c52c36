"""Read times as logs spell them: since 1970 in s, ms, µs or ns, since the session's start, or ISO 8601; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

_NAMES = ("t", "ts", "time", "timestamp", "@timestamp", "at", "date", "datetime", "timeStamp", "created_at", "asctime")
# Events of some protocols have fields of these names themselves.
_EVENT_NAMES = ("elapsed", "offset")
_SUFFIXES = {"": None, "_s": 10**9, "_ms": 10**6, "Ms": 10**6, "_us": 10**3, "_ns": 1}


def _keys(names: tuple[str, ...]) -> dict[str, int | None]:
    return {f"{name}{suffix}": unit_ns for name in names for suffix, unit_ns in _SUFFIXES.items()}


_UNITS_OF_BARE = _keys(_NAMES)
_UNITS = _UNITS_OF_BARE | _keys(_EVENT_NAMES)
"""Names of a line's time, and nanoseconds in its unit; None: the value itself tells."""

# Seconds since 1970 from 1990 to 2286, and the same in smaller units: nothing that is meant relatively is so large.
_EPOCH = ((631_152_000, 10**10, 10**9), (631_152_000_000, 10**13, 10**6), (631_152_000_000_000, 10**16, 10**3))
_EPOCH_NS = 631_152_000_000_000_000
_LARGEST_NS = 2**62
# A clock that stood so far when the session began counts from something else, such as the machine's start.
_OTHER_CLOCK_NS = 3_600_000_000_000


class Moment(NamedTuple):
    """When something happened."""

    ns: int
    is_absolute: bool
    """Whether it counts from 1970 (UTC); else from a start of the file's own."""


class Offsets:
    """Turns moments into offsets from the session's start; they never run backwards."""

    def __init__(self, first: Moment | None, started_ns: int | None = None) -> None:
        """Take the first message's moment, and when the file says that the session began (since 1970)."""
        self.started_ns: int | None = None
        """Start of the session since 1970; None where nobody told."""
        self._is_absolute = first is None or first.is_absolute
        self._zero_ns = 0
        self._last_ns = 0
        if first is None or first.is_absolute:
            told = [ns for ns in (started_ns, first and first.ns) if ns is not None]
            self.started_ns = min(told, default=None)
            self._zero_ns = self.started_ns or 0
        else:
            self.started_ns = started_ns
            self._zero_ns = first.ns if not 0 <= first.ns < _OTHER_CLOCK_NS else 0

    def offset(self, moment: Moment | None) -> tuple[int, bool]:
        """Give the offset of a moment in nanoseconds, and whether it is a time: without one it is the one before."""
        if moment is None or moment.is_absolute != self._is_absolute:
            return self._last_ns, False
        offset_ns = moment.ns - self._zero_ns
        if offset_ns < self._last_ns:
            return self._last_ns, False
        self._last_ns = offset_ns
        return offset_ns, True


def find_time(line: Mapping[str, Any], *, is_bare: bool = False) -> Moment | None:
    """Find the time of a line by its name, also of one that `is_bare`, an event itself; None where it has none."""
    units = _UNITS_OF_BARE if is_bare else _UNITS
    for key in line:
        if key in units:
            moment = read_time(line[key], units[key])
            if moment is not None:
                return moment
    return None


def read_time(value: object, unit_ns: int | None = None) -> Moment | None:
    """Read one value: a number or its text, or ISO 8601; times without a zone are UTC.

    Without a unit, numbers of the size of today's dates count from 1970, in the unit that this size tells. Smaller
    ones count from the session's start: whole ones in milliseconds, those with a point in seconds.
    """
    if isinstance(value, str):
        return _read_text(value.strip(), unit_ns)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -_LARGEST_NS < value < _LARGEST_NS:  # NaN is not either
        return None
    if unit_ns is None:
        unit_ns = _epoch_unit(value) or (10**6 if isinstance(value, int) else 10**9)
    # Floats of today's dates are exact to a quarter of a microsecond.
    ns = value * unit_ns if isinstance(value, int) else round(value * (unit_ns / 1000)) * 1000
    return Moment(ns, ns >= _EPOCH_NS) if -_LARGEST_NS < ns < _LARGEST_NS else None


def _epoch_unit(value: float) -> int | None:
    if value >= _EPOCH_NS:
        return 1
    return next((unit_ns for least, limit, unit_ns in _EPOCH if least <= value < limit), None)


def _read_text(text: str, unit_ns: int | None) -> Moment | None:
    try:
        return read_time(float(text) if set(text) & set(".eE") else int(text), unit_ns)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        # Not by `timestamp`, a float.
        since = at - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    ns = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return Moment(ns, is_absolute=True) if abs(ns) < _LARGEST_NS else None
