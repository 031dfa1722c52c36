from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from analyze.tui.folding import fold_ends, folds_around, lines_in_sight

LINES = ["{", '  "a": [', "    1,", "    {", '      "b": 2', "    }", "  ],", '  "c": "{"', "}"]


def test_each_line_that_opens_knows_the_line_that_closes() -> None:
    assert fold_ends(LINES) == {0: 8, 1: 6, 3: 5}
    assert folds_around(4, fold_ends(LINES)) == [3, 1, 0]


def test_a_folded_line_stands_for_all_up_to_its_end() -> None:
    ends = fold_ends(LINES)
    assert lines_in_sight(9, ends, {1}) == [0, 1, 7, 8]
    assert lines_in_sight(9, ends, {0, 1}) == [0]
    assert lines_in_sight(9, ends, ()) == list(range(9))


def test_text_that_is_no_json_may_hold_any_brackets() -> None:
    assert fold_ends(["}", "x {", "]", "  },", "[", "("]) == {1: 3}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sets(st.integers(0, 60)))
def test_every_object_and_list_of_json_folds(value: object, folded: set[int]) -> None:
    lines = msgspec.json.format(msgspec.json.encode(value).decode(), indent=2).split("\n")
    ends = fold_ends(lines)
    assert len(ends) == sum(line.endswith(("{", "[")) for line in lines)
    shown = lines_in_sight(len(lines), ends, folded)
    hidden = set(range(len(lines))) - set(shown)
    assert hidden == {at for at in range(len(lines)) if set(folds_around(at, ends)) & folded}
