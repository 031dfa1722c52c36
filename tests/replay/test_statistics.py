"""Intervals and exact tests, against scipy, against enumeration, and against what the rules promise."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, fisher_exact

from replay.statistics import (
    decides,
    exact_upper_bound,
    fisher_one_sided,
    halving_excluded,
    sign_test,
    trials_to_decide,
    wilson,
)

counts = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_wilson_is_what_scipy_says(count: tuple[int, int]) -> None:
    k, n = count
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_trials_any_rate_is_possible() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert exact_upper_bound(0, 0) == 1.0


@given(counts, counts)
def test_fisher_is_what_scipy_says(first: tuple[int, int], second: tuple[int, int]) -> None:
    (k1, n1), (k2, n2) = first, second
    expected = fisher_exact(np.array([[k1, n1 - k1], [k2, n2 - k2]]), alternative="greater").pvalue
    assert fisher_one_sided(k1, n1, k2, n2) == pytest.approx(float(expected), abs=1e-9)


def test_five_of_five_against_none_of_five_is_one_table_in_252() -> None:
    assert fisher_one_sided(5, 5, 0, 5) == pytest.approx(1 / 252)


@given(counts)
def test_the_upper_bound_is_the_rate_at_which_so_few_failures_have_five_percent(count: tuple[int, int]) -> None:
    k, n = count
    bound = exact_upper_bound(k, n)
    if k < n:
        assert float(binom.cdf(k, n, bound)) == pytest.approx(0.05, abs=1e-9)
    else:
        assert bound == 1.0


def worst_case(k1: int, n1: int, k2: int, n2: int) -> float:
    seen = k2 / n2 - k1 / n1 / 2
    tables = [(a, b) for a, b in product(range(n1 + 1), range(n2 + 1)) if b / n2 - a / n1 / 2 >= seen - 1e-12]
    rates = [step / 50 for step in range(51)]
    return max(sum(float(binom.pmf(a, n1, r) * binom.pmf(b, n2, r / 2)) for a, b in tables) for r in rates)


@pytest.mark.parametrize("table", [(5, 5, 5, 5), (4, 5, 3, 5), (3, 4, 0, 3), (0, 3, 0, 3)])
def test_excluding_that_the_rate_was_halved_is_the_worst_case_over_the_first_rate(
    table: tuple[int, int, int, int],
) -> None:
    assert halving_excluded(*table) == pytest.approx(worst_case(*table), abs=2e-3)
    assert halving_excluded(*table) >= worst_case(*table) - 1e-9


def test_a_certain_failure_is_ruled_out_at_twelve_trials_among_six_cells_and_six_looks() -> None:
    assert halving_excluded(12, 12, 12, 12) <= 0.05 / (6 * 6)


@given(st.integers(1, 30))
def test_no_failure_at_all_excludes_nothing(n: int) -> None:
    assert fisher_one_sided(0, n, 0, n) == pytest.approx(1.0)
    assert halving_excluded(0, n, 0, n) == pytest.approx(1.0)


def test_trials_to_decide_are_the_first_that_would() -> None:
    more = trials_to_decide(1.0, 1.0, 5, 0.025)
    assert more == 6
    assert decides(6, 6, 6, 6, 0.025)
    assert not decides(5, 5, 5, 5, 0.025)


def test_rates_just_between_are_not_decided_by_any_number_of_trials_one_would_pay_for() -> None:
    assert trials_to_decide(0.02, 0.01, 5, 0.025) is None


def test_nothing_is_decided_without_trials() -> None:
    assert not decides(0, 0, 5, 5, 0.5)


def test_of_pairs_that_differ_a_coin_decides_as_often_either_way() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(6, 0) == 1 / 64
    assert sign_test(12, 0) == 1 / 4096
    assert sign_test(1, 1) == 0.75
    assert sign_test(0, 5) == 1.0
