"""Failures over time, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from analyze.answers import RateOverTime
from analyze.over_time import spark, window_words
from analyze.printing.page import print_json
from capture.narration import tell
from replay.printing.page import cell, print_all, table


def print_rates(rates: Sequence[RateOverTime], *, as_json: bool) -> None:
    """Print rates over time, or that there are none."""
    if as_json:
        print_json([rate_json(rate) for rate in rates])
        return
    if rates:
        print_all(rates_table(rates))
        spans = rates[0].spans
        length = spans[0].end_at - spans[0].begin_at
        tell(f"{spans[0].begin_at:%Y-%m-%d %H:%M:%S} to {spans[-1].end_at:%Y-%m-%d %H:%M:%S} UTC, {length} a bar")
    else:
        tell("no sessions whose time is known")


def rates_table(rates: Sequence[RateOverTime]) -> Table:
    """Lay out a line for all sessions and for each value: counts, a bar a span, and the stretch that stands out."""
    made = table("", "failed", "over time", "stands out", right=["failed"])
    made.columns[2].no_wrap = True
    for rate in rates:
        style = "red" if rate.failed else "green"
        made.add_row(
            cell(rate.name), cell(f"{rate.failed:,}/{rate.trials:,}", style), spark(rate.spans), window_words(rate)
        )
    return made


def rate_json(rate: RateOverTime) -> dict[str, Any]:
    """Give a rate as JSON; its spans have one name for the interval, as the matrix has."""
    spans = [asdict(span) for span in rate.spans]
    return {
        "name": rate.name,
        "failed": rate.failed,
        "trials": rate.trials,
        "window": None if rate.window is None else asdict(rate.window),
        "spans": [span | {"wilson_95": [span.pop("low"), span.pop("high")]} for span in spans],
    }
