"""Bounds of numbers: what stands on one and what lies just beyond."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from replay.simulator.quantities import Count, Decibels, NotNegative, Ordinal, Plural, Positive, Share, check_close


@pytest.mark.parametrize(
    ("quantity", "within", "beyond"),
    [
        (Count, (0, 7), (-1, 0.5)),
        (Ordinal, (1, 7), (0, -1)),
        (Plural, (2, 7), (1,)),
        (NotNegative, (0, 0.1, 7), (-0.1, math.inf)),
        (Positive, (0.1, 7), (0, -0.1, 1e300)),
        (Decibels, (-200, 0, 12.5), (-201, math.inf)),
        (Share, (0, 0.5, 1), (-0.1, 1.1)),
    ],
)
def test_what_lies_beyond_is_refused(quantity: Any, within: tuple[float, ...], beyond: tuple[float, ...]) -> None:
    assert [msgspec.convert(number, quantity) for number in within] == list(within)
    for number in beyond:
        with pytest.raises(msgspec.ValidationError, match="Expected"):
            msgspec.convert(number, quantity)


@pytest.mark.parametrize(
    ("code", "reason", "problem"),
    [
        (999, "", "999 is no close code"),
        (1005, "", "1005 is no close code"),
        (5000, "", "5000 is no close code"),
        (1000, "ü" * 62, "more than the 123 bytes"),
    ],
)
def test_a_close_that_no_frame_can_hold_is_refused(code: int, reason: str, problem: str) -> None:
    check_close(1000, "x" * 123)
    with pytest.raises(ValueError, match=problem):
        check_close(code, reason)
