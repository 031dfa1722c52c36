from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.over_time import SERIES, SPANS, rates_over_time, spark, window_words
from analyze.queries import Queries

BEGIN = datetime(2026, 2, 12, 8, 0)  # noqa: DTZ001 - as the views hold times


def sessions(outcomes: str, *, apart_s: float = 60.0, label: str | None = None) -> list[dict[str, Any]]:
    """Write F for failed, o for ok, i for incomplete."""
    names = {"F": "failed", "o": "ok", "i": "incomplete"}
    more = {} if label is None else {"label": label}
    return [
        {"started_at": BEGIN + timedelta(seconds=apart_s * at), "outcome": names[outcome], **more}
        for at, outcome in enumerate(outcomes)
    ]


def test_an_outage_has_an_onset_and_a_clearing() -> None:
    (rate,) = rates_over_time(sessions("o" * 40 + "FFFoFFFFFoFF" + "o" * 40))
    window = rate.window
    assert window is not None
    assert window.onset_at == (BEGIN + timedelta(minutes=40)).replace(tzinfo=UTC)
    assert window.last_ok_at == (BEGIN + timedelta(minutes=39)).replace(tzinfo=UTC)
    assert window.clear_at == (BEGIN + timedelta(minutes=52)).replace(tzinfo=UTC)
    assert (window.failed, window.trials, window.failed_outside, window.trials_outside) == (10, 12, 0, 80)
    assert window_words(rate).endswith("10/12 failed, 0/80 outside")


def test_an_outage_that_goes_on_has_no_clearing() -> None:
    (rate,) = rates_over_time(sessions("o" * 40 + "F" * 15))
    assert rate.window is not None
    assert rate.window.clear_at is None
    assert "not cleared since" in window_words(rate)


@pytest.mark.parametrize("outcomes", ["o" * 60, "F" * 60, "FoooFoooFooo" * 6, "ooFooF", "F", "iiii", "oF" * 30])
def test_failures_all_along_have_no_window(outcomes: str) -> None:
    (rate,) = rates_over_time(sessions(outcomes))
    assert rate.window is None
    assert window_words(rate) == ""


def test_chance_alone_rarely_makes_a_window() -> None:
    random = Random(7)
    drawn = ["".join("F" if random.random() < 0.2 else "o" for _ in range(150)) for _ in range(200)]
    found = sum(rates_over_time(sessions(outcomes))[0].window is not None for outcomes in drawn)
    # The limit lets one in a hundred pass.
    assert found <= 6


def test_a_window_of_one_value_is_found_beside_healthy_ones() -> None:
    rows = sessions("o" * 30 + "F" * 10 + "o" * 20, label="east") + sessions("o" * 60, label="west")
    everyone, east, west = rates_over_time(rows)
    assert [everyone.name, east.name, west.name] == ["all", "east", "west"]
    assert everyone.window is not None
    assert east.window is not None
    assert west.window is None
    assert spark(west.spans) == "▁" * 30
    assert spark(east.spans) == "▁" * 15 + "▇" * 5 + "▁" * 10


def test_a_single_failure_among_many_sessions_shows_in_its_bar() -> None:
    (rate,) = rates_over_time(sessions("o" * 39 + "F", apart_s=0.0))
    assert (rate.failed, rate.trials, spark(rate.spans)) == (1, 40, "▂")


def test_an_outage_of_all_stands_out_however_many_values_are_shown() -> None:
    rows = [row for n in range(SERIES) for row in sessions("o" * 20 + "F" * 20 + "o" * 20, label=f"t{n:02d}")]
    rates = rates_over_time(rows)
    assert len(rates) == SERIES + 1
    assert [rate.window and (rate.window.failed, rate.window.trials) for rate in rates] == [(240, 240)] + [
        (20, 20)
    ] * SERIES


def test_an_outage_of_one_value_stands_out_among_many() -> None:
    healthy = [row for n in range(1, SERIES) for row in sessions("o" * 30 + "F" + "o" * 29, label=f"t{n:02d}")]
    _, ill, *others = rates_over_time(sessions("o" * 30 + "F" * 10 + "o" * 20, label="t00") + healthy)
    assert ill.window is not None
    assert [rate.window for rate in others] == [None] * (SERIES - 1)


def test_the_values_that_fail_most_are_shown() -> None:
    rows = [row for n in range(20) for row in sessions("F" * n + "o" * (20 - n), label=f"r{n:02d}")]
    names = [rate.name for rate in rates_over_time(rows)]
    assert len(names) == SERIES + 1
    assert names[:3] == ["all", "r19", "r18"]


@given(
    st.lists(
        st.tuples(
            st.none() | st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - as above
            st.sampled_from(["failed", "ok", "incomplete", "throttled", None]),
        ),
        max_size=30,
    )
)
def test_every_session_with_a_time_stands_in_one_span(rows: list[tuple[datetime | None, str | None]]) -> None:
    rates = rates_over_time([{"started_at": at, "outcome": outcome} for at, outcome in rows])
    timed = [outcome for at, outcome in rows if at is not None]
    assert bool(rates) == bool(timed)
    for rate in rates:
        assert len(rate.spans) <= SPANS
        assert sum(span.trials + span.not_counted for span in rate.spans) == len(timed)
        assert sum(span.failed for span in rate.spans) == rate.failed == timed.count("failed")


def test_they_are_asked_of_a_root(failed_session: str, ok_session: str, queries: Queries) -> None:
    everyone, *by_region = queries.failures_over_time("region")
    assert (everyone.failed, everyone.trials) == (1, 2)
    assert {rate.name for rate in by_region} == {"eastus2", "swedencentral"}
    assert [rate.trials for rate in queries.failures_over_time(filter="region:eastus2")] == [1]
