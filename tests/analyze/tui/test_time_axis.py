from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.tui.time_axis import LEAST_SPAN_MS, TimeAxis

durations = st.floats(1, 1e7)
shares = st.floats(0, 1)


@given(durations, st.lists(st.tuples(st.floats(0.25, 4), shares), max_size=12), st.integers(1, 300))
def test_what_is_in_sight_is_part_of_the_session_and_never_too_short(
    duration_ms: float, steps: list[tuple[float, float]], cells: int
) -> None:
    axis = TimeAxis.whole(duration_ms)
    for factor, share in steps:
        axis = axis.zoomed(factor, share * duration_ms).showing(share * duration_ms)
        assert axis.from_ms >= 0
        assert axis.to_ms == pytest.approx(min(axis.to_ms, duration_ms))
        assert axis.span_ms >= min(LEAST_SPAN_MS, duration_ms) * 0.999
        # What is followed is in sight.
        assert 0 <= axis.cell_of(share * duration_ms, cells) <= cells


def test_zooming_keeps_the_moment_where_it_is() -> None:
    axis = TimeAxis.whole(10_000.0).zoomed(2, 2_000.0)
    assert (axis.from_ms, axis.to_ms) == (1_000.0, 6_000.0)
    assert axis.cell_of(2_000.0, 100) == TimeAxis.whole(10_000.0).cell_of(2_000.0, 100) == 20
    assert axis.zoomed(0.5, 2_000.0).is_whole


def test_a_moment_out_of_sight_has_no_cell() -> None:
    axis = TimeAxis(10_000.0, 1_000.0, 6_000.0)
    assert axis.cell_of(900.0, 100) < 0
    assert axis.cell_of(6_000.0, 100) == 99
    assert axis.cell_of(6_001.0, 100) >= 100
    assert axis.showing(6_001.0).cell_of(6_001.0, 100) == 90


def test_a_session_without_a_length() -> None:
    axis = TimeAxis.whole(0.0).zoomed(2, 0.0).showing(5.0)
    assert axis.cell_of(0.0, 10) == 0
    assert axis.is_whole
