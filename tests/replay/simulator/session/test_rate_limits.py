from replay.simulator.clock import NS_PER_S
from replay.simulator.session.rate_limits import TokenBudget


def test_what_is_used_comes_back_within_a_minute() -> None:
    budget = TokenBudget(600)
    budget.spend(150, 0)

    assert budget.show(0) == {"name": "tokens", "limit": 600, "remaining": 450, "reset_seconds": 15.0}
    assert budget.show(5 * NS_PER_S)["remaining"] == 500
    assert budget.show(60 * NS_PER_S)["remaining"] == 600


def test_it_is_spent_until_something_has_come_back() -> None:
    budget = TokenBudget(600)
    budget.spend(650, 0)

    assert budget.is_spent(0)
    assert budget.show(0)["remaining"] == 0
    assert budget.is_spent(5 * NS_PER_S)
    assert not budget.is_spent(round(5.1 * NS_PER_S))


def test_a_response_that_finds_nothing_left_is_told_how_long_to_wait_and_uses_nothing() -> None:
    budget = TokenBudget(600)
    budget.spend(650, 0)

    failed = budget.refuse(0)
    assert failed.code == "rate_limit_exceeded"
    assert failed.message.endswith("Limit 600. Please try again in 5.100s.")
    assert (failed.input_tokens, failed.output_tokens) == (0, 0)
