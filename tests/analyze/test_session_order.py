from __future__ import annotations

import pytest

from analyze.annotating import annotate
from analyze.queries import Queries
from analyze.session_order import NEWEST_FIRST, Order, order_sql
from analyze.tui.session_list import COLUMNS
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import Row, Trace, configure, spoken_turn


@pytest.fixture
def calls(root: Root) -> list[str]:
    """Record four calls a minute apart; the last is imported, and only its id tells when."""
    rows: list[Row] = [
        {"region": "eastus2", "target": "b", "duration_ms": 900.0, "turn_latencies": [{"first_audio_ms": 40.0}, {}]},
        {"region": None, "target": "a", "duration_ms": 100.0, "turn_latencies": [], "run_id": "r1", "trial": 2},
        {
            "region": "eastus2",
            "target": "c",
            "run_id": "r1",
            "trial": 1,
            "failure_keys": ["aaa|||"],
            "outcome": "failed",
        },
        {"region": "centralus", "target": "a", "duration_ms": None, "started_at": None, "role": "imported"},
    ]
    for minute, row in enumerate(rows):
        trace = Trace(f"20260212T08{minute:02d}00-0000000{minute}", row)
        configure(trace)
        if minute == 2:
            spoken_turn(trace, 20)
        trace.write(root)
    return [f"20260212T08{minute:02d}00-0000000{minute}" for minute in range(4)]


@pytest.mark.parametrize(
    ("order", "places"),
    [
        (NEWEST_FIRST, [3, 2, 1, 0]),
        (("started", False), [0, 1, 2, 3]),
        (("region", False), [1, 3, 2, 0]),
        (("target", True), [2, 0, 3, 1]),
        (("duration", False), [3, 1, 2, 0]),
        (("first_audio", True), [0, 3, 2, 1]),
        (("run", True), [1, 2, 3, 0]),
        (("finding", True), [2, 3, 1, 0]),
        (("turns", True), [2, 3, 1, 0]),
        (("outcome", False), [2, 3, 1, 0]),
    ],
)
def test_sessions_are_put_in_order_and_equal_ones_stay_newest_first(
    calls: list[str], queries: Queries, order: Order, places: list[int]
) -> None:
    listed = queries.sessions_in_order(order=order)
    assert [calls.index(session_id) for session_id in listed.session_ids] == places
    assert [noted.failure_key for noted in listed.noted] == ["aaa|||"]


def test_what_was_found_comes_before_what_only_failed(calls: list[str], queries: Queries) -> None:
    names = {calls[0]: ("zzzz_found",)}
    listed = queries.sessions_in_order(order=("finding", True), names=names)
    assert [calls.index(session_id) for session_id in listed.session_ids] == [0, 2, 3, 1]


def test_an_order_goes_with_a_filter_and_with_a_choice(calls: list[str], queries: Queries) -> None:
    listed = queries.sessions_in_order("target:a", order=("started", False), only=calls[1:3])
    assert listed.session_ids == [calls[1]]


def test_rows_come_in_the_order_of_their_ids_with_what_sealing_measured(calls: list[str], queries: Queries) -> None:
    rows = queries.sessions_by_id([calls[2], "20991231T000000-00000000", calls[0], calls[1]])
    assert [(row.session_id, row.first_audio_ms) for row in rows] == [
        (calls[2], 600.0),
        (calls[0], 40.0),
        (calls[1], None),
    ]


@pytest.mark.parametrize("descends", [False, True])
def test_what_was_said_sorts_by_its_words_and_silence_stands_last(
    root: Root, calls: list[str], queries: Queries, descends: bool
) -> None:
    annotate(root, [calls[0]], tags={"cause": "network"}, notes=["an older note", "zero"])
    annotate(root, [calls[1]], tags={}, notes=["alpha"])
    annotate(root, [calls[2]], tags={"cause": "zone"}, notes=[])
    queries.store.refresh()
    listed = queries.sessions_in_order(order=("said", descends))
    said = [2, 0, 1] if descends else [1, 0, 2]
    assert [calls.index(session_id) for session_id in listed.session_ids] == [*said, 3]


def test_every_column_of_the_list_sorts(calls: list[str], queries: Queries) -> None:
    for column in COLUMNS:
        assert column.order is not None, column.name
        assert set(queries.sessions_in_order(order=(column.order, False)).session_ids) == set(calls)


def test_an_unknown_order_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageProblem, match="nearest are transcription_model"):
        order_sql(("transcription_modl", False))
