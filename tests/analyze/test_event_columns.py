from __future__ import annotations

import numpy as np
import pytest

from analyze.event_columns import Coded, EventColumns
from analyze.wording import error_of
from tests.analyze.conftest import Trace, events_of, spoken_turn


@pytest.fixture
def trace() -> Trace:
    trace = Trace()
    spoken_turn(trace, transcript=None)
    trace.server(900, "error", error={"type": None, "code": None, "message": ""})
    trace.frame("client", 950, "ping", b"")
    return trace


def test_events_come_back_as_they_were(trace: Trace) -> None:
    events = events_of(trace)
    columns = EventColumns.of(events)
    assert columns.gather(range(len(events))) == events
    assert columns.gather([3, 1]) == [events[3], events[1]]
    assert [columns.payload(at) for at in range(len(events))] == [event.payload for event in events]


def test_what_failed_is_told_as_a_row_tells_it(trace: Trace) -> None:
    events = events_of(trace)
    failed = EventColumns.of(events).failed.tolist()
    assert failed == [error_of(event) is not None for event in events]
    assert sum(failed) == 2


def test_streams_and_texts(trace: Trace) -> None:
    columns = EventColumns.of(events_of(trace))
    types = np.array([event.type for event in events_of(trace)])
    assert set(types[columns.streaming]) == {
        "input_audio_buffer.append",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        None,
    }
    assert columns.has_payload.tolist() == [event.payload is not None for event in events_of(trace)]


def test_a_column_of_few_values() -> None:
    column = Coded.of(["a.delta", None, "b", "a.delta"])
    assert (column.codes.tolist(), column.values) == ([0, -1, 1, 0], ["a.delta", "b"])
    assert column.is_any(["b", "c"]).tolist() == [False, False, True, False]
    assert column.ends_with((".delta",)).tolist() == [True, False, False, True]
    assert column.at(np.array([1, 2])).is_any(["b"]).tolist() == [False, True]


def test_no_events() -> None:
    columns = EventColumns.of([])
    assert len(columns) == 0
    assert (columns.gather([]), columns.types.values, columns.failed.tolist()) == ([], [], [])
    assert columns.offset_ms.tolist() == []
