"""The one clock: recorder, simulator and staged clients read the time from here, so that hours can pass in a test."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol

NS_PER_S = 1_000_000_000

_EPOCH = datetime.fromtimestamp(0, UTC)


class Clock(Protocol):
    """Tells the time."""

    def now_ns(self) -> int:
        """Tell the time of day in nanoseconds since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Tell nanoseconds since some moment; never runs backwards."""
        ...


class SystemClock:
    """The computer's clocks: the functions of `time` themselves, because the relay reads one twice a piece."""

    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class SteppedClock:
    """Runs from a given time on at the computer's pace, and can be moved forward; never runs backwards."""

    def __init__(self, starts_at_ns: int | None = None) -> None:
        """Start now, or at a time in nanoseconds since 1970."""
        self._origin_ns = time.monotonic_ns()
        self._epoch_ns = time.time_ns() if starts_at_ns is None else starts_at_ns
        self._ahead_ns = 0
        self._moved = asyncio.Event()

    def now_ns(self) -> int:
        """Tell the time in nanoseconds since 1970."""
        return self._epoch_ns + self._passed_ns()

    def monotonic_ns(self) -> int:
        """Tell nanoseconds since some moment before the start."""
        return self._origin_ns + self._passed_ns()

    def advance_s(self, seconds: float) -> None:
        """Move forward, and wake those who wait for a time that has come by that; call it on their event loop."""
        if seconds < 0:
            raise ValueError("a clock is moved forward only")
        self._ahead_ns += round(seconds * NS_PER_S)
        # Whoever waits later waits for the next move.
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep_until(self, due_ns: int) -> None:
        """Wait until that time (nanoseconds since 1970); at once if it has passed."""
        while (ahead_ns := due_ns - self.now_ns()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(ahead_ns / NS_PER_S):
                    await self._moved.wait()

    def _passed_ns(self) -> int:
        return self._ahead_ns + time.monotonic_ns() - self._origin_ns


def utc_time(at_ns: int) -> datetime:
    """Give a time in nanoseconds since 1970 as UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=at_ns // 1000)
