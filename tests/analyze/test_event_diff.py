"""What differs in messages, told without parsing those that are the same but for ids and times."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyze.alignment import masked_texts
from analyze.answers import DiffRow, PathChange
from analyze.event_diff import DiffRows, changes, columns_of
from analyze.queries import Queries
from analyze.store import open_store
from analyze.wording import parse_payload
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn

VOLATILE = ("id", "item_id", "created_at", "remaining", "obfuscation", "message", "_id")
SETTINGS = ("session", "response", "input", "voice", "tools", "client_secret")
NAMES = (*VOLATILE, *SETTINGS, "type", 'a"id', "a,", "text")
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        ["item_1", "item_2", "response.create", 'x", "id": "y', "{", ',"id":1', "", None, True, 7, -1.5, 1e300]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


def test_values_absent_on_one_side() -> None:
    assert changes({"a": None}, {"b": [1]}) == (PathChange("a", "null", None), PathChange("b", None, "[1]"))


@given(
    event=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
    random=st.randoms(use_true_random=False),
    spaced=st.booleans(),
    escaped=st.booleans(),
)
@example(event={"session": {"voice": {"id": "item_1"}}}, random=Random(1), spaced=True, escaped=False)
@example(event={"session": {"voice": {"id": "item_1"}}}, random=Random(1), spaced=True, escaped=True)
def test_texts_that_are_the_same_once_masked_do_not_differ(
    event: Any, random: Any, spaced: bool, escaped: bool
) -> None:
    def other(node: Any) -> Any:
        """Change a value here and there."""
        if isinstance(node, dict):
            return {name: other(child) for name, child in node.items()}
        if isinstance(node, list):
            return [other(child) for child in node]
        return random.choice([node, node, "item_9", 8])

    separators = (", ", ": ") if spaced else (",", ":")
    left, right = (json.dumps(each, separators=separators) for each in (event, other(event)))
    if escaped:
        left, right = (re.sub('(?<=")[sv]', lambda letter: f"\\u{ord(letter[0]):04x}", each) for each in (left, right))
    ours, theirs = masked_texts(pa.array([left, right])).to_pylist()
    if ours == theirs:
        assert changes(parse_payload(left), parse_payload(right)) == ()


def test_ids_and_times_are_masked_in_the_text() -> None:
    texts = [
        f'{{"event_id":"e{n}", "item": {{"id" : "i{n}", "at": 1, "created_at":{n}.5}}, "rate": {{"remaining":{n}}}}}'
        for n in (1, 2)
    ]
    ours, theirs = masked_texts(pa.array(texts)).to_pylist()
    assert ours == theirs


@pytest.fixture
def rows(root: Root) -> DiffRows:
    ids = []
    for number, transcript in enumerate((None, "what is the weather")):
        trace = Trace(f"20260212T08300{number}-0000000a")
        configure(trace)
        spoken_turn(trace, 20, transcript=transcript, item=f"item_{number}", response=f"resp_{number}")
        ids.append(trace.write(root))
    with open_store(root) as store:
        found = Queries(store).side_by_side(ids).diffs[0].rows
    assert isinstance(found, DiffRows)
    return found


def test_what_is_asked_of_all_pairs_is_what_each_says(rows: DiffRows) -> None:
    columns = columns_of(rows)
    listed = columns_of([*rows])
    for name in ("turns", "is_left", "differs"):
        assert np.array_equal(getattr(columns, name), getattr(listed, name))
    assert columns.changes == listed.changes
    assert {row.marker for row in rows} == {"=", "-", "+"}


def test_a_pair_is_the_same_alone_and_among_all(rows: DiffRows) -> None:
    everything: list[DiffRow] = [*rows]
    assert [rows[at] for at in range(len(rows))] == everything
    assert rows[3:9:2] == everything[3:9:2]
