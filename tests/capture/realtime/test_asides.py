from __future__ import annotations

from typing import Any

import pytest

from capture.realtime.asides import Asides

Json = dict[str, Any]

ASK_ASIDE: Json = {"type": "response.create", "response": {"conversation": "none"}}


def begun(response_id: str, **told: Any) -> Json:
    return {"type": "response.created", "response": {"id": response_id, **told}}


def out_of_band(*events: Json) -> list[str]:
    """Give the ids of the responses that are out of band as they begin."""
    asides = Asides()
    return [event["response"]["id"] for event in events if asides.observe(event)]


def test_null_says_it_where_a_response_named_its_conversation() -> None:
    assert out_of_band(begun("resp_1", conversation_id="conv_1"), begun("resp_m", conversation_id=None)) == ["resp_m"]


def test_null_says_nothing_where_the_endpoint_says_it_of_all() -> None:
    assert out_of_band(begun("resp_1", conversation_id=None), begun("resp_2", conversation_id=None)) == []


@pytest.mark.parametrize("told", [{"conversation_id": None}, {}], ids=["null", "nothing"])
def test_else_what_was_asked_says_it_once_for_each(told: Json) -> None:
    said = [begun("resp_1", **told), ASK_ASIDE, begun("resp_m", **told), begun("resp_2", **told)]
    assert out_of_band({"type": "response.create"}, *said) == ["resp_m"]


def test_a_named_response_is_never_what_was_asked_for_beside_the_conversation() -> None:
    asked_first = [ASK_ASIDE, begun("resp_1", conversation_id="conv_1"), begun("resp_m", conversation_id=None)]
    assert out_of_band(*asked_first) == ["resp_m"]


def test_what_a_response_out_of_band_brings_is_known_by_its_id() -> None:
    asides = Asides()
    done = {"type": "response.done", "response": {"id": "resp_m", "conversation_id": None}}
    for event in (ASK_ASIDE, begun("resp_m", conversation_id=None)):
        asides.observe(event)
    assert asides.holds({"type": "response.output_text.delta", "response_id": "resp_m"})
    assert not asides.holds({"type": "response.output_text.delta", "response_id": "resp_1"})
    assert asides.observe(done)
    assert not asides.observe(begun("resp_1", conversation_id=None))


@pytest.mark.parametrize("event", [{"type": "response.created"}, {"type": "response.create", "response": 7}, {}])
def test_odd_events_are_passed_over(event: Json) -> None:
    assert not Asides().observe(event)
