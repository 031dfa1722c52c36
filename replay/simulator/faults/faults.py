"""Faults: what goes wrong, and where and when it strikes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from replay.simulator.clock import NS_PER_S
from replay.simulator.faults.effects import AnyEffect, Effect

Kind = TypeVar("Kind", bound=AnyEffect)
Draw = Callable[[str], float]
"""Gives the next number in [0, 1) of a named stream."""

_EVERYWHERE = frozenset({"region", "probability", "from_s", "until_s", "every_s", "for_s"})


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many pass in any span of time; the fault strikes the others."""

    turns: int
    per_s: float


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a fault strikes: all conditions that are given must hold; none given is always.

    In names, `*` stands for anything. Times are on the simulator's clock, from its start.
    """

    region: str | tuple[str, ...] | None = None
    model: str | tuple[str, ...] | None = None
    """Realtime model (on Azure a deployment name), as the connection was opened with."""
    transcription_model: str | tuple[str, ...] | None = None
    turn: int | None = None
    """Ordinal of the user's turn in the session, from 1."""
    response: int | None = None
    """Ordinal of the response in the session, from 1."""
    probability: float | None = None
    """Chance from 0 to 1 that it strikes when all else holds; drawn from the seed."""
    from_s: float | None = None
    until_s: float | None = None
    every_s: float | None = None
    """Period of a window that comes again, counted from `from_s` (absent: from the start)."""
    for_s: float | None = None
    """How long that window is."""
    quota: Quota | None = None
    """Asked last: only what meets all other conditions is counted."""

    def __post_init__(self) -> None:
        """Refuse half a periodic window, and what is no chance."""
        if (self.every_s is None) != (self.for_s is None):
            raise ValueError("`every_s` and `for_s` go together")
        if self.every_s is not None and self.every_s <= 0:
            raise ValueError("`every_s` must be above 0")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError("`probability` must be from 0 to 1")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong, and when."""

    then: Effect
    when: Conditions = Conditions()

    def __post_init__(self) -> None:
        """Refuse a condition that can never hold where the effect is decided."""
        given = {name for name in self.when.__struct_fields__ if getattr(self.when, name) is not None}
        strange = sorted(given - _EVERYWHERE - self.then.given.conditions)
        if strange:
            raise ValueError(f"`{self.then.name}` knows no condition `{strange[0]}`")


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


class Faults:
    """The faults of one simulator, and what it has to remember of them across its connections."""

    def __init__(self, faults: Sequence[Fault], started_ns: int) -> None:
        self._faults = [(number, fault.when, fault.then.given) for number, fault in enumerate(faults)]
        self._started_ns = started_ns
        self._passed: dict[tuple[object, ...], deque[int]] = {}
        """When something last passed under a quota, by fault, region and models."""

    def find_effect(
        self, kind: type[Kind], here: Circumstance, draw: Draw, suits: Callable[[Kind], bool] | None = None
    ) -> Kind | None:
        """Find the first fault of a kind that strikes; those that do not suit are passed over."""
        for number, when, effect in self._faults:
            if not isinstance(effect, kind) or (suits is not None and not suits(effect)):
                continue
            if self._strikes(number, when, here, draw):
                return effect
        return None

    def _strikes(self, number: int, when: Conditions, here: Circumstance, draw: Draw) -> bool:
        return (
            _holds(when, here)
            and _in_window(when, (here.now_ns - self._started_ns) / NS_PER_S)
            and (when.probability is None or draw(f"fault {number}") < when.probability)
            and (when.quota is None or not self._passes(number, when.quota, here))
        )

    def _passes(self, number: int, quota: Quota, here: Circumstance) -> bool:
        key = (number, here.region, here.model, here.transcription_model)
        passed = self._passed.setdefault(key, deque())
        while passed and passed[0] <= here.now_ns - quota.per_s * NS_PER_S:
            passed.popleft()
        if len(passed) >= quota.turns:
            return False
        passed.append(here.now_ns)
        return True


def _holds(when: Conditions, here: Circumstance) -> bool:
    for name in ("region", "model", "transcription_model", "turn", "response"):
        asked, actual = getattr(when, name), getattr(here, name)
        if asked is not None and not _fits(asked, actual):
            return False
    return True


def _fits(asked: str | tuple[str, ...] | int, actual: str | int | None) -> bool:
    if isinstance(asked, int):
        return asked == actual
    patterns = (asked,) if isinstance(asked, str) else asked
    return isinstance(actual, str) and any(fnmatchcase(actual, pattern) for pattern in patterns)


def _in_window(when: Conditions, elapsed_s: float) -> bool:
    from_s = when.from_s or 0
    if elapsed_s < from_s or (when.until_s is not None and elapsed_s >= when.until_s):
        return False
    return when.every_s is None or when.for_s is None or (elapsed_s - from_s) % when.every_s < when.for_s
