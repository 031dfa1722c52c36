from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.tui.pages import PAGE_ROWS, Pages


class Library:
    """Gives a row for each key, in no order; keeps what it was asked."""

    def __init__(self, gone: Sequence[str] = ()) -> None:
        self.gone = gone
        self.asked: list[Sequence[str]] = []

    def read(self, keys: Sequence[str]) -> list[str]:
        self.asked.append(keys)
        return [f"row {key}" for key in reversed(keys) if key not in self.gone]


def pages(count: int, library: Library) -> Pages[str]:
    return Pages([str(number) for number in range(count)], library.read, key=lambda row: row.removeprefix("row "))


def test_nothing_is_read_before_it_comes_into_sight() -> None:
    library = Library()
    rows = pages(100_000, library)
    assert (len(rows), rows.at(0), rows.is_loaded(0), library.asked) == (100_000, None, False, [])
    rows.load(50_050)
    assert (rows.at(50_000), rows.at(50_099), rows.is_loaded(50_100)) == ("row 50000", "row 50099", False)
    assert [len(keys) for keys in library.asked] == [PAGE_ROWS]


def test_pages_that_were_not_looked_at_for_long_are_forgotten() -> None:
    rows = pages(100_000, Library())
    for index in range(0, 100_000, PAGE_ROWS):
        rows.load(index)
        assert rows.at(0) is not None
    assert sum(rows.is_loaded(index) for index in range(0, 100_000, PAGE_ROWS)) == 40
    assert rows.is_loaded(99_999)


def test_a_row_that_is_gone_leaves_the_others_in_their_places() -> None:
    rows = pages(3, Library(gone=["1"]))
    rows.load(0)
    assert [rows.at(at) for at in range(3)] == ["row 0", None, "row 2"]
    with pytest.raises(IndexError):
        rows[1]


@given(count=st.integers(1, 350), at=st.integers(-350, 349), cut=st.slices(350))
def test_pages_are_a_sequence(count: int, at: int, cut: slice) -> None:
    rows, whole = pages(count, Library()), [f"row {number}" for number in range(count)]
    assert list(rows) == whole
    assert rows[cut] == whole[cut]
    if -count <= at < count:
        assert rows[at] == whole[at]
    else:
        with pytest.raises(IndexError):
            rows[at]
