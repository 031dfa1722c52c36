"""k failures in n trials: intervals, exact tests, and how many trials a decision takes.

scipy costs more than a second to import, so only the functions that need it do.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb, sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
_TRIALS_AT_MOST = 200


def wilson(k: int, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % interval for the rate behind k of n, two-sided; (0, 1) without trials."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    rate, scale = k / n, 1 + z * z / n
    middle = (rate + z * z / (2 * n)) / scale
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / scale
    low = 0.0 if k == 0 else max(0.0, middle - half)
    high = 1.0 if k == n else min(1.0, middle + half)
    return low, high


@lru_cache(maxsize=4096)
def fisher_one_sided(k1: int, n1: int, k2: int, n2: int) -> float:
    """Give the chance of k1/n1 against k2/n2, or a wider gap, if both had one rate (Fisher, exact)."""
    from scipy.stats import hypergeom

    return min(1.0, float(hypergeom.sf(k1 - 1, n1 + n2, k1 + k2, n1)))


def sign_test(helped: int, harmed: int) -> float:
    """Give the chance that so many, or more, of the pairs that differ are helped, if a coin decided each (exact)."""
    pairs = helped + harmed
    return float(sum(comb(pairs, number) for number in range(helped, pairs + 1)) / 2**pairs)


def exact_upper_bound(k: int, n: int) -> float:
    """Give the highest rate that k of n do not exclude (Clopper-Pearson, 95 % one-sided); 1 without trials."""
    if k >= n:
        return 1.0
    if k == 0:
        return float(1 - (1 - CONFIDENCE) ** (1 / n))
    from scipy.stats import beta

    return float(beta.ppf(CONFIDENCE, k + 1, n - k))


@lru_cache(maxsize=4096)
def halving_excluded(k1: int, n1: int, k2: int, n2: int) -> float:
    """Give the chance of k2/n2, or more beside k1/n1, if the second rate were half of the first.

    Exact: both counts are binomial, tables are ordered by k2/n2 - (k1/n1)/2, and the chance is the worst
    over the unknown first rate. A small value excludes that the change halved the failures.
    """
    import numpy as np
    from scipy.stats import binom

    first, second = np.arange(n1 + 1), np.arange(n2 + 1)
    excess = second[None, :] / n2 - first[:, None] / (2 * n1)
    at_least = excess >= k2 / n2 - k1 / (2 * n1) - 1e-12
    rates = np.linspace(0.0, 1.0, 401)[:, None]
    chance_first = binom.pmf(first[None, :], n1, rates)
    chance_second = binom.pmf(second[None, :], n2, rates / 2)
    chances = np.einsum("ri,ij,rj->r", chance_first, at_least.astype(float), chance_second, optimize=True)
    return min(1.0, float(chances.max()))


def decides(k1: int, n1: int, k2: int, n2: int, level: float) -> bool:
    """Tell whether k1/n1 against k2/n2 settles at `level` that the change matters, or that it does not."""
    if not n1 or not n2:
        return False
    return fisher_one_sided(k1, n1, k2, n2) <= level or halving_excluded(k1, n1, k2, n2) <= level


def trials_to_decide(rate1: float, rate2: float, n: int, level: float) -> int | None:
    """Give the trials a cell at which these two rates, if they stayed, would be decided.

    Searches upwards from n + 1; None: not within 200.
    """
    for trials in range(n + 1, _TRIALS_AT_MOST + 1):
        if decides(round(rate1 * trials), trials, round(rate2 * trials), trials, level):
            return trials
    return None
