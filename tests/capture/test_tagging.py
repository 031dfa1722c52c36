"""Tags in request headers: which are taken, under which name, and which are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.tagging import TAGS_LIMIT, conversation_key, is_tag_header, merge_tags, read_tags


def test_a_header_becomes_a_tag_by_its_name_behind_the_prefix() -> None:
    headers = [("Host", "h"), ("X-Wiretape-Tag-Call-Id", "42"), ("x-wiretape-tag-TEAM", "voice"), ("X-Wiretape", "no")]
    read = read_tags(headers)
    assert read.tags == {"call-id": "42", "team": "voice"}
    assert read.refused == []


def test_a_value_is_the_utf8_that_its_client_meant() -> None:
    assert read_tags([("X-Wiretape-Tag-City", "Zürich".encode().decode("latin-1"))]).tags == {"city": "Zürich"}
    assert read_tags([("X-Wiretape-Tag-City", "Z\xfcrich")]).tags == {"city": "Zürich"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("-", "x"),
        ("a" * 65, "x"),
        ("a!", "x"),
        ("Call", ""),
        ("Call", "a" * 257),
        ("Call", "\x1b[31m"),
        ("Call", "a\tb"),
        ("Api-Key", "x"),
        ("authorization", "x"),
        ("Token", "x"),
        ("my-secret", "x"),
        ("Cookie", "x"),
    ],
)
def test_what_is_no_tag_is_refused_without_telling_its_value(name: str, value: str) -> None:
    read = read_tags([(f"X-Wiretape-Tag-{name}", value), ("X-Wiretape-Tag-Good", "kept")])
    assert read.tags == {"good": "kept"}
    [problem] = read.refused
    assert problem.startswith(repr(name.lower()[:64]))
    assert len(value) < 3 or value not in problem


def test_of_a_name_given_twice_the_first_counts_and_no_more_than_the_limit_are_taken() -> None:
    headers = [(f"X-Wiretape-Tag-n{number}", "x") for number in range(TAGS_LIMIT + 1)]
    read = read_tags([("X-Wiretape-Tag-Twice", "1"), ("x-wiretape-tag-twice", "2"), *headers])
    assert len(read.tags) == TAGS_LIMIT
    assert read.tags["twice"] == "1"
    assert len(read.refused) == 3


def test_the_calls_own_tag_wins_over_the_proxys() -> None:
    assert merge_tags({"Team": "all", "env": "prod"}, {"team": "voice"}) == {"env": "prod", "team": "voice"}


def test_the_conversation_is_the_tag_of_that_name() -> None:
    tags = {"conversation": "c-1", "Call-Id": "42"}
    assert conversation_key(tags, "conversation") == "c-1"
    assert conversation_key(tags, "call-ID") == "42"
    assert conversation_key(tags, "other") is None


@given(st.lists(st.tuples(st.text(max_size=80), st.text(st.characters(max_codepoint=255), max_size=300))))
def test_any_headers_can_be_read(headers: list[tuple[str, str]]) -> None:
    read = read_tags([(f"X-Wiretape-Tag-{name}", value) for name, value in headers])
    assert len(read.tags) + len(read.refused) == len(headers)
    assert all(value.isprintable() and 0 < len(value) <= 256 for value in read.tags.values())
    assert is_tag_header("X-WIRETAPE-TAG-a")
    assert not is_tag_header("X-Wiretape-Tags")
