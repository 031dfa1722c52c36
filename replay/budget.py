"""Keep replays within the caps that their user set: sessions, and minutes of audio sent; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from capture.errors import UsageProblem
from replay.estimate import Cost
from replay.runs import Run


@dataclass(frozen=True, slots=True)
class Caps:
    """What is allowed; None is without a limit."""

    max_sessions: int | None = None
    max_minutes: float | None = None

    def exceeded_by(self, sessions: int, sent_ms: float) -> str:
        """Name the option that so much goes beyond; empty where it does not."""
        if self.max_sessions is not None and sessions > self.max_sessions:
            return f"--max-sessions {self.max_sessions}"
        # What was added up in another order may differ in its last digit.
        if self.max_minutes is not None and sent_ms / 60_000 > self.max_minutes + 1e-9:
            return f"--max-minutes {self.max_minutes:g}"
        return ""


class Budget:
    """What a run has spent, and whether it may spend more."""

    def __init__(self, caps: Caps | None = None, *, sessions: int = 0, sent_ms: float = 0.0) -> None:
        self.caps = caps or Caps()
        self.sessions = sessions
        self.sent_ms = sent_ms

    def would_exceed(self, sent_ms: Iterable[float]) -> str:
        """Name the option that these sessions would go beyond; empty where there is room."""
        lengths = list(sent_ms)
        return self.caps.exceeded_by(self.sessions + len(lengths), self.sent_ms + sum(lengths))

    def check(self, cost: Cost) -> None:
        """Refuse what would go beyond, before anything is sent; raises `UsageProblem`."""
        cap = self.caps.exceeded_by(self.sessions + cost.sessions, self.sent_ms + cost.sent_ms)
        if cap:
            before = f", after {self.sessions} sessions with {self.sent_ms / 60_000:.2f} minutes" * bool(self.sessions)
            raise UsageProblem(
                f"this would go beyond {cap}: {cost.in_words}{before}; allow more, or take fewer cells, fewer --trials,"
                " or a shorter replay (--until, --skip-idle)"
            )

    def take(self, sent_ms: float) -> None:
        """Count a session that is about to begin, by what it is planned to send."""
        self.sessions += 1
        self.sent_ms += sent_ms

    def correct(self, planned_ms: float, sent_ms: float) -> None:
        """Count what a session sent in the place of what it was planned to: silence may have been added."""
        self.sent_ms += sent_ms - planned_ms


def spent_by(run: Run, caps: Caps | None = None) -> Budget:
    """Give the budget of a run that has made trials already."""
    trials = [*run.all_trials, *(trial for cell in run.cells for trial in cell.remade)]
    sessions = sum(1 + len(trial.throttled) for trial in trials) + len(run.cut_short_ms)
    return Budget(caps, sessions=sessions, sent_ms=sum(trial.sent_ms for trial in trials) + sum(run.cut_short_ms))
