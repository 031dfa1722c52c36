from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from capture.importers.damaged import compact, elements, end_of_array, member, object_of, read_leniently

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 2]))
def test_the_elements_of_a_whole_array(values: list[object], indent: int | None) -> None:
    text = json.dumps(values, indent=indent).encode()
    spans = list(elements(text, 0, len(text)))
    assert [json.loads(text[begin:end]) for begin, end, _ in spans] == values
    assert all(is_whole for _, _, is_whole in spans)


@given(st.lists(JSON, max_size=5), st.data())
def test_of_an_array_that_is_cut_off_all_before_the_cut_is_there(values: list[object], data: st.DataObject) -> None:
    text = json.dumps(values).encode()
    cut = text[: data.draw(st.integers(1, len(text)))]
    whole = [json.loads(cut[begin:end]) for begin, end, is_whole in elements(cut, 0, len(cut)) if is_whole]
    assert whole == values[: len(whole)]
    assert len(whole) >= len(values) - 1 or len(cut) < len(text) - 1


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 2]), st.sampled_from(["", "]", "x", '"', "\n[1]"]))
def test_the_end_of_an_array_is_behind_its_own_bracket(values: list[object], indent: int | None, rest: str) -> None:
    array = json.dumps(values, indent=indent).encode()
    text = array + rest.encode()
    assert end_of_array(text, 0, len(text)) == len(array)
    assert end_of_array(text, 0, len(array) - 1) is None
    assert end_of_array(b'[{"a": "cut off', 0, 15) is None


@given(JSON, st.sampled_from([None, 1, "\t"]))
def test_compact_text_is_the_same_value_in_the_same_order(value: object, indent: int | str | None) -> None:
    assert compact(json.dumps(value, indent=indent).encode()).decode() == json.dumps(value, separators=(",", ":"))


def test_compact_text_keeps_what_is_spelled_and_blanks_in_strings() -> None:
    assert compact(rb'{ "a b" : 1.50E+3 , "c" : "\u00e9 \" } x" }') == rb'{"a b":1.50E+3,"c":"\u00e9 \" } x"}'


def test_members_are_found_in_what_is_damaged() -> None:
    text = b'{"request": {"url": "wss://x", "a": [1, {}]}, "messages" : [ 1, 2, @@'
    assert object_of(text, "request", 0, len(text)) == {"url": "wss://x", "a": [1, {}]}
    assert object_of(text, "response", 0, len(text)) == {}
    assert member(text, "messages", "[", 0, len(text)) == text.index(b"[ 1")
    assert object_of(b'{"request": {"url"', "request", 0, 18) == {}


def test_what_only_the_standard_library_reads() -> None:
    assert read_leniently(b'{"a": "\\ud800"}') == {"a": "\ud800"}
    assert str(read_leniently(b"NaN")) == "nan"
    assert read_leniently(b"{") is None
    assert read_leniently(b"[" * 100_000) is None
