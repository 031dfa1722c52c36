from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from analyze.over_time import rates_over_time
from analyze.tui.lines import plain, width_of
from analyze.tui.rate_lines import length_words, rate_lines

BEGIN = datetime(2026, 2, 12, 8, 0)  # noqa: DTZ001 - as the views hold times


def outage(*, clears: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "started_at": BEGIN + timedelta(minutes=minute),
            "outcome": "failed" if minute >= 60 and (minute < 120 or not clears) and minute % 3 else "ok",
            "label": "east" if minute % 2 else "west",
        }
        for minute in range(240)
    ]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_bars_and_the_stretch_that_stands_out_share_one_axis(width: int) -> None:
    lines = [plain(line) for line in rate_lines(rates_over_time(outage()), width, "region")]
    assert "02-12 08:00:00 to 02-12 12:00:00 UTC, 10 min a bar" in lines[0]
    all_bars, mark, words = lines[1], lines[2], lines[3]
    assert all_bars.rstrip().endswith("40/240")
    assert mark.index("├") == 14 + 6
    assert set(all_bars[14:20]) == {"▁"} != set(all_bars[20:26])
    assert mark.rstrip().endswith("├────┤ onset to clearing")
    assert "from 02-12 09:01:00 (last ok 02-12 09:00:00) to 02-12 09:59:00, cleared by 02-12 10:00:00" in words
    assert all(width_of(line) <= 200 for line in rate_lines(rates_over_time(outage()), width, "region"))


def test_a_stretch_that_goes_on_is_open() -> None:
    lines = [plain(line) for line in rate_lines(rates_over_time(outage(clears=False)), 120, "region")]
    assert "→ onset" in lines[2]
    assert "cleared by 02-12 11:" not in lines[3]


def test_without_times_it_says_so() -> None:
    assert plain(rate_lines([], 80, "region")[0]) == "no sessions whose time is known"


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 s"), (600, "10 min"), (7200, "2 h"), (86_400, "1 d")])
def test_spans_are_written_in_the_largest_unit(seconds: int, words: str) -> None:
    assert length_words(timedelta(seconds=seconds)) == words
