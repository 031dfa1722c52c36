from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

import analyze.tui.widgets.timeline as timeline_widget
from analyze.answers import TimelineRow
from analyze.on_demand import OnDemand
from analyze.timeline import columns_of
from analyze.tui.lines import plain
from analyze.tui.widgets.timeline import Entries, Entry, Timeline, event_name, event_words, sender_sign


def test_the_way_of_a_message_is_a_sign_and_a_colour(timeline: list[TimelineRow]) -> None:
    server, client = timeline[0], timeline[1]
    assert [sender_sign(row)[0] for row in (client, server)] == [("▸", "client"), ("◂", "server")]


def test_a_run_says_how_many_and_how_long(timeline: list[TimelineRow]) -> None:
    assert plain(event_words(timeline[9])) == "× 41  2.31 s"
    assert plain(event_words(timeline[3])) == "× 7  140 ms"


def test_a_failure_says_what_failed(timeline: list[TimelineRow]) -> None:
    failed = timeline[10]
    assert plain(event_words(failed)).startswith("server_error: Input transcription failed")
    assert event_name(failed)[0].tone == "failed"


def test_a_message_without_a_type_is_named_by_its_kind(timeline: list[TimelineRow]) -> None:
    assert plain(event_name(timeline[-1])) == "(close)"


def test_a_hostile_type_is_shown_escaped(timeline: list[TimelineRow], hostile: str) -> None:
    assert "\x1b" not in plain(event_name(replace(timeline[0], type=hostile)))


def row(seq: int, count: int = 1) -> TimelineRow:
    error = "failed" if seq % 3 == 0 else None
    return TimelineRow(seq, seq + count - 1, seq * 10.0, "server", "event", "a", count, None, error, None, None, "")


class Many(OnDemand[TimelineRow]):
    """A hundred thousand events, of which every thousandth failed; counts those that were built."""

    built = 0

    def __len__(self) -> int:
        return 100_000

    def _build(self, places: Sequence[int]) -> list[TimelineRow]:
        self.built += len(places)
        return [replace(row(place), error="failed" if place % 1000 == 999 else None) for place in places]


class ManyApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Timeline()


async def test_of_100_000_events_only_those_in_sight_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Many()
    columns = columns_of([*rows])
    monkeypatch.setattr(timeline_widget, "columns_of", lambda _: columns)
    rows.built = 0
    app = ManyApp()
    async with app.run_test(size=(100, 30)) as pilot:
        timeline = app.query_one(Timeline)
        timeline.show_rows(rows)
        timeline.focus()
        assert timeline.go_to_error(1)
        assert timeline.current is not None
        assert (timeline.cursor, timeline.current.row.error) == (999, "failed")
        await pilot.press("end")
        assert timeline.go_to_error(-1)
        assert timeline.cursor == 98_999
        timeline.go_to_seq(50_000)
        timeline.go_to_time(700_000.0, 1)
        await pilot.pause()
        assert timeline.cursor == 70_000
    assert rows.built < 5_000


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=12))
def test_entries_are_the_rows_with_the_events_of_unfolded_ones_beneath(runs: list[tuple[int, bool]]) -> None:
    folded: list[TimelineRow] = []
    unfolded: dict[int, list[TimelineRow]] = {}
    expected: list[Entry] = []
    for count, is_unfolded in runs:
        first = folded[-1].last_seq + 1 if folded else 0
        folded.append(row(first, count))
        expected.append(Entry(folded[-1], unfolded=is_unfolded))
        if is_unfolded:
            unfolded[len(folded) - 1] = [row(first + n) for n in range(count)]
            expected += [Entry(event, inside=True) for event in unfolded[len(folded) - 1]]
    entries = Entries(folded, unfolded)
    assert list(entries) == expected
    assert [entries[at] for at in range(len(entries))] == expected
    assert entries.places_of(lambda of: of.failed) == [at for at, each in enumerate(expected) if each.row.error]
    assert entries.places_of(lambda of: np.ones(len(of.counts), dtype=np.bool_)) == list(range(len(expected)))
