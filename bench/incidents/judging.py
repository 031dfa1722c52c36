"""Judge what an experiment says of a world whose truth is known, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.stats import binom

from bench.incidents.worlds import World
from replay.arms import LEVEL
from replay.comparison import AxisDecision
from replay.isolation import Reading
from replay.runs import Run
from replay.statistics import fisher_one_sided

Result = Literal["right", "open", "wrong"]
FREQUENT = 0.7
"""From this rate on, more of the causes have to be found."""
FOUND_FREQUENT, FOUND_RARE = 0.95, 0.80
_LARGEST_N = 400


@dataclass(frozen=True)
class Judged:
    """One incident, and what came of looking for its cause."""

    kind: str
    rate: float
    has_cause: bool
    result: Result
    false_implicated: int
    false_ruled_out: int
    trials: int
    factorial: int
    """Trials of the full factorial."""


def judge(world: World, run: Run, reading: Reading) -> Judged:
    """Compare a verdict with the truth."""
    decided = [*reading.singles, *reading.together]
    false_implicated = sum(_is_falsely_implicated(world, decision) for decision in decided)
    false_ruled_out = sum(_is_falsely_ruled_out(world, decision) for decision in decided)
    result: Result = "right" if _names_the_guilty(world, reading) else "open"
    return Judged(
        kind=world.kind,
        rate=world.fault.rate,
        has_cause=bool(world.fault.guilty),
        result="wrong" if false_implicated or false_ruled_out else result,
        false_implicated=false_implicated,
        false_ruled_out=false_ruled_out,
        trials=run.finished_trials,
        factorial=world.combinations * trials_a_cell(world.fault.rate, len(world.singles)),
    )


def _names_the_guilty(world: World, reading: Reading) -> bool:
    """Tell whether all that is guilty is named: of two causes that are each enough, the pair."""
    guilty = world.fault.guilty
    if not guilty:
        # Open and cleared are right; that nothing is implicated is counted apart.
        return True
    decisions = reading.together if world.fault.takes_a_pair else reading.singles
    implicated = [set(_axes(decision)) for decision in decisions if decision.decision == "implicated"]
    if world.fault.takes_a_pair:
        return guilty in implicated
    return guilty == set().union(*implicated)


def _is_falsely_implicated(world: World, decision: AxisDecision) -> bool:
    return decision.decision == "implicated" and _rate(world, decision) >= _rate(world)


def _is_falsely_ruled_out(world: World, decision: AxisDecision) -> bool:
    # Ruled out says that the change does not take away half of the failures.
    return decision.decision == "ruled_out" and _rate(world, decision) <= _rate(world) / 2


def _rate(world: World, decision: AxisDecision | None = None) -> float:
    # Before anything went away by itself.
    axes = frozenset(_axes(decision)) if decision else frozenset()
    return world.fault.chance(axes, 0)


def _axes(decision: AxisDecision) -> Iterator[str]:
    yield from decision.axis.split(" + ")


@lru_cache(maxsize=4096)
def trials_a_cell(rate: float, comparisons: int) -> int:
    """Give n of the fixed-size exact test that finds a change which clears this rate as often as is asked here.

    One-sided, at the level of the experiment's family shared out over as many comparisons; nothing is ruled out by it.
    """
    power = FOUND_FREQUENT if rate >= FREQUENT else FOUND_RARE
    for n in range(2, _LARGEST_N):
        failed = np.arange(n + 1)
        is_found = np.array([fisher_one_sided(int(k), n, 0, n) <= LEVEL / comparisons for k in failed])
        if float(binom.pmf(failed, n, rate)[is_found].sum()) >= power:
            return n
    return _LARGEST_N
