"""What Wiretape is held to, as ratios inside one run; the median of the runs decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.traffic.trial import FLOOD, Trial

_Figure = Callable[["Run"], float | None]


class Run:
    """The trials of one run, by peer and sessions."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = list(trials)
        self._by_key = {(trial.peer, trial.sessions): trial for trial in trials}

    def value(self, peer: str, sessions: int, name: str) -> float | None:
        """Look one figure up; None where it was not measured."""
        trial = self._by_key.get((peer, sessions))
        found: float | None = getattr(trial, name) if trial else None
        return found

    def added_us(self, peer: str, sessions: int, name: str = "p50_us") -> float | None:
        """Tell what a relay adds to the way without one."""
        direct = "direct wss" if peer.endswith(" wss") else "direct"
        through, without = self.value(peer, sessions, name), self.value(direct, sessions, name)
        return None if through is None or without is None else through - without


@dataclass(frozen=True)
class Target:
    """One promise."""

    name: str
    figure: _Figure
    """The ratio or quantity of a run; None where a part of it was not measured."""
    bound: float
    at_least: bool = False
    """The figure may not be smaller, where otherwise it may not be larger."""

    def judge(self, runs: Sequence[Run]) -> tuple[float | None, bool | None]:
        """Give the median figure and whether it is met; None and None where nothing was measured."""
        figures = [figure for run in runs if (figure := self.figure(run)) is not None]
        if not figures:
            return None, None
        middle = median(figures)
        return middle, middle >= self.bound if self.at_least else middle <= self.bound


def _ratio(upper: float | None, lower: float | None) -> float | None:
    if upper is None or lower is None:
        return None
    return upper / lower if lower > 0 else float("inf")


def _added(peer: str) -> _Figure:
    return lambda run: _ratio(run.added_us("wiretape", 50), run.added_us(peer, 50))


def _cost(peer: str) -> _Figure:
    return lambda run: _ratio(run.value("wiretape", 50, "cpu_us"), run.value(peer, 50, "cpu_us"))


def _own(name: str) -> _Figure:
    return lambda run: run.value("wiretape", 500, name)


def _bytes_differ(run: Run) -> float | None:
    """Count the trials in which a stream did not come as it went."""
    of_ours = (trial.same for trial in run.trials if trial.peer.startswith("wiretape"))
    compared = [same for same in of_ours if same not in (None, "unfinished")]
    return sum(same != "bytes" for same in compared) if compared else None


TARGETS = (
    Target("p50 added, 50 sessions: at most 1.6 x HAProxy's", _added("haproxy"), 1.6),
    Target("p50 added, 50 sessions: at most 1/8 of mitmdump's", _added("mitmdump"), 1 / 8),
    Target("CPU a message, 50 sessions: at most 1/12 of mitmdump's", _cost("mitmdump"), 1 / 12),
    Target("CPU a message, 50 sessions: at most 1/2 of websockets on uvloop", _cost("websockets-uvloop"), 1 / 2),
    Target(
        "flood: at least 100 x mitmdump's",
        lambda run: _ratio(run.value("wiretape", FLOOD, "flood_per_s"), run.value("mitmdump", FLOOD, "flood_per_s")),
        100,
        at_least=True,
    ),
    Target("500 sessions: no message lost", _own("missing"), 0),
    Target("500 sessions: none over 20 ms late", _own("late"), 0),
    Target(
        "500 sessions: p99 at most 1.3 x HAProxy's",
        lambda run: _ratio(run.value("wiretape", 500, "p99_us"), run.value("haproxy", 500, "p99_us")),
        1.3,
    ),
    Target("500 sessions: at most 45 % of a core", _own("core_percent"), 45),
    Target("500 sessions: at most 45 MB", _own("memory_mb"), 45),
    Target("streams forwarded byte for byte: none differs", _bytes_differ, 0),
    Target(
        "ws -> wss, CPU a message, 50 sessions: at most 2.5 x HAProxy's",
        lambda run: _ratio(run.value("wiretape wss", 50, "cpu_us"), run.value("haproxy wss", 50, "cpu_us")),
        2.5,
    ),
)
