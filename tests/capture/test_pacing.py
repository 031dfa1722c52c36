"""Deviation from due times."""

from __future__ import annotations

import pytest

from capture.pacing import Pacing, Punctuality


def test_nothing_due_gives_nothing() -> None:
    assert Pacing().summary() == Punctuality(None, None, None)


def test_late_and_early_count_alike_and_the_worst_shows_in_the_p99() -> None:
    pacing = Pacing()
    for number in range(100):
        pacing.note(number * 20_000_000, number * 20_000_000 + (500_000 if number % 2 else -500_000))
    pacing.note(0, 9_000_000)
    summary = pacing.summary()
    assert summary.p50_us == 500
    assert summary.p99_us == 500
    pacing.note(0, 9_000_000)
    assert pacing.summary().p99_us == 9000


def test_sleeping_between_sends_shows_as_drift_and_absolute_deadlines_do_not() -> None:
    sleeping, absolute = Pacing(), Pacing()
    for number in range(1000):
        sleeping.note(number * 20_000_000, number * 20_250_000)
        absolute.note(number * 20_000_000, number * 20_000_000 + 250_000)
    assert sleeping.summary().drift_us == pytest.approx(975 * 250, rel=0.01)
    assert absolute.summary().drift_us == 0
