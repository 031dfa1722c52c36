"""Faults: an effect under its conditions, and which of them strike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from replay.simulator.clock import NS_PER_S
from replay.simulator.faults.conditions import Circumstance, Conditions, Quota
from replay.simulator.faults.effects import AnyEffect, Effect

Kind = TypeVar("Kind", bound=AnyEffect)
Draw = Callable[[str], float]
"""Gives the next number in [0, 1) of a named stream."""

_EVERYWHERE = frozenset({"region", "probability", "from_s", "until_s", "every_s", "for_s"})


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
            when.hold_at(here, (here.now_ns - self._started_ns) / NS_PER_S)
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
