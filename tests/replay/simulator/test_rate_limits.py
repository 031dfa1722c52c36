from replay.simulator.clock import NS_PER_S
from replay.simulator.rate_limits import TokenBudget


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
    assert budget.wait_s(0) == 5.1
    assert budget.is_spent(5 * NS_PER_S)
    assert not budget.is_spent(round(5.1 * NS_PER_S))
    assert budget.wait_s(60 * NS_PER_S) == 0
