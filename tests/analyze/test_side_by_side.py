"""The founding incident beside the same call with another model, and one that has a turn more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.answers import DiffRow, PathChange, TimelineRow
from analyze.queries import Queries
from analyze.side_by_side import (
    SideBySide,
    Values,
    _aligned,
    changed_places,
    configuration_places,
    outcomes,
    turn_latencies,
)
from analyze.store import open_store
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn

FAILED = "conversation.item.input_audio_transcription.failed"
COMPLETED = "conversation.item.input_audio_transcription.completed"


@pytest.fixture
def shown(root: Root, failed_session: str, ok_session: str) -> SideBySide:
    longer = Trace("20260212T083300-0000000f", columns={"close_code": 1000})
    configure(longer)
    spoken_turn(longer, 20, transcript="what is the weather")
    spoken_turn(longer, 2000, item="item_u2", response="resp_2")
    longer.write(root)
    with open_store(root) as store:
        return Queries(store).side_by_side([failed_session, ok_session, longer.session_id])


def test_the_events_of_all_sessions_stand_in_shared_rows(shown: SideBySide) -> None:
    told = {
        (row.turn, next(event.type for event in row.rows if event)): "".join(row.markers)
        for row in shown.rows
        if row.differs
    }
    assert told[(None, "session.update")] == "=≠="
    assert told[(1, FAILED)] == "=--"
    # What both others have and the baseline has not is one row, not two.
    assert told[(1, COMPLETED)] == "=++"
    assert told[(2, "response.done")] == "==+"
    assert sum(row.rows[0] is not None for row in shown.rows) == len(
        [row for row in shown.diffs[0].rows if row.left is not None]
    )


def test_what_differs_is_grouped_by_value(shown: SideBySide) -> None:
    asked, _ = configuration_places(shown)
    assert asked == [
        Values("audio.input.transcription.model", ('"gpt-4o-transcribe"', '"whisper-1"', '"gpt-4o-transcribe"'))
    ]
    assert asked[0].by_value() == [([0, 2], '"gpt-4o-transcribe"'), ([1], '"whisper-1"')]


def test_who_lacks_an_event_has_no_say_in_its_places(shown: SideBySide) -> None:
    (told,) = [row for row in shown.rows if row.turn == 1 and row.rows[0] and row.rows[0].type == "response.done"]
    assert told.places == []
    changed = replace(told, rows=(told.rows[0], None, told.rows[2]), changes=((), (), (PathChange("a", "1", "2"),)))
    assert changed.places[0].by_value() == [([0], "1"), ([2], "2")]


def test_outcomes_and_latencies_have_a_column_a_session(shown: SideBySide) -> None:
    found = {each.name: each.values for each in outcomes(shown)}
    assert found["outcome"] == ("failed", "ok", "ok")
    assert found["turns"] == ("1", "1", "2")
    assert found["close code"] == (None, None, "1000")
    assert "end reason" not in found
    first_audio = [each for each in turn_latencies(shown) if each.name == "first audio"]
    assert [each.values_ms for each in first_audio] == [(600.0, 722.0, 600.0), (None, None, 600.0)]


@pytest.mark.parametrize("count", [1, 9])
def test_two_to_eight_sessions(queries: Queries, count: int) -> None:
    with pytest.raises(UsageProblem, match=f"2 to 8 sessions can be compared, not {count}"):
        queries.side_by_side(["x"] * count)


def test_a_place_that_one_session_alone_changed() -> None:
    places = changed_places([[PathChange("a", "1", None)], [], [PathChange("b", None, "2")]])
    assert places == [Values("a", ("1", None, "1", "1")), Values("b", (None, None, None, "2"))]


def event(number: int) -> TimelineRow:
    return TimelineRow(number, number, 0.0, "server", "event", f"type.{number}", 1, None, None, None, None, "")


@st.composite
def comparisons(draw: st.DrawFn) -> list[list[DiffRow]]:
    """Make comparisons of one baseline with some sessions, each with events of its own anywhere."""
    baseline = draw(st.integers(0, 5))
    made = []
    for _ in range(draw(st.integers(1, 7))):
        rows: list[DiffRow] = []
        for number in range(baseline + 1):
            extra = draw(st.lists(st.integers(10, 12), max_size=3))
            rows += [DiffRow("+", 1, None, event(each), (), None, None) for each in extra]
            if number < baseline:
                other = event(number) if draw(st.booleans()) else None
                rows.append(DiffRow("=" if other else "-", 1, event(number), other, (), None, None))
        made.append(rows)
    return made


@given(comparisons())
def test_no_event_is_lost_or_doubled(pairs: list[list[DiffRow]]) -> None:
    rows = list(_aligned(pairs))
    assert [row.rows[0] for row in rows if row.rows[0]] == [row.left for row in pairs[0] if row.left]
    for number, compared in enumerate(pairs, 1):
        # Events that only others have may overtake each other; the baseline's keep their order.
        here = [(row.rows[number], row.markers[number]) for row in rows]
        there = [(row.right, row.marker) for row in compared]
        assert Counter(each for each in here if each[1] in "+-") == Counter(each for each in there if each[1] in "+-")
        assert [each for each in here if each[0] and each[1] == "="] == [each for each in there if each[1] == "="]
    assert all(any(row.rows) for row in rows)
