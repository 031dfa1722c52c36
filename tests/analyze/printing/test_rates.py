from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from analyze.answers import RateOverTime
from analyze.over_time import rates_over_time
from analyze.printing.rates import print_rates, rates_table
from tests.conftest import Lines

BEGIN = datetime(2026, 2, 12, 8, 0)  # noqa: DTZ001 - as the views hold times


@pytest.fixture
def rates() -> list[RateOverTime]:
    outcomes = ["ok"] * 30 + ["failed"] * 10 + ["ok"] * 20
    return rates_over_time(
        [
            {"started_at": BEGIN + timedelta(minutes=n), "outcome": outcome, "label": "east[bold]"}
            for n, outcome in enumerate(outcomes)
        ]
    )


def test_a_line_says_how_often_when_and_since_when(rates: list[RateOverTime], lines: Lines) -> None:
    header, everyone, east = lines(rates_table(rates), 220)
    assert header.split() == ["failed", "over", "time", "stands", "out"]
    assert everyone.split()[:3] == ["all", "10/60", "▁" * 15 + "▇" * 5 + "▁" * 10]
    assert "from 02-12 08:30:00 (last ok 02-12 08:29:00) to 02-12 08:39:00, cleared by 02-12 08:40:00" in everyone
    assert east.startswith("east[bold]")


def test_json_has_spans_and_the_window(rates: list[RateOverTime], capsys: pytest.CaptureFixture[str]) -> None:
    print_rates(rates, as_json=True)
    everyone = json.loads(capsys.readouterr().out)[0]
    assert everyone["window"]["onset_at"] == "2026-02-12T08:30:00+00:00"
    assert everyone["spans"][15] == {
        "begin_at": "2026-02-12T08:30:00+00:00",
        "end_at": "2026-02-12T08:32:00+00:00",
        "failed": 2,
        "trials": 2,
        "not_counted": 0,
        "wilson_95": pytest.approx([0.342, 1.0], abs=0.001),
    }


def test_without_times_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_rates([], as_json=False)
    assert capsys.readouterr() == ("", "no sessions whose time is known\n")
