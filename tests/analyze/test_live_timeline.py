"""Rows that come and grow are those of the whole session, folded at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.event_columns import EventColumns
from analyze.live_timeline import LONGEST_PAYLOAD, LiveTimeline, event_of
from analyze.timeline import AudioClock, fold_events, unfolded
from analyze.wording import Event

CLOCK = AudioClock(())
MADE_UP = st.tuples(
    st.sampled_from(["client", "server"]),
    st.sampled_from(
        [
            "input_audio_buffer.append",
            "response.output_audio.delta",
            "response.output_text.delta",
            "response.done",
            "input_audio_buffer.committed",
            "error",
        ]
    ),
    st.sampled_from([None, "resp_1", "resp_2"]),
    st.integers(2, 4000),
)


def row_of(seq: int, sender: str, event_type: str, response_id: str | None, wire_bytes: int) -> dict[str, Any]:
    row = {"seq": seq, "offset_ns": seq * 20_000_000, "sender": sender, "kind": "event", "type": event_type}
    row |= {"payload": f'{{"delta":"{seq} "}}', "wire_bytes": wire_bytes}
    return row | ({"response_id": response_id} if response_id else {})


def test_each_column_comes_to_its_place() -> None:
    row = {name: f"the {name}" for name in Event._fields} | {"seq": 7, "offset_ns": 1_500_000}
    placed = {name: value for name, value in row.items() if name != "offset_ns"}
    event, audio_ms = event_of(row | {"audio_ms": 20.0})
    assert audio_ms == 20
    assert event._asdict() == placed | {"last_seq": 7, "events": 1, "offset_ms": 1.5}


@given(st.lists(MADE_UP, max_size=60), st.integers(1, 20), st.booleans())
def test_whatever_comes_in_whatever_pieces_folds_as_it_does_at_once(
    made_up: list[tuple[str, str, str | None, int]], piece: int, fold: bool
) -> None:
    rows = [row_of(seq, *each) for seq, each in enumerate(made_up)]
    events = list(map(event_of, rows))
    timeline = LiveTimeline(fold=fold)
    for start in range(0, len(rows), piece):
        timeline.add(events[start : start + piece])
    at_once = (fold_events if fold else unfolded)(EventColumns.of(event for event, _ in events), CLOCK)
    assert [each.row for each in timeline.rows] == list(at_once)
    assert sum(each.wire_bytes for each in timeline.rows) == sum(row["wire_bytes"] for row in rows)


@given(st.lists(MADE_UP, max_size=60), st.integers(1, 20), st.integers(1, 8))
def test_the_oldest_rows_make_room(made_up: list[tuple[str, str, str | None, int]], piece: int, most: int) -> None:
    events = [event_of(row_of(seq, *each)) for seq, each in enumerate(made_up)]
    whole, bounded = LiveTimeline(fold=True), LiveTimeline(fold=True, most=most)
    for start in range(0, len(events), piece):
        whole.add(events[start : start + piece])
        bounded.add(events[start : start + piece])
        assert len(bounded.rows) <= most
    assert bounded.passed + len(bounded.rows) == len(whole.rows)
    assert bounded.rows == whole.rows[bounded.passed :]


def test_the_messages_of_old_rows_make_room_before_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyze.live_timeline.MOST_PAYLOAD", 45)
    timeline = LiveTimeline(fold=False, most=6)
    for seq in range(10):
        timeline.add([event_of(row_of(seq, "server", "error", None, 9) | {"payload": f"{seq}" * 10})])
    assert [row.payload for row in timeline.rows] == [None, None, *(f"{seq}" * 10 for seq in range(6, 10))]
    timeline.add([event_of(row_of(10, "server", "error", None, 9) | {"payload": "x" * 50_000})])
    assert [row.payload for row in timeline.rows] == [None] * 6
    timeline.add([event_of(row_of(11, "server", "error", None, 9) | {"payload": "y" * 45})])
    assert timeline.rows[-1].payload == "y" * 45


def test_a_stream_of_an_hour_holds_no_more_than_its_words_need() -> None:
    timeline = LiveTimeline(fold=True)
    appends = [row_of(seq, "client", "input_audio_buffer.append", None, 1300) for seq in range(20_000)]
    timeline.add([event_of(row | {"payload": "x" * 1000}) for row in appends])
    (row,) = timeline.rows
    assert (row.row.count, row.wire_bytes, row.row.last_seq) == (20_000, 26_000_000, 19_999)
    deltas = [row_of(seq, "server", "response.output_text.delta", "resp_1", 40) for seq in range(20_000, 40_000)]
    timeline.add(map(event_of, deltas))
    assert len(timeline.rows[-1].row.summary) == 200
    assert timeline.rows[-1].row.summary.startswith("20000 20001 ")


def test_endless_words_are_cut() -> None:
    timeline = LiveTimeline(fold=True)
    timeline.add([event_of(row_of(0, "server", "t" * 50_000, None, 9) | {"error_message": "e" * 50_000})])
    (row,) = timeline.rows
    assert (len(row.row.type or ""), len(row.row.error or "")) == (1000, 1000)
    assert row.row == replace(row.row, summary=row.row.summary[:200])
    timeline.add([event_of(row_of(1, "server", "error", None, 9) | {"payload": "x" * 50_000})])
    assert len(timeline.rows[-1].payload or "") == LONGEST_PAYLOAD


def test_the_audio_of_a_row_grows_with_it() -> None:
    timeline = LiveTimeline(fold=True)
    appends = [row_of(seq, "client", "input_audio_buffer.append", None, 100) for seq in range(3)]
    timeline.add([event_of(row | {"audio_ms": 20.5}) for row in appends[:2]])
    timeline.add([event_of(appends[2] | {"audio_ms": 0.0}), event_of(row_of(3, "server", "error", None, 9))])
    assert [each.row.audio_ms for each in timeline.rows] == [41, None]
