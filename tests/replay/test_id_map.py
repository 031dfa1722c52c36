"""Recorded ids and their counterparts in the new session."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.id_map import IdIndex, IdMap

Json = dict[str, Any]


def committed(item_id: str) -> Json:
    return {"type": "input_audio_buffer.committed", "item_id": item_id}


def response_created(response_id: str, **fields: Any) -> Json:
    return {"type": "response.created", "response": {"id": response_id, **fields}}


def assistant(item_id: str, event_type: str = "response.output_item.added") -> Json:
    return {"type": event_type, "item": {"id": item_id, "type": "message", "role": "assistant"}}


def beside(response_id: str, topic: str | None = None) -> Json:
    metadata = None if topic is None else {"topic": topic}
    return response_created(response_id, conversation_id=None, metadata=metadata)


def speech(item_id: str, event_type: str = "speech_started") -> Json:
    return {"type": f"input_audio_buffer.{event_type}", "item_id": item_id}


def function_call(item_id: str, call_id: str, name: str) -> Json:
    item = {"id": item_id, "type": "function_call", "call_id": call_id, "name": name}
    return {"type": "response.output_item.added", "item": item}


def index_of(*events: Json, sent: tuple[Json, ...] = ()) -> IdIndex:
    index = IdIndex()
    feed(index, events, sent)
    return index


def map_between(recorded: IdIndex, *replayed: Json) -> IdMap:
    ids = IdMap(recorded)
    feed(ids.session, replayed)
    return ids


def feed(index: IdIndex, events: tuple[Json, ...], sent: tuple[Json, ...] = ()) -> None:
    """Tell a session; each response out of band was asked for at once."""
    aside = {"type": "response.create", "response": {"conversation": "none"}}
    asked = [aside for event in events if event.get("response", {}).get("conversation_id", "") is None]
    for event in (*sent, *asked):
        index.observe("client", event)
    for event in events:
        index.observe("server", event)


def test_things_are_found_by_what_they_are_and_their_ordinal() -> None:
    recorded = index_of(
        committed("item_a"), response_created("resp_a"), assistant("item_b"), committed("item_c"), assistant("item_d")
    )
    ids = map_between(
        recorded, committed("item_1"), committed("item_2"), response_created("resp_1"), assistant("item_3")
    )
    assert ids.find("item_a") == "item_1"
    assert ids.find("item_c") == "item_2"
    assert ids.find("resp_a") == "resp_1"
    assert ids.find("item_b") == "item_3"
    assert ids.find("item_d") is None


def test_an_item_announced_twice_is_one_item() -> None:
    recorded = index_of(assistant("item_b"), assistant("item_b", "conversation.item.added"), assistant("item_d"))
    assert recorded.keys["item_d"].ordinal == 1


def test_an_item_of_committed_audio_is_not_taken_for_a_text_message_of_the_user() -> None:
    added = {"type": "conversation.item.added", "item": {"id": "item_a", "type": "message", "role": "user"}}
    recorded = index_of(committed("item_a"), added)
    assert recorded.keys["item_a"].role == "user audio"


def test_calls_are_counted_by_the_function_they_call() -> None:
    recorded = index_of(function_call("item_a", "call_a", "weather"), function_call("item_b", "call_b", "time"))
    ids = map_between(recorded, function_call("item_1", "call_1", "time"))
    assert ids.find("call_b") == "call_1"
    assert ids.find("call_a") is None


def test_ids_that_the_client_chose_stay() -> None:
    item = {"id": "mine", "type": "function_call", "call_id": "my_call", "name": "seeded"}
    sent = ({"type": "conversation.item.create", "item": item},)
    recorded = index_of({"type": "conversation.item.added", "item": item}, sent=sent)
    assert recorded.keys == {}
    ids = map_between(recorded)
    assert (ids.find("mine"), ids.find("my_call")) == ("mine", "my_call")


def test_an_id_that_meant_nothing_in_the_recording_stays_as_wrong_as_it_was() -> None:
    assert map_between(index_of()).find("item_never_seen") == "item_never_seen"


def test_responses_out_of_band_are_counted_apart() -> None:
    recorded = index_of(beside("resp_a"), response_created("resp_b", conversation_id="conv_1"))
    ids = map_between(recorded, response_created("resp_1", conversation_id="conv_1"))
    assert ids.find("resp_b") == "resp_1"
    assert ids.find("resp_a") is None


def test_an_endpoint_that_names_no_conversation_has_its_counterpart_at_one_that_does() -> None:
    recorded = IdIndex()
    recorded.observe("server", response_created("resp_a", conversation_id=None))
    assert map_between(recorded, response_created("resp_1", conversation_id="conv_1")).find("resp_a") == "resp_1"


def test_what_a_response_out_of_band_says_is_not_taken_for_the_conversation_s() -> None:
    def said(item_id: str, response_id: str) -> Json:
        return assistant(item_id) | {"response_id": response_id}

    default, aside = response_created("resp_d", conversation_id="conv"), beside("resp_x")
    recorded = index_of(aside, default, said("item_x", "resp_x"), said("item_d", "resp_d"))
    replayed = (response_created("resp_1", conversation_id="conv"), beside("resp_2"))
    ids = map_between(recorded, *replayed, said("item_1", "resp_1"), said("item_2", "resp_2"))
    assert (ids.find("item_d"), ids.find("item_x")) == ("item_1", "item_2")


def test_responses_out_of_band_are_told_apart_by_their_metadata() -> None:
    def called(number: int, response_id: str) -> Json:
        return function_call(f"item_{number}", f"call_{number}", "tag") | {"response_id": response_id}

    recorded = index_of(beside("resp_a", "mood"), called(1, "resp_a"), beside("resp_b", "topic"), called(2, "resp_b"))
    ids = map_between(recorded, beside("resp_1", "topic"), called(3, "resp_1"))
    assert (ids.find("resp_b"), ids.find("item_2"), ids.find("call_2")) == ("resp_1", "item_3", "call_3")
    assert (ids.find("resp_a"), ids.find("item_1"), ids.find("call_1")) == (None, None, None)


@given(st.permutations(["", "mood", "topic", "default"]))
def test_in_whatever_order_parallel_responses_come_each_has_its_counterpart(order: list[str]) -> None:
    def session(names: list[str], prefix: str) -> list[Json]:
        begun = [
            response_created(f"{prefix}default", conversation_id="conv_1")
            if n == "default"
            else beside(prefix + n, n or None)
            for n in names
        ]
        return [*begun, *(assistant(f"{prefix}{n}_item") | {"response_id": prefix + n} for n in reversed(names))]

    ids = map_between(index_of(*session(["default", "", "mood", "topic"], "old_")), *session(order, "new_"))
    for name in order:
        assert (ids.find(f"old_{name}"), ids.find(f"old_{name}_item")) == (f"new_{name}", f"new_{name}_item")


@pytest.mark.parametrize("told", ["response.output_item.done", "conversation.item.done", "response.done"])
def test_a_call_is_known_however_late_the_endpoint_tells_of_it(told: str) -> None:
    item = function_call("item_a", "call_a", "weather")["item"]
    late = {"type": told, "item": item, "response": {"id": "resp_a", "output": [item]}}
    ids = map_between(index_of(late), function_call("item_1", "call_1", "weather"))
    assert (ids.find("item_a"), ids.find("call_a")) == ("item_1", "call_1")


def test_a_turn_that_is_still_spoken_is_named_by_the_id_that_its_item_will_bear() -> None:
    recorded = index_of(committed("item_a"), speech("item_b"))
    assert (recorded.exists("item_a"), recorded.exists("item_b")) == (True, False)
    ids = map_between(recorded, committed("item_1"))
    assert ids.find_announced("item_b") is None
    ids.session.observe("server", speech("item_2"))
    assert (ids.find("item_b"), ids.find_announced("item_b")) == (None, "item_2")
    ids.session.observe("server", committed("item_2"))
    assert (ids.find("item_b"), ids.find_announced("item_b"), ids.find_announced("item_a")) == (
        "item_2",
        "item_2",
        "item_1",
    )


def test_speech_that_became_no_turn_counts_for_none() -> None:
    recorded = index_of(speech("item_a"), speech("item_b"), speech("item_b", "speech_stopped"), committed("item_b"))
    ids = map_between(recorded, speech("item_1"), committed("item_1"), speech("item_1", "speech_stopped"))
    assert ids.find("item_b") == "item_1"
    assert not recorded.exists("item_a")


def test_a_divergence_can_say_what_was_missing() -> None:
    ids = map_between(index_of(committed("item_a"), committed("item_b")))
    assert ids.describe("item_b") == "item user audio #2 (item_b)"
    assert ids.describe("elsewhere") == "elsewhere"
