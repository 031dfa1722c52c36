from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.answers import Facet
from analyze.tui.filter_completion import CHOICES, Way, quoted, term_of, values_of, ways

FACETS = [
    Facet("region", "eastus2", 11, 6),
    Facet("region", "swedencentral", 10, 0),
    Facet("transcription_model", "gpt-4o-transcribe", 11, 6),
    Facet("cell", "eastus2 · model=it's", 5, 5),
    Facet("tag", "cause=network", 2, 1),
    Facet("finding", "silence_hallucination", 2, 2),
]
VALUES = values_of(FACETS)


@pytest.mark.parametrize(
    ("typed", "first", "text"),
    [
        ("reg", "region:", "region:"),
        ("-reg", "region:", "-region:"),
        ("outcome:ok tr", "transcription:", "outcome:ok transcription:"),
        ("region:", "eastus2", "region:eastus2"),
        ("region:SW", "swedencentral", "region:swedencentral"),
        ("region!=cent", "swedencentral", "region!=swedencentral"),
        ("region:eastus2,s", "swedencentral", "region:eastus2,swedencentral"),
        ("transcription:gpt", "gpt-4o-transcribe", "transcription:gpt-4o-transcribe"),
        ("since:2", "2h", "since:2h"),
        ("tag:c", "cause=network", "tag:cause=network"),
        ("finding:", "silence_hallucination", "finding:silence_hallucination"),
        ("cell:e", "eastus2 · model=it's", "'cell:eastus2 · model=it'\"'\"'s'"),
    ],
)
def test_how_a_filter_goes_on(typed: str, first: str, text: str) -> None:
    assert ways(typed, VALUES)[0] == (first, text)
    assert len(ways(typed, VALUES)) <= CHOICES


@pytest.mark.parametrize(
    "typed", ["", "region:eastus2", "region:eastus2 ", "nothing:x", "'whole word'", "=turns >", "a =re"]
)
def test_where_nothing_is_offered(typed: str) -> None:
    assert ways(typed, VALUES) == []


@given(st.text(alphabet="reg:on!=-'\" ,=xé"))
def test_any_text_gets_ways_that_begin_with_what_stands_before(typed: str) -> None:
    for way in ways(typed, VALUES):
        assert way.text != typed


@given(st.text(min_size=1))
def test_a_quoted_term_reads_as_the_term(term: str) -> None:
    assert shlex.split(quoted(term)) == [term]


def test_a_value_with_signs_of_the_filter_has_no_term() -> None:
    assert term_of("region", "eastus2") == "region:eastus2"
    assert term_of("region", "\x1b[2J it's") == quoted("region:\x1b[2J it's")
    assert term_of("region", "a,b") is None
    assert term_of("region", "a*") is None
    assert term_of("region", "a" * 2000) is None
    assert ways("region:", {"region": ["a" * 2000, "b"]}) == [Way("b", "region:b")]
