"""The stretch of a session's time that is in sight: whole, or zoomed in and moved along; pure."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_SPAN_MS = 200.0
"""No closer: levels are measured over 10 ms, and a terminal has about as many columns."""
ZOOM = 2.0
_MARGIN = 0.1
"""Share of the stretch that stays in sight on either side of the moment that is followed."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """A session's time and the part of it that is in sight."""

    duration_ms: float
    from_ms: float
    to_ms: float

    @classmethod
    def whole(cls, duration_ms: float) -> TimeAxis:
        """Show all of a session."""
        return cls(duration_ms, 0.0, duration_ms)

    @property
    def span_ms(self) -> float:
        """How much is in sight."""
        return self.to_ms - self.from_ms

    @property
    def is_whole(self) -> bool:
        """Whether all is in sight."""
        return self.span_ms >= self.duration_ms

    def zoomed(self, factor: float, around_ms: float) -> TimeAxis:
        """Show `factor` times less (below 1: more), with a moment where it was."""
        span_ms = min(max(self.span_ms / factor, min(LEAST_SPAN_MS, self.duration_ms)), self.duration_ms)
        share = (around_ms - self.from_ms) / self.span_ms if self.span_ms > 0 else 0.0
        return self._from(around_ms - min(max(share, 0.0), 1.0) * span_ms, span_ms)

    def showing(self, at_ms: float) -> TimeAxis:
        """Move along just so far that a moment is in sight."""
        margin_ms = self.span_ms * _MARGIN
        if at_ms < self.from_ms + margin_ms:
            return self._from(at_ms - margin_ms, self.span_ms)
        if at_ms > self.to_ms - margin_ms:
            return self._from(at_ms + margin_ms - self.span_ms, self.span_ms)
        return self

    def _from(self, from_ms: float, span_ms: float) -> TimeAxis:
        from_ms = min(max(from_ms, 0.0), self.duration_ms - span_ms)
        return TimeAxis(self.duration_ms, from_ms, from_ms + span_ms)

    def cell_of(self, at_ms: float, cells: int) -> int:
        """Give the cell that a moment falls into; outside of 0..cells-1 where it is out of sight."""
        if self.span_ms <= 0:
            return 0
        at = int((at_ms - self.from_ms) / self.span_ms * cells // 1)
        return min(at, cells - 1) if at_ms <= self.to_ms else max(at, cells)
