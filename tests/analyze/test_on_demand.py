from __future__ import annotations

from collections.abc import Sequence

import pytest

from analyze.on_demand import OnDemand, rows_at


class Squares(OnDemand[int]):
    """Squares of the numbers below a hundred thousand; remembers which were built."""

    def __init__(self) -> None:
        super().__init__()
        self.built: list[int] = []

    def __len__(self) -> int:
        return 100_000

    def _build(self, places: Sequence[int]) -> list[int]:
        self.built += places
        return [place * place for place in places]


def test_only_what_is_looked_at_is_built_and_once() -> None:
    squares = Squares()
    assert (squares[3], squares[-1]) == (9, 99_999**2)
    assert len(squares.built) < 1_000
    built = len(squares.built)
    assert squares[4] == 16
    assert len(squares.built) == built


def test_some_of_them_are_built_without_those_between() -> None:
    squares = Squares()
    assert squares[::50_000] == rows_at(squares, [0, 50_000]) == [0, 50_000**2]
    assert squares.built == [0, 50_000] * 2
    assert rows_at([5, 6, 7], [0, 2]) == [5, 7]


def test_all_of_them_in_order() -> None:
    assert list(Squares()) == [number * number for number in range(100_000)]
    with pytest.raises(IndexError):
        Squares()[100_000]


def test_what_is_looked_at_all_over_does_not_pile_up() -> None:
    squares = Squares()
    assert [squares[at] for at in range(0, 100_000, 100)] == [at * at for at in range(0, 100_000, 100)]
    assert len(squares._built) <= 64
