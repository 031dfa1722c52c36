"""Decide what an isolate run tries next, and what its trials have proved so far; pure, results in, decisions out.

The opening: baseline trials until the failure shows; they never enter a comparison. Then blocks: each holds one
baseline trial and one of each open arm, in random order, and an arm is compared with the baseline trials of its own
blocks only. Decisions are made at the looks alone, each at its share of the family's level. Arms that change
several things at once come only where no single change clears the failure. Baseline trials close it: the control.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import ceil, log, prod
from typing import Literal

from replay.arms import (
    BASELINE,
    LEVEL,
    LOOKS,
    NOT_COUNTED_AT_MOST,
    ArmDecision,
    Changes,
    Phase,
    Result,
    decide_arm,
    is_useless,
)

Ending = Literal[
    "not_reproduced",
    "no_baseline",
    "cleared",
    "max_trials",
    "decided",
    # What stops it from outside: caps, and a target that wants to be left alone for too long.
    "max_sessions",
    "max_minutes",
    "throttled",
]

OPENING_TRIALS = 12
_CLEARED = 0.001
"""Where so many passes in a row were less likely than this, the failure went away."""
_CONTROL = 0.01
"""Chance that the control passes although the failure is there: the verdict is then open for nothing."""
_CHECKS = (LOOKS[0] // 2, *LOOKS)
"""Trials a cell after which it is asked what comes next: whether the failure is gone, or a cell of no use."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Trials to make next: blocks in their order, each in random order."""

    phase: Phase
    first_block: int
    blocks: tuple[tuple[Changes, ...], ...]
    why: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more is to be tried."""

    ending: Ending


@dataclass(frozen=True)
class Experiment:
    """An experiment and its results so far."""

    singles: tuple[Changes, ...]
    """Arms that change one axis, the likeliest first."""
    results: tuple[Result, ...] = ()
    max_trials: int = 300
    seed: int = 0
    views: int = 1
    """Experiments that read the same trials, each by another failure, and share the level out."""

    @cached_property
    def _by_arm(self) -> dict[Changes, dict[int, Result]]:
        found: dict[Changes, dict[int, Result]] = defaultdict(dict)
        for result in self.results:
            if result.phase == "blocks":
                found[result.changes][result.block] = result
        return found

    @cached_property
    def baseline(self) -> list[Result]:
        """Baseline trials of the blocks that count, in order."""
        made = self._by_arm.get(BASELINE, {})
        return [made[block] for block in sorted(made) if made[block].counts]

    def phase(self, phase: Phase) -> list[Result]:
        """List the trials of a phase that count."""
        return [result for result in self.results if result.phase == phase and result.counts]

    @cached_property
    def control(self) -> list[Result]:
        """Trials of the control, those that do not count among them.

        A control that fails sends the experiment back to its blocks where something is open; only trials behind the
        last block say that it still fails at the end.
        """
        last_block = max((result.block for result in self.results if result.phase == "blocks"), default=0)
        return [result for result in self.results if result.phase == "control" and result.block > last_block]

    @property
    def is_reproduced(self) -> bool:
        """Whether the opening showed the failure."""
        return any(result.outcome == "failed" for result in self.phase("opening"))

    @property
    def has_cleared(self) -> bool:
        """Whether the baseline fails no more: it passed all of the control, or far too long in the blocks."""
        control = [result for result in self.control if result.counts]
        if any(result.outcome == "failed" for result in control):
            return False
        return self._is_quiet or (0 < self._control_trials <= len(control))

    @cached_property
    def stages(self) -> list[list[ArmDecision]]:
        """Decide the arms, stage after stage: single changes, all at once, pairs; a stage that is due has arms."""
        singles = self._decide_all(self.singles)
        found = [singles]
        if not singles or any(arm.is_running for arm in singles) or any(arm.clears for arm in singles):
            return found
        candidates = _one_an_axis(singles)
        if len(candidates) < 2:
            return found
        if len(candidates) > 2:
            everything = self._decide_all([_together(candidates)])
            found.append(everything)
            if not everything[0].clears:
                return found
        return [*found, self._decide_pairs(candidates)]

    def decide_next(self) -> Batch | Stop:
        """Say what to try next."""
        if not self.is_reproduced:
            return self._open()
        if is_useless(self._by_arm.get(BASELINE, {}).values()):
            return Stop("no_baseline")
        running = [arm for arm in self.stages[-1] if arm.is_running]
        if running and not self._is_quiet and (batch := self._plan_blocks(running)) is not None:
            return batch
        return self._close("max_trials" if running and not self._is_quiet else "decided")

    def _open(self) -> Batch | Stop:
        made = len(self.results)
        counted = len(self.phase("opening"))
        if made >= 6 and (made - counted) / made > NOT_COUNTED_AT_MOST:
            return Stop("no_baseline")
        if counted >= OPENING_TRIALS or made >= self.max_trials:
            return Stop("not_reproduced")
        return Batch("opening", 0, ((BASELINE,),), "does the failure come again?")

    def _close(self, otherwise: Ending) -> Batch | Stop:
        if not self.baseline:
            return Stop(otherwise)
        control = [result for result in self.control if result.counts]
        attempts = len(self.control)
        still_fails = any(result.outcome == "failed" for result in control)
        if still_fails or attempts >= 2 * self._control_trials or len(self.results) >= self.max_trials:
            return Stop("cleared" if self.has_cleared else otherwise)
        if len(control) >= self._control_trials:
            return Stop("cleared")
        return Batch("control", self._next_block, ((BASELINE,),), "does it still fail?")

    @property
    def _control_trials(self) -> int:
        failed = sum(result.outcome == "failed" for result in self.baseline)
        if not failed:
            return 0
        if failed == len(self.baseline):
            return 1
        return ceil(log(_CONTROL) / log(1 - failed / len(self.baseline)))

    @cached_property
    def _is_quiet(self) -> bool:
        # The failure went away: more blocks would only water it down.
        trials = sorted([*self.baseline, *self.phase("control")], key=lambda result: result.block)
        outcomes = [result.outcome for result in trials]
        last = max((at for at, outcome in enumerate(outcomes) if outcome == "failed"), default=-1)
        quiet, before = len(outcomes) - last - 1, outcomes[: last + 1]
        if not before:
            return quiet >= LOOKS[1]
        return _chance_of_passes(quiet, before.count("failed"), len(before)) < _CLEARED

    @property
    def _next_block(self) -> int:
        return max((result.block for result in self.results), default=0) + 1

    def _plan_blocks(self, running: Sequence[ArmDecision]) -> Batch | None:
        left = self.max_trials - len(self.results) - max(1, self._control_trials)
        # With a small cap it is better to decide the likeliest than none.
        wave = running[: max(1, self.max_trials // LOOKS[0] - 1)]
        missing = min(next(check for check in _CHECKS if check > arm.trials) - arm.trials for arm in wave)
        count = min(missing, left // (len(wave) + 1))
        if count < 1:
            return None
        first = self._next_block
        arms = [BASELINE, *(arm.changes for arm in wave)]
        blocks = tuple(self._shuffled(arms, block) for block in range(first, first + count))
        return Batch("blocks", first, blocks, f"{len(wave)} open, to {wave[0].trials + count} trials a cell")

    def _shuffled(self, arms: list[Changes], block: int) -> tuple[Changes, ...]:
        order = random.Random(f"{self.seed}:{block}")  # noqa: S311 - an order of trials, repeatable, and no secret
        return tuple(order.sample(arms, len(arms)))

    def _decide_pairs(self, candidates: Sequence[ArmDecision]) -> list[ArmDecision]:
        partial = [arm for arm in candidates if arm.state == "implicated"]
        pairs = [
            _together(pair)
            for pair in combinations(candidates, 2)
            if not partial or any(arm.state == "implicated" for arm in pair)
        ]
        decided = self._decide_all(pairs)
        if any(arm.clears for arm in decided):
            # Two causes are found: the other pairs need not be tried any longer.
            return [_ended(arm) for arm in decided]
        return decided

    def _decide_all(self, arms: Sequence[Changes]) -> list[ArmDecision]:
        level = LEVEL / (self.views * max(1, len(arms)) * len(LOOKS))
        return [decide_arm(arm, self._by_arm.get(arm, {}), self._by_arm.get(BASELINE, {}), level) for arm in arms]


def _chance_of_passes(passes: int, failed: int, trials: int) -> float:
    """Give the chance of so many passes in a row after k of n failed, whatever rate may be behind k of n.

    Every rate was equally likely at first (Laplace): a rate read from a few trials would be taken for certain.
    """
    passed = trials - failed
    return prod((passed + 1 + number) / (trials + 2 + number) for number in range(passes))


def _ended(arm: ArmDecision) -> ArmDecision:
    fields = {name: getattr(arm, name) for name in ArmDecision.__slots__}
    return ArmDecision(**{**fields, "is_running": False})


def _one_an_axis(arms: Iterable[ArmDecision]) -> list[ArmDecision]:
    """Take the best value of each axis that was decided: the one that lowers the rate, else the first."""
    best: dict[str, ArmDecision] = {}
    for arm in arms:
        axis = arm.changes[0][0]
        if arm.state == "open":
            continue
        if axis not in best or (arm.state == "implicated" and best[axis].state != "implicated"):
            best[axis] = arm
    return list(best.values())


def _together(arms: Iterable[ArmDecision]) -> Changes:
    return tuple(change for arm in arms for change in arm.changes)
