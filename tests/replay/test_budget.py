"""The caps on sessions and minutes of audio."""

from __future__ import annotations

import pytest

from capture.errors import UsageProblem
from replay.budget import Budget, Caps, spent_by
from replay.estimate import Cost
from replay.runs import Run, RunCell, Trial

MINUTE_MS = 60_000.0


def test_what_would_go_beyond_a_cap_is_refused_by_its_name() -> None:
    cost = Cost(sessions=10, sent_ms=2 * MINUTE_MS)
    Budget(Caps(10, 2)).check(cost)
    with pytest.raises(UsageProblem, match=r"beyond --max-sessions 9: 10 sessions, 2 minutes of audio.*--trials"):
        Budget(Caps(9)).check(cost)
    with pytest.raises(UsageProblem, match=r"beyond --max-minutes 1\.5: "):
        Budget(Caps(max_minutes=1.5)).check(cost)


def test_a_run_that_goes_on_has_spent_what_its_attempts_were() -> None:
    trials = [
        Trial(trial=1, block=1, session_id="a", outcome="ok", sent_ms=MINUTE_MS, throttled=["b", "c"]),
        Trial(trial=2, block=2, session_id="d", outcome="failed", sent_ms=MINUTE_MS),
    ]
    cell = RunCell(cell="c", session_id="s", target="t", trials=trials)
    run = Run(run_id="r", started_at="", recordings=[], axes=[], cells=[cell], trials=5)  # type: ignore[arg-type]
    budget = spent_by(run, Caps(5, 3))
    assert (budget.sessions, budget.sent_ms) == (4, 2 * MINUTE_MS)
    with pytest.raises(UsageProblem, match=r"after 4 sessions with 2\.00 minutes"):
        budget.check(Cost(sessions=2))
    assert budget.would_exceed([MINUTE_MS]) == ""
    assert budget.would_exceed([MINUTE_MS + 1]) == "--max-minutes 3"
    assert budget.would_exceed([1, 1]) == "--max-sessions 5"


def test_trials_that_are_made_again_were_paid_for_too() -> None:
    trials = [
        Trial(trial=1, block=1, session_id="a", outcome="throttled", sent_ms=MINUTE_MS, throttled=["b"]),
        Trial(trial=2, block=2, session_id="c", outcome="not_run"),
    ]
    cell = RunCell(cell="c", session_id="s", target="t", remade=trials)
    run = Run(run_id="r", started_at="", recordings=[], axes=[], cells=[cell], trials=5)  # type: ignore[arg-type]
    budget = spent_by(run)
    assert (budget.sessions, budget.sent_ms) == (3, MINUTE_MS)


def test_silence_that_was_added_is_counted_and_what_was_not_sent_is_not() -> None:
    budget = Budget(Caps(max_minutes=1))
    budget.take(30_000)
    budget.correct(30_000, 40_000)
    assert budget.would_exceed([20_001]) == "--max-minutes 1"
    budget.take(20_000)
    budget.correct(20_000, 0)
    assert budget.would_exceed([20_000]) == ""
