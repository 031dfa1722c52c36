"""Read how long an endpoint wants to be left alone, and hold back what would be sent to it before; no I/O.

An endpoint tells it in a header of the refused upgrade (`retry-after-ms`, `retry-after`, `x-ratelimit-reset-*`), in
the words of an error ("Please try again in 1.2s"), or in `rate_limits.updated`. Where it tells nothing, the pause
doubles with each time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

RETRIES = 4
LONGEST_WAIT_S = 600.0
"""What is told to last longer is not waited for: the target is left alone for the rest of the run."""
_FIRST_WAIT_S, _LONGEST_GUESS_S = 5.0, 60.0
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
# From a number's first digit only: tried from each of thousands in a header, it would take seconds.
_PART = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)\s*(ms|[smhd])(?:ec(?:ond)?s?|in(?:ute)?s?|ours?|ays?)?(?![a-z])")
_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) "
    r"((?:\d+(?:\.\d+)?\s*(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d)[,\s]*)+)"
)


@dataclass(frozen=True, slots=True)
class Told:
    """How long to wait, and where that was read."""

    wait_s: float
    by: str


@dataclass(frozen=True, slots=True)
class Refusals:
    """What an endpoint said when it throttled a session."""

    headers: Mapping[str, str]
    """Of the answer to the upgrade, names in lower case."""
    messages: Sequence[str] = ()
    """Of its errors."""
    rate_limits: Sequence[Mapping[str, Any]] = ()
    """Entries of the last `rate_limits.updated`."""


def read_wait(said: Refusals, *, now: datetime | None = None) -> Told | None:
    """Read how long to wait, in seconds from now; None where nothing tells it.

    `now` is what a date in `retry-after` counts from, where the answer itself has no date.
    """
    return (
        _read_retry_after(said.headers, now or datetime.now(UTC))
        or _read_messages(said.messages)
        or _read_resets(said.headers)
        or _read_rate_limits(said.rate_limits)
    )


def read_duration(text: str) -> float | None:
    """Read seconds from `20`, `20ms`, `1.5s` or `6m0s`; None for what is none of them."""
    plain = re.sub(r"milliseconds?", "ms", text.strip().lower())
    try:
        return _sane(float(plain))
    except ValueError:
        parts = [(match.group(1), match.group(2)) for match in _PART.finditer(plain)]
    if not parts or _PART.sub("", plain).strip(" ,"):
        return None
    return _sane(sum(float(number) * _UNITS_S[unit] for number, unit in parts))


def guess_wait_s(attempt: int) -> float:
    """Give the pause after the n-th throttled attempt where the endpoint tells none."""
    return min(_LONGEST_GUESS_S, _FIRST_WAIT_S * 2.0 ** min(attempt - 1, 10))


class Pauses:
    """Until when each target is left alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until_s: dict[str, float] = {}
        self._given_up: dict[str, float] = {}

    def pause(self, target: str, wait_s: float) -> None:
        """Leave a target alone for so long from now; a shorter pause ends no longer one."""
        self._until_s[target] = max(self._until_s.get(target, 0.0), self._clock() + wait_s)

    def give_up(self, target: str, wait_s: float) -> None:
        """Send a target nothing more."""
        self._given_up[target] = wait_s

    @property
    def given_up(self) -> Mapping[str, float]:
        """Targets that are sent nothing more, each with the seconds that it told."""
        return self._given_up

    def left_s(self, target: str) -> float:
        """Tell how long a target is still to be left alone; 0 where it may be sent to."""
        return max(0.0, self._until_s.get(target, 0.0) - self._clock())


def _sane(seconds: float) -> float | None:
    return seconds if 0 <= seconds < float("inf") else None


def _read_retry_after(headers: Mapping[str, str], now: datetime) -> Told | None:
    if milliseconds := _read_each(headers.get("retry-after-ms", ""), read_duration):
        return Told(max(milliseconds) / 1000, "retry-after-ms")
    stated, sent = headers.get("retry-after", ""), headers.get("date", "")
    seconds = _read_each(stated, read_duration) or _read_each(stated, lambda text: _seconds_until(text, sent, now))
    return Told(max(seconds), "retry-after") if seconds else None


def _read_each(stated: str, read: Callable[[str], float | None]) -> list[float]:
    """Read the values of a header: of one that is given twice, by a gateway and by what is behind it, there are two."""
    # A date has a comma too: what is behind it is read as the same date.
    return [value for each in stated.split(",") if (value := read(each)) is not None]


def _seconds_until(stated: str, sent: str, now: datetime) -> float | None:
    until = _read_date(stated)
    # Counted on the endpoint's own clock: ours may be wrong.
    return None if until is None else max(0.0, (until - (_read_date(sent) or now)).total_seconds())


def _read_date(text: str) -> datetime | None:
    try:
        read = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _read_messages(messages: Sequence[str]) -> Told | None:
    waits = [read_duration(match.group(1)) for text in messages for match in _AGAIN.finditer(text.lower())]
    told = [wait for wait in waits if wait is not None]
    return Told(max(told), "its error") if told else None


def _read_resets(headers: Mapping[str, str]) -> Told | None:
    prefix = "x-ratelimit-reset-"
    resets = {
        name: wait
        for name, text in headers.items()
        if name.startswith(prefix) and (wait := read_duration(text)) is not None
    }
    # The limit that is used up is the one to wait for; where none says so it may be any.
    spent = {name: wait for name, wait in resets.items() if _is_spent(headers, name.removeprefix(prefix))}
    if not resets:
        return None
    name, wait = max((spent or resets).items(), key=lambda reset: reset[1])
    return Told(wait, name)


def _is_spent(headers: Mapping[str, str], limit: str) -> bool:
    return read_duration(headers.get(f"x-ratelimit-remaining-{limit}", "")) == 0


def _read_rate_limits(entries: Sequence[Mapping[str, Any]]) -> Told | None:
    # As text: a whole number in JSON may be larger than any float.
    resets = [read_duration(str(entry.get("reset_seconds"))) for entry in entries if entry.get("remaining") == 0]
    known = [reset for reset in resets if reset is not None]
    return Told(max(known), "rate_limits.updated") if known else None
