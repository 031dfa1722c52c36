"""Decide what the blocks of one arm say: it takes part in the failure, it does not, or that is open; pure.

An arm is compared with the baseline trials of its own blocks only, and only at the looks, each at its share of the
level: tested after every block without that, it would be decided wrongly far more often. What helps is told by the
blocks in which one of the two fails: their order is random, so that no pattern in time (every second session fails, as
behind a balancer with one bad backend of two) makes the same one fail each time, and a block is a fair coin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from replay.runs import TrialOutcome
from replay.statistics import halving_excluded, sign_test

Changes = tuple[tuple[str, str], ...]
"""What an arm changes against the recording: (axis, value), in the order of the axes; () is the baseline."""
Phase = Literal["opening", "blocks", "control"]
State = Literal["implicated", "ruled_out", "open"]

BASELINE: Changes = ()
LOOKS = (12, 24, 48, 96, 192)
"""Trials a cell at which it may be decided, from the first at which a certain failure is."""
LEVEL = 0.05
"""Chance of any wrong decision among the arms of a stage, shared out over arms and looks."""
NOT_COUNTED_AT_MOST = 1 / 5
_NONE_COUNTS, _PATIENCE = 6, 12
"""Trials of a cell after which it is closed, if none counts, and if too many do not."""


@dataclass(frozen=True, slots=True)
class Result:
    """One trial that is over."""

    changes: Changes
    block: int
    """0 in the opening."""
    phase: Phase
    outcome: TrialOutcome

    @property
    def counts(self) -> bool:
        """Whether it is in n."""
        return self.outcome in ("failed", "ok")


@dataclass(frozen=True, slots=True)
class ArmDecision:
    """What the blocks of one arm say."""

    changes: Changes
    state: State
    is_running: bool
    """Whether more blocks may decide it."""
    baseline_failed: int
    failed: int
    trials: int
    """Blocks in which both trials count; k1/n and k2/n of the tests."""
    p_implicated: float | None
    p_ruled_out: float | None
    level: float
    reason: str = ""
    """Why it decides nothing although trials were made."""

    @property
    def clears(self) -> bool:
        """Whether the change takes away at least half of the failures; less leaves another cause behind."""
        return self.state == "implicated" and 2 * self.failed <= self.baseline_failed


def decide_arm(
    changes: Changes, made: Mapping[int, Result], baseline: Mapping[int, Result], level: float
) -> ArmDecision:
    """Decide an arm by its results and the baseline's, each by block; `level` is that of a look."""
    blocks = [b for b in sorted(made) if made[b].counts and b in baseline and baseline[b].counts]
    pairs = [(baseline[b].outcome == "failed", made[b].outcome == "failed") for b in blocks]
    too_many = _not_counted_share(made.values()) > NOT_COUNTED_AT_MOST
    for look in LOOKS:
        if len(pairs) < look or too_many:
            break
        decision = _look(changes, pairs[:look], level)
        if decision.state != "open":
            return decision
    running = not is_useless(made.values()) and len(pairs) < LOOKS[-1]
    return _look(changes, pairs, level, is_running=running, reason=_why(made.values()) if too_many else "")


def _look(
    changes: Changes,
    pairs: Sequence[tuple[bool, bool]],
    level: float,
    *,
    is_running: bool | None = None,
    reason: str = "",
) -> ArmDecision:
    n = len(pairs)
    k1, k2 = sum(before for before, _ in pairs), sum(after for _, after in pairs)
    helped, harmed = pairs.count((True, False)), pairs.count((False, True))
    implicated = sign_test(helped, harmed) if n else None
    ruled_out = halving_excluded(k1, n, k2, n) if n else None
    state: State = "open"
    if is_running is None and implicated is not None and implicated <= level:
        state = "implicated"
    elif is_running is None and ruled_out is not None and ruled_out <= level:
        state = "ruled_out"
    return ArmDecision(changes, state, bool(is_running), k1, k2, n, implicated, ruled_out, level, reason)


def _not_counted_share(results: Iterable[Result]) -> float:
    made = list(results)
    return sum(not result.counts for result in made) / len(made) if made else 0.0


def is_useless(results: Iterable[Result]) -> bool:
    """Tell whether so many trials do not count that more of them are a waste."""
    made = list(results)
    counted = sum(result.counts for result in made)
    if not counted and len(made) >= _NONE_COUNTS:
        return True
    return len(made) >= _PATIENCE and _not_counted_share(made) > NOT_COUNTED_AT_MOST


def _why(results: Iterable[Result]) -> str:
    made = list(results)
    names = {"throttled": "throttled", "not_run": "not run", "failed_otherwise": "failed in another way"}
    counts = {name: sum(result.outcome == outcome for result in made) for outcome, name in names.items()}
    listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{sum(counts.values())} of {len(made)} trials do not count ({listed})"
