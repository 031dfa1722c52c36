"""The literals of a JSON text: where they stand, how they are spelled, and what replacing some leaves alone."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.literals import apply_edits, decoded, literals, merged, moved, spelled, touched

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_every_literal_is_told_with_its_path() -> None:
    text = '{"type":"a","item":{"content":[{"text":"hi"},7]},"done":true}'
    told = [(literal.path, text[literal.start : literal.end]) for literal in literals(text) if not literal.is_key]
    assert told == [
        ([None, "type"], "a"),
        ([None, "item", "content", None, "text"], "hi"),
        ([None, "item", "content", None], "7"),
        ([None, "done"], "true"),
    ]


def test_a_value_in_an_array_has_the_name_of_the_array() -> None:
    [value] = [literal for literal in literals('{"a":[["x"]]}') if not literal.is_key]
    assert value.name == "a"


@pytest.mark.parametrize("text", ['{"a":"never ends', '{"a":"ends in \\', '{"a"', "]]}}", "", '"'])
def test_broken_json_is_walked_as_far_as_it_goes(text: str) -> None:
    for literal in literals(text):
        assert 0 <= literal.start <= literal.end <= len(text)


def strings_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [said for key, inner in value.items() for said in (key, *strings_in(inner))]
    if isinstance(value, list):
        return [said for inner in value for said in strings_in(inner)]
    return [value] if isinstance(value, str) else []


@given(json_values, st.booleans(), st.sampled_from([None, 1]))
def test_the_strings_are_those_that_a_parser_reads(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    read = [decoded(text[found.start : found.end]) for found in literals(text) if found.is_string]
    assert read == strings_in(value)


@given(st.text(min_size=1), st.booleans(), st.data())
def test_a_span_of_a_string_is_found_in_its_spelling(said: str, ascii_only: bool, data: st.DataObject) -> None:
    body = json.dumps(said, ensure_ascii=ascii_only)[1:-1]
    start = data.draw(st.integers(0, len(said) - 1))
    end = data.draw(st.integers(start + 1, len(said)))
    [(begins, ends)] = spelled(body, [(start, end)])
    assert decoded(body[begins:ends]) == said[start:end]
    assert touched(body, [(begins, ends)]) == [(start, end)]


@given(st.text(min_size=1), st.booleans(), st.sets(st.integers(0, 40), max_size=8))
def test_spans_of_a_string_are_found_in_its_spelling(said: str, ascii_only: bool, places: set[int]) -> None:
    body = json.dumps(said, ensure_ascii=ascii_only)[1:-1]
    cuts = sorted(min(place, len(said)) for place in places)
    spans = merged(zip(cuts[::2], cuts[1::2], strict=False))
    found = spelled(body, spans)
    assert [decoded(body[begins:ends]) for begins, ends in found] == [said[start:end] for start, end in spans]
    assert touched(body, found) == spans


@pytest.mark.parametrize(("place", "touches"), [((1, 2), [(1, 2)]), ((2, 6), [(1, 2)]), ((6, 8), [(1, 3)])])
def test_a_span_within_an_escape_touches_its_character(place: tuple[int, int], touches: list[tuple[int, int]]) -> None:
    assert touched(r"a\u00e9b", [place]) == touches


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_merged_spans_cover_the_same_places_apart_and_in_order(spans: list[tuple[int, int]]) -> None:
    joined = merged(spans)
    assert {place for span in joined for place in range(*span)} == {place for span in spans for place in range(*span)}
    assert all(one[1] < other[0] for one, other in itertools.pairwise(joined))


def test_edits_move_what_stands_behind_them() -> None:
    text, edits = 'ab"cd"ef""', [(0, 2, "longer"), (3, 5, "")]
    edited = apply_edits(text, edits)
    assert edited == 'longer""ef""'
    assert edited[moved(9, edits) :] == text[9:] == '"'
