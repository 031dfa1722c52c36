"""Recorded ids and their counterparts in the new session."""

from __future__ import annotations

from typing import Any

from replay.id_map import IdIndex, IdMap

Json = dict[str, Any]


def committed(item_id: str) -> Json:
    return {"type": "input_audio_buffer.committed", "item_id": item_id}


def response_created(response_id: str, **fields: Any) -> Json:
    return {"type": "response.created", "response": {"id": response_id, **fields}}


def assistant(item_id: str, event_type: str = "response.output_item.added") -> Json:
    return {"type": event_type, "item": {"id": item_id, "type": "message", "role": "assistant"}}


def function_call(item_id: str, call_id: str, name: str) -> Json:
    item = {"id": item_id, "type": "function_call", "call_id": call_id, "name": name}
    return {"type": "response.output_item.added", "item": item}


def index_of(*events: Json, sent: tuple[Json, ...] = ()) -> IdIndex:
    index = IdIndex()
    for event in sent:
        index.observe("client", event)
    for event in events:
        index.observe("server", event)
    return index


def map_between(recorded: IdIndex, *replayed: Json) -> IdMap:
    ids = IdMap(recorded)
    for event in replayed:
        ids.session.observe("server", event)
    return ids


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
    recorded = index_of(response_created("resp_a", conversation_id=None), response_created("resp_b"))
    ids = map_between(recorded, response_created("resp_1", conversation_id="conv_1"))
    assert ids.find("resp_b") == "resp_1"
    assert ids.find("resp_a") is None


def test_a_divergence_can_say_what_was_missing() -> None:
    ids = map_between(index_of(committed("item_a"), committed("item_b")))
    assert ids.describe("item_b") == "item user audio #2 (item_b)"
    assert ids.describe("elsewhere") == "elsewhere"
