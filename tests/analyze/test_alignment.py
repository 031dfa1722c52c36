"""Which event of one session answers which of the other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Indel

from analyze import alignment
from analyze.alignment import ABSENT, MASK, align, align_by_turn, differences, masked, masked_configuration

TOKENS = st.lists(st.sampled_from("abcd"), max_size=30)


def shown(left: str, right: str) -> list[str]:
    return [f"{'' if i is None else left[i]}|{'' if j is None else right[j]}" for i, j in align(left, right)]


def test_what_is_common_is_paired_and_the_rest_is_not() -> None:
    assert shown("abc", "axc") == ["a|a", "b|", "|x", "c|c"]


def test_what_overtook_something_is_still_the_same() -> None:
    assert shown("aTbc", "abcT") == ["a|a", "T|T", "b|b", "c|c"]


@given(TOKENS, TOKENS)
def test_every_event_stands_in_exactly_one_row(left: list[str], right: list[str]) -> None:
    pairs = align(left, right)
    assert sorted(i for i, _ in pairs if i is not None) == list(range(len(left)))
    assert sorted(j for _, j in pairs if j is not None) == list(range(len(right)))
    assert all(left[i] == right[j] for i, j in pairs if i is not None and j is not None)


@given(TOKENS, TOKENS)
def test_no_alignment_leaves_fewer_over(left: list[str], right: list[str]) -> None:
    left_over = sum(i is None or j is None for i, j in align(left, right))
    assert left_over <= Indel.distance(left, right)


def test_turns_are_anchors() -> None:
    # The extra event of turn 1 must not pull turn 2's events out of place.
    left = [["s"], ["a", "b"], ["a", "b"]]
    right = [["s"], ["a", "b", "a"], ["a", "b"]]
    assert align_by_turn(left, right) == [(0, 0), (1, 1), (2, 2), (None, 3), (3, 4), (4, 5)]


def test_a_turn_that_only_one_side_has() -> None:
    assert align_by_turn([["s"], ["a"]], [["s"]]) == [(0, 0), (1, None)]


def test_ids_times_and_obfuscation_are_masked() -> None:
    event = {
        "event_id": "event_1",
        "item": {"id": "item_1", "call_id": "call_1", "role": "user", "previous_item_id": None},
        "expires_at": 1770888655,
        "obfuscation": "xYz",
        "audio_start_ms": 120,
        "error": {"message": "Input transcription failed for item 'item_D81p'.", "code": None},
    }
    assert masked(event) == {
        "event_id": MASK,
        "item": {"id": MASK, "call_id": MASK, "role": "user", "previous_item_id": None},
        "expires_at": MASK,
        "obfuscation": MASK,
        "audio_start_ms": 120,
        "error": {"message": "Input transcription failed for item 'item_…'.", "code": None},
    }


ASKED = {
    "prompt": {"id": "pmpt_1", "version": "2", "variables": {"customer_id": "7"}},
    "audio": {"output": {"voice": {"id": "voice_1"}}},
    "tools": [{"type": "mcp", "server_label": "crm", "connector_id": "connector_crm"}],
    "tracing": {"group_id": "calls"},
}
"""What a configuration names by ids."""


def test_of_a_configuration_only_what_the_endpoint_gave_it_is_masked() -> None:
    secret = {"value": "ek_1", "expires_at": 1770888655}
    session = {"id": "sess_1", "expires_at": 1770888655, "client_secret": secret, **ASKED}
    told = {
        "id": MASK,
        "expires_at": MASK,
        "client_secret": {"value": MASK, "expires_at": MASK},
        **ASKED,
    }
    assert masked_configuration(session) == told
    assert masked({"type": "session.created", "event_id": "event_1", "session": session}) == {
        "type": "session.created",
        "event_id": MASK,
        "session": told,
    }
    assert masked_configuration({"client_secret": None}) == {"client_secret": None}


def test_of_what_a_response_was_asked_for_only_its_input_is_masked() -> None:
    reference = {"type": "item_reference", "id": "item_1"}
    asked = {"type": "response.create", "response": {**ASKED, "input": [reference], "metadata": {"topic_id": "7"}}}
    response = {**ASKED, "input": [reference | {"id": MASK}], "metadata": {"topic_id": "7"}}
    assert masked(asked) == {"type": "response.create", "response": response}


def test_a_response_has_ids_of_its_own_and_a_voice_that_was_asked_for() -> None:
    response = {"id": "resp_1", "conversation_id": "conv_1", "audio": {"output": {"voice": {"id": "voice_1"}}}}
    assert masked({"type": "response.done", "response": response}) == {
        "type": "response.done",
        "response": {"id": MASK, "conversation_id": MASK, "audio": {"output": {"voice": {"id": "voice_1"}}}},
    }


def test_differences_name_the_place() -> None:
    left = {"a": {"b": 1, "gone": True}, "tools": [{"name": "x"}, {"name": "y"}], "same": []}
    right = {"a": {"b": 2, "new": None}, "tools": [{"name": "z"}], "same": []}
    assert list(differences(left, right)) == [
        ("a.b", 1, 2),
        ("a.gone", True, ABSENT),
        ("a.new", ABSENT, None),
        ("tools[0].name", "x", "z"),
        ("tools[1]", {"name": "y"}, ABSENT),
    ]


def test_true_is_not_one() -> None:
    assert list(differences({"a": True}, {"a": 1})) == [("a", True, 1)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=10,
)


@given(JSON, JSON)
def test_there_are_differences_exactly_where_the_text_differs(left: object, right: object) -> None:
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert same == (not list(differences(left, right)))


@given(st.lists(st.integers(0, 3), max_size=60), st.lists(st.integers(0, 3), max_size=60))
def test_what_is_cut_into_parts_is_aligned_as_well(left: list[int], right: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        whole = sum(each.src_end - each.src_start for each in Indel.opcodes(left, right) if each.tag == "equal")
        patched.setattr(alignment, "_MOST_PAIRS", 20)
        patched.setattr(alignment, "_LEAST_CUT", 2)
        found = list(alignment._operations(left, right))
        assert [i for _, stretch, _ in found for i in stretch] == list(range(len(left)))
        assert [j for _, _, stretch in found for j in stretch] == list(range(len(right)))
        for is_equal, ours, theirs in found:
            assert not is_equal or [left[i] for i in ours] == [right[j] for j in theirs]
        assert sum(len(ours) for is_equal, ours, _ in found if is_equal) == whole
