from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from analyze.answers import EventDetail
from analyze.tui.lines import Line, plain, width_of
from analyze.tui.payload_pair import pair_payloads, pair_rows


def message(payload: str) -> EventDetail:
    return EventDetail(1, 1.0, datetime(2026, 2, 12, tzinfo=UTC), "server", "event", "x", payload, 10, redacted=False)


def stripped(line: Line | None) -> str | None:
    return None if line is None else plain(line).strip()


def told(left: Any, right: Any) -> list[tuple[str | None, str | None]]:
    pairs = pair_payloads(message(json.dumps(left)), message(json.dumps(right)))
    return [(stripped(pair.left), stripped(pair.right)) for pair in pairs if pair.differs]


def test_the_lines_that_differ_stand_beside_each_other() -> None:
    left = {"type": "session.updated", "session": {"voice": "marin", "speed": 1.0}}
    right = {"type": "session.updated", "session": {"voice": "cedar", "speed": 1.0}}
    assert told(left, right) == [('"voice": "marin",', '"voice": "cedar",')]


def test_other_ids_and_times_are_no_difference() -> None:
    assert told({"event_id": "a", "x": 1}, {"event_id": "b", "x": 1}) == []


def test_a_line_that_one_side_lacks() -> None:
    assert told({"a": 1, "b": 2}, {"b": 2}) == [('"a": 1,', None)]


def test_one_side_alone_and_text_that_is_no_json() -> None:
    alone = pair_payloads(None, message('{"a": 1}'))
    assert [pair.right and plain(pair.right).strip() for pair in alone] == ["{", '"a": 1', "}"]
    assert all(pair.left is None for pair in alone)
    (only,) = pair_payloads(message("\x1b[31m"), message("[/bold]"))
    assert [plain(side) for side in (only.left, only.right) if side] == [r"\x1b[31m", "[/bold]"]


@given(st.text(), st.text(), st.integers(30, 120))
def test_any_text_fits_the_width(left: str, right: str, width: int) -> None:
    for pair in pair_payloads(message(left), message(right)):
        assert all(width_of(line) <= width for line in pair_rows(pair, width))
