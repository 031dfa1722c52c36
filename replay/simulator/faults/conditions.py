"""Where and when a fault strikes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from replay.simulator.quantities import NotNegative, Ordinal, Positive, Share


@dataclass(frozen=True, slots=True)
class Circumstance:
    """Where and when something is about to happen that a fault may spoil."""

    region: str
    now_ns: int
    """On the simulator's clock."""
    model: str | None = None
    transcription_model: str | None = None
    turn: int = 0
    response: int = 0


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many pass in any span of time; the fault strikes the others."""

    turns: Ordinal
    per_s: Positive


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a fault strikes: all conditions that are given must hold; none given is always.

    In names, `*` stands for anything. Times are on the simulator's clock, from its start.
    """

    region: str | tuple[str, ...] | None = None
    model: str | tuple[str, ...] | None = None
    """Realtime model (on Azure a deployment name), as the connection was opened with."""
    transcription_model: str | tuple[str, ...] | None = None
    turn: Ordinal | None = None
    """Ordinal of the user's turn in the session, from 1."""
    response: Ordinal | None = None
    """Ordinal of the response in the session, from 1."""
    probability: Share | None = None
    """Chance from 0 to 1 that it strikes when all else holds; drawn from the seed."""
    from_s: NotNegative | None = None
    until_s: Positive | None = None
    every_s: Positive | None = None
    """Period of a window that comes again, counted from `from_s` (absent: from the start)."""
    for_s: Positive | None = None
    """How long that window is."""
    quota: Quota | None = None
    """Asked last: only what meets all other conditions is counted."""

    def __post_init__(self) -> None:
        """Refuse half a periodic window, and one that ends before it begins."""
        if (self.every_s is None) != (self.for_s is None):
            raise ValueError("`every_s` and `for_s` go together")
        if self.until_s is not None and self.until_s <= (self.from_s or 0):
            raise ValueError("`until_s` must be later than `from_s`")

    def may_hold_in(self, regions: Iterable[str]) -> bool:
        """Tell whether it can strike in one of these regions."""
        return self.region is None or any(_fits(self.region, region) for region in regions)

    def hold_at(self, here: Circumstance, elapsed_s: float) -> bool:
        """Tell whether all that needs no memory and no chance holds, so long after the simulator's start."""
        return self._hold_for_names(here) and self._hold_for_time(elapsed_s)

    def _hold_for_names(self, here: Circumstance) -> bool:
        for name in ("region", "model", "transcription_model", "turn", "response"):
            asked, actual = getattr(self, name), getattr(here, name)
            if asked is not None and not _fits(asked, actual):
                return False
        return True

    def _hold_for_time(self, elapsed_s: float) -> bool:
        from_s = self.from_s or 0
        if elapsed_s < from_s or (self.until_s is not None and elapsed_s >= self.until_s):
            return False
        return self.every_s is None or self.for_s is None or (elapsed_s - from_s) % self.every_s < self.for_s


def _fits(asked: str | tuple[str, ...] | int, actual: str | int | None) -> bool:
    if isinstance(asked, int):
        return asked == actual
    patterns = (asked,) if isinstance(asked, str) else asked
    return isinstance(actual, str) and any(fnmatchcase(actual, pattern) for pattern in patterns)
