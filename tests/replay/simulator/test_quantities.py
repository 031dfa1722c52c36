"""Bounds of numbers: what stands on one and what lies just beyond."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from replay.simulator.quantities import Count, NotNegative, Ordinal, Plural, Positive, Share


@pytest.mark.parametrize(
    ("quantity", "within", "beyond"),
    [
        (Count, (0, 7), (-1, 0.5)),
        (Ordinal, (1, 7), (0, -1)),
        (Plural, (2, 7), (1,)),
        (NotNegative, (0, 0.1, 7), (-0.1,)),
        (Positive, (0.1, 7), (0, -0.1)),
        (Share, (0, 0.5, 1), (-0.1, 1.1)),
    ],
)
def test_what_lies_beyond_is_refused(quantity: Any, within: tuple[float, ...], beyond: tuple[float, ...]) -> None:
    assert [msgspec.convert(number, quantity) for number in within] == list(within)
    for number in beyond:
        with pytest.raises(msgspec.ValidationError, match="Expected"):
            msgspec.convert(number, quantity)
