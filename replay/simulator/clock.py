"""The one clock of a simulator; tests and staged hours put another in its place."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Tells the time and waits."""

    def now_ns(self) -> int:
        """Tell the time in nanoseconds since 1970; never runs backwards."""
        ...

    async def sleep_until(self, due_ns: int) -> None:
        """Wait until that time; at once if it has passed."""
        ...


class SystemClock:
    """The computer's clock: wall time at the start, monotonic from then on."""

    def __init__(self) -> None:
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Tell the time in nanoseconds since 1970."""
        return self._epoch_ns + time.monotonic_ns()

    async def sleep_until(self, due_ns: int) -> None:
        """Wait until that time."""
        await asyncio.sleep(max(0, due_ns - self.now_ns()) / NS_PER_S)
