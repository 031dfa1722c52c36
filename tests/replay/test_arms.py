"""One arm against the baseline of its own blocks: when it is decided, and when it cannot be."""

from __future__ import annotations

import pytest

from replay.arms import BASELINE, ArmDecision, Changes, Result, decide_arm, is_useless
from replay.runs import TrialOutcome

ARM: Changes = (("target", "other"),)
OUTCOMES: dict[str, TrialOutcome] = {
    "F": "failed",
    ".": "ok",
    "t": "throttled",
    "x": "failed_otherwise",
    "-": "not_run",
}
LEVEL = 0.05 / 36


def results(changes: Changes, letters: str) -> dict[int, Result]:
    return {
        block: Result(changes, block, "blocks", OUTCOMES[letter])
        for block, letter in enumerate(letters, start=1)
        if letter != " "
    }


def decide(arm: str, baseline: str, level: float = LEVEL) -> ArmDecision:
    return decide_arm(ARM, results(ARM, arm), results(BASELINE, baseline), level)


@pytest.mark.parametrize(
    ("arm", "baseline", "state"),
    [
        ("." * 11, "F" * 11, "open"),
        ("." * 12, "F" * 12, "implicated"),
        ("F" * 11, "F" * 11, "open"),
        ("F" * 12, "F" * 12, "ruled_out"),
        ("." * 24, "." * 24, "open"),
    ],
)
def test_it_is_decided_at_the_looks(arm: str, baseline: str, state: str) -> None:
    assert decide(arm, baseline).state == state


def test_every_second_session_that_fails_makes_no_change_help() -> None:
    # Behind a balancer with one bad backend of two, one trial of each block fails: which one, their order says.
    unlucky = decide("FF.........." * 2, "..FFFFFFFFFF" * 2)
    assert (unlucky.failed, unlucky.baseline_failed) == (4, 20)
    assert unlucky.p_implicated == pytest.approx(0.000772, rel=1e-3)
    assert decide("FF..........", "..FFFFFFFFFF").state == "open"


def test_between_two_looks_nothing_is_decided() -> None:
    # Thirteen certain blocks would pass the level, and are no look.
    assert decide("FF" + "." * 12, "..F" + "F" * 11).state == "open"
    assert decide("FF" + "." * 22, "..F" + "F" * 21).state == "implicated"


def test_a_decision_stands_whatever_comes_after() -> None:
    found = decide("." * 12 + "F" * 12, "F" * 24)
    assert (found.state, found.trials, found.failed) == ("implicated", 12, 0)


def test_only_the_baseline_trials_of_its_own_blocks_are_compared() -> None:
    found = decide(" " * 12 + "." * 12, "." * 12 + "F" * 12)
    assert (found.state, found.baseline_failed, found.trials) == ("implicated", 12, 12)


def test_a_block_without_a_trial_that_counts_on_either_side_is_no_pair() -> None:
    found = decide("." * 6, "t" + "F" * 5)
    assert (found.state, found.trials, found.is_running) == ("open", 5, True)


def test_more_than_one_in_five_that_do_not_count_leave_it_open_and_say_why() -> None:
    found = decide("......tt", "F" * 8)
    assert (found.state, found.is_running) == ("open", True)
    assert found.reason == "2 of 8 trials do not count (2 throttled)"
    assert decide("............ttt", "F" * 15).state == "implicated"
    closed = decide(".........xx-", "F" * 12)
    assert (closed.is_running, closed.reason) == (
        False,
        "3 of 12 trials do not count (1 not run, 2 failed in another way)",
    )


def test_six_trials_of_which_none_counts_are_enough_of_it() -> None:
    assert is_useless(results(ARM, "------").values())
    assert not is_useless(results(ARM, "-----").values())
    assert not is_useless(results(ARM, "-----.").values())


def test_the_last_look_ends_it() -> None:
    rates = "FFF......." * 20
    assert not decide(rates[:192], rates[:192], level=1e-9).is_running


def test_it_clears_where_at_least_half_of_the_failures_go_away() -> None:
    assert decide("F" * 3 + "." * 21, "F" * 24).clears
    weakened = decide("FF." * 16, "F" * 48)
    assert (weakened.state, weakened.clears) == ("implicated", False)
