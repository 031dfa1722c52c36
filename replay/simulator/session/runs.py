"""What a session does by the clock, such as streaming an answer: moments with due times, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from replay.simulator.clock import NS_PER_MS

Event = dict[str, Any]
"""A server event without its `event_id`, which it gets when it is sent."""


class Run:
    """Moments to come; each gives the events to send when it is due."""

    def __init__(self, started_ns: int) -> None:
        self._started_ns = started_ns
        self._lived_ns = started_ns
        """When the last moment was due."""
        self._moments: deque[tuple[int, Callable[[], list[Event]]]] = deque()

    @property
    def due_ns(self) -> int | None:
        """When the next moment is due; None when all are over."""
        return self._moments[0][0] if self._moments else None

    def step(self) -> list[Event]:
        """Live through the next moment."""
        self._lived_ns, live = self._moments.popleft()
        return live()

    def _plan(self, moments: Iterable[tuple[float, Callable[[], list[Event]]]]) -> None:
        """Plan moments at so many milliseconds after the start; what is due at one time keeps its order."""
        planned = [(self._started_ns + round(at_ms * NS_PER_MS), moment) for at_ms, moment in moments]
        self._moments.extend(sorted(planned, key=lambda entry: entry[0]))
