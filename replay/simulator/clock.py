"""The clock that a simulator goes by: the one of `capture`, which can also be waited on."""

from __future__ import annotations

from typing import Protocol

import capture.clock
from capture.clock import NS_PER_S

__all__ = ["NS_PER_MS", "NS_PER_S", "Clock"]

NS_PER_MS = 1_000_000


class Clock(capture.clock.Clock, Protocol):
    """Tells the time and waits. Its time of day must not run backwards: take a `SteppedClock`."""

    async def sleep_until(self, due_ns: int) -> None:
        """Wait until that time (nanoseconds since 1970); at once if it has passed."""
        ...
