"""What cuts into a session from outside its dialogue: errors out of the blue, closes, lost connections. Pure."""

from __future__ import annotations

from bisect import insort

from replay.simulator.clock import NS_PER_S
from replay.simulator.faults.conditions import Circumstance
from replay.simulator.faults.effects import EndingEffect, ErrorEvent, TimedEffect
from replay.simulator.faults.faults import Draw, Faults


class Interference:
    """Watches the events of one session go out, and tells what strikes after them, and when."""

    def __init__(self, faults: Faults, draw: Draw) -> None:
        self._faults = faults
        self._draw = draw
        self._planned: list[tuple[int, int, TimedEffect]] = []
        """Due time, order of planning, effect; the next one first."""
        self._count = 0

    @property
    def due_ns(self) -> int | None:
        """When something strikes next; None when nothing is planned."""
        return self._planned[0][0] if self._planned else None

    def follow(self, event_type: str, here: Circumstance) -> None:
        """Plan what strikes after an event that is sent now."""
        for kind in (ErrorEvent, EndingEffect):
            effect = self._faults.find_effect(kind, here, self._draw, lambda effect: effect.after_event == event_type)
            if effect is not None:
                self._plan(effect, here.now_ns)

    def take(self, now_ns: int) -> TimedEffect | None:
        """Take the next effect that is due by now."""
        return self._planned.pop(0)[2] if self._planned and self._planned[0][0] <= now_ns else None

    def _plan(self, effect: TimedEffect, now_ns: int) -> None:
        delay_s = effect.after_s + (effect.spread_s * self._draw("delay") if effect.spread_s else 0)
        self._count += 1
        insort(self._planned, (now_ns + round(delay_s * NS_PER_S), self._count, effect))
