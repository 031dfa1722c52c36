"""Counting failures: who is in n, and who is not."""

from __future__ import annotations

from typing import Any

import pytest

from analyze.matrix import count_failures, dimension_sql
from analyze.queries import Queries
from analyze.store import open_store
from capture.errors import UsageProblem
from capture.recording.root import Root
from replay.statistics import wilson
from tests.analyze.conftest import Trace


def rows(*outcomes: str, label: str = "eastus2") -> list[dict[str, Any]]:
    return [
        {"label_0": label, "outcome": outcome, "session_ids": [f"{label}-{n}"]} for n, outcome in enumerate(outcomes)
    ]


def test_only_failed_and_ok_are_in_n() -> None:
    outcomes = ("failed", "ok", "ok", "incomplete", "throttled", "not_run", "failed_otherwise")
    cell = count_failures(["region"], rows(*outcomes)).cells["eastus2", "all"]
    assert (cell.failed, cell.trials, cell.not_counted) == (1, 3, 4)
    assert (cell.low, cell.high) == wilson(1, 3)
    assert len(cell.session_ids) == 7


def test_totals_over_both_dimensions() -> None:
    sessions = [
        {"label_0": region, "label_1": model, "outcome": outcome, "session_ids": [f"{region}{model}{n}"]}
        for region, model, outcome in (("e", "4o", "failed"), ("e", "w", "ok"), ("s", "4o", "ok"))
        for n in range(5)
    ]
    matrix = count_failures(["region", "transcription_model"], sessions)
    assert (matrix.rows, matrix.columns) == (("e", "s"), ("4o", "w"))
    assert ("s", "w") not in matrix.cells
    counts = {row: (cell.failed, cell.trials) for row, cell in matrix.row_totals.items()}
    assert counts == {"e": (5, 10), "s": (0, 5)}
    assert (matrix.column_totals["4o"].failed, matrix.total.failed, matrix.total.trials) == (5, 5, 15)


def test_numbers_stand_in_the_order_of_what_they_are_worth_ahead_of_words() -> None:
    labels = ("10", "2", "–", "1006", "-1", "2.5")
    matrix = count_failures(["turns"], [row for label in labels for row in rows("ok", label=label)])
    assert matrix.rows == tuple(matrix.row_totals) == ("-1", "2", "2.5", "10", "1006", "–")
    assert [row for row, _ in matrix.cells] == list(matrix.rows)


def test_nothing_counted_is_nothing_known() -> None:
    cell = count_failures(["region"], rows("incomplete")).total
    assert (cell.trials, cell.low, cell.high) == (0, 0.0, 1.0)


def test_a_replay_counts_by_whether_the_recordings_failure_came_again(root: Root) -> None:
    replayed = {"role": "replayed", "run_id": "r1", "outcome": "failed"}
    for number, outcome in enumerate(("failed", "failed_otherwise", "throttled")):
        Trace(f"20260212T08300{number}-0000000a", replayed | {"trial_outcome": outcome}).write(root)
    Trace("20260212T083009-0000000a", {"outcome": "failed", "region": None}).write(root)
    with open_store(root) as store:
        matrix = Queries(store).failures(["region"])
    replays, captured = matrix.cells["eastus2", "all"], matrix.cells["–", "all"]
    assert (replays.failed, replays.trials, replays.not_counted) == (1, 1, 2)
    assert (captured.failed, captured.trials) == (1, 1)


def test_dimensions_are_columns_their_short_names_or_tags(root: Root) -> None:
    Trace(columns={"tags": [("o'team", "voice")], "outcome": "failed"}).write(root)
    with open_store(root) as store:
        matrix = Queries(store).failures(["tag:o'team", "transcription"])
    assert (matrix.rows, matrix.columns) == (("voice",), ("–",))


def test_an_unknown_dimension_is_named() -> None:
    with pytest.raises(UsageProblem, match="cannot be counted by 'regoin'; nearest are region"):
        dimension_sql("regoin")


@pytest.mark.parametrize("by", [[], ["region", "model", "target"]])
def test_one_or_two_dimensions(by: list[str]) -> None:
    with pytest.raises(UsageProblem, match="by one or two dimensions"):
        count_failures(by, [])
