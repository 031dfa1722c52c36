from __future__ import annotations

from analyze.amounts import milliseconds, seconds


def test_numbers_have_thousands_separators_and_nothing_where_there_is_no_value() -> None:
    assert [milliseconds(2310.4), milliseconds(1234.6), milliseconds(None)] == ["2,310", "1,235", ""]
    assert [seconds(9812.0), seconds(9840.0), seconds(None)] == ["9.8", "9.8", ""]
