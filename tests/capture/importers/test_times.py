from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.importers.times import Moment, Offsets, find_time, read_time

AT_NS = 1_770_885_055_250_000_000  # 2026-02-12 08:30:55.25 UTC


@pytest.mark.parametrize(
    "value",
    [
        1770885055.25,
        1770885055250,
        1770885055250000,
        AT_NS,
        "1770885055.25",
        "1770885055250",
        "2026-02-12T08:30:55.250Z",
        "2026-02-12 08:30:55.25",
        "2026-02-12T09:30:55.250+01:00",
    ],
)
def test_all_spellings_of_one_time_are_the_same(value: object) -> None:
    assert read_time(value) == Moment(AT_NS, is_absolute=True)


def test_small_numbers_count_from_the_session_s_start() -> None:
    assert read_time(0.52) == Moment(520_000_000, is_absolute=False)
    assert read_time(520) == Moment(520_000_000, is_absolute=False)
    assert read_time("1.5") == Moment(1_500_000_000, is_absolute=False)


def test_a_unit_in_the_name_decides() -> None:
    assert find_time({"elapsed_s": 2}) == Moment(2_000_000_000, is_absolute=False)
    assert find_time({"t_us": 1500}) == Moment(1_500_000, is_absolute=False)
    assert find_time({"ts_ms": 1770885055250}) == Moment(AT_NS, is_absolute=True)


@pytest.mark.parametrize("value", [None, True, "soon", "", float("nan"), float("inf"), "1e999", [], 10**400])
def test_what_is_no_time_is_none(value: object) -> None:
    assert read_time(value) is None


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.booleans()))
def test_reading_never_raises(value: object) -> None:
    moment = read_time(value)
    assert moment is None or isinstance(moment.ns, int)


def test_a_clock_counts_from_the_earlier_of_start_and_first_message() -> None:
    clock = Offsets(Moment(AT_NS, is_absolute=True), started_ns=AT_NS - 5)
    assert clock.started_ns == AT_NS - 5
    assert clock.offset(Moment(AT_NS, is_absolute=True)) == (5, True)


def test_what_has_no_time_or_goes_back_gets_no_time_of_its_own() -> None:
    clock = Offsets(Moment(0, is_absolute=False))
    assert clock.offset(Moment(700, is_absolute=False)) == (700, True)
    assert clock.offset(None) == (700, False)
    assert clock.offset(Moment(600, is_absolute=False)) == (700, False)
    assert clock.offset(Moment(AT_NS, is_absolute=True)) == (700, False)
    assert clock.started_ns is None


def test_the_clock_of_a_machine_that_is_up_for_long_is_not_the_session_s() -> None:
    day_ns = 86_400_000_000_000
    assert Offsets(Moment(day_ns, is_absolute=False)).offset(Moment(day_ns + 3, is_absolute=False)) == (3, True)
