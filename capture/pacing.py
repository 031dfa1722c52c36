"""Measure how punctually a call or a replay sent what was due at a time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

_DRIFT_WINDOW = 25


@dataclass(frozen=True, slots=True)
class Punctuality:
    """Deviation of the sends from their due times; None where nothing was due at a time."""

    p50_us: float | None
    """Median of the absolute deviation."""
    p99_us: float | None
    drift_us: float | None
    """How much later the last sends were than the first, by the medians of up to 25 each."""


class Pacing:
    """Collects each send's deviation from its absolute deadline."""

    def __init__(self) -> None:
        self._deviations_us = array("d")

    @property
    def deviations_us(self) -> Sequence[float]:
        """Deviation of each send, in the order they went; positive ones are late."""
        return self._deviations_us

    def note(self, due_ns: int, sent_ns: int) -> None:
        """Take in one send; positive deviations are late."""
        self._deviations_us.append((sent_ns - due_ns) / 1000)

    def summary(self) -> Punctuality:
        """Sum the deviations up."""
        if not self._deviations_us:
            return Punctuality(None, None, None)
        window = max(1, min(_DRIFT_WINDOW, len(self._deviations_us) // 2))
        drift = _quantile(self._deviations_us[-window:], 0.5) - _quantile(self._deviations_us[:window], 0.5)
        absolute = [abs(deviation) for deviation in self._deviations_us]
        return Punctuality(_quantile(absolute, 0.5), _quantile(absolute, 0.99), drift)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
