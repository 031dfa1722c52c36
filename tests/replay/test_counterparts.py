"""What a client's message was in the recording, and whose ids it is answered with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replay.counterparts import Counterparts, differing_settings
from replay.server_planning import make_server_plan
from replay.unanswered import Awaited

Json = dict[str, Any]

CREATED = {"type": "session.created", "session": {"type": "realtime"}}


def message(item_id: str | None = None, **fields: Any) -> Json:
    item = {"type": "message", "role": "user", **({"id": item_id} if item_id else {}), **fields}
    return {"type": "conversation.item.create", "item": item}


def output(call_id: str) -> Json:
    return {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": call_id}}


def about(verb: str, item_id: str) -> Json:
    return {"type": f"conversation.item.{verb}", "item_id": item_id}


def matched(counterparts: Counterparts, event: Json) -> str | None:
    found = counterparts.match(event["type"], event)
    return found.name.partition(",")[0] if found else None


def translated(counterparts: Counterparts, event: Json) -> Json:
    told: Json = json.loads(counterparts.translate(event["type"], json.dumps(event)))
    return told


def test_messages_are_matched_by_what_they_are_and_in_their_order(script: Any) -> None:
    create, beside = {"type": "response.create"}, {"type": "response.create", "response": {"conversation": "none"}}
    for event in (create, beside, create, output("call_a"), output("call_b"), about("delete", "item_1")):
        script.client(event)
    counterparts = Counterparts(make_server_plan(script.messages))

    assert [matched(counterparts, event) for event in (create, create, create, beside)] == [
        "response.create #1",
        "response.create #3",
        None,
        "response.create #2",
    ]
    assert matched(counterparts, output("call_b")) == "conversation.item.create #2"
    assert matched(counterparts, output("call_c")) is None
    assert matched(counterparts, about("delete", "item_2")) is None
    assert matched(counterparts, about("delete", "item_1")) == "conversation.item.delete #1"


def test_an_item_bears_the_id_that_this_client_chose(script: Any) -> None:
    script.client(message("old")).client(about("delete", "old"))
    counterparts = Counterparts(make_server_plan(script.messages))
    matched(counterparts, message("mine"))

    added = {"type": "conversation.item.added", "previous_item_id": "other", "item": {"id": "old", "role": "user"}}
    assert translated(counterparts, added) == {**added, "item": {"id": "mine", "role": "user"}}
    assert matched(counterparts, about("delete", "mine")) == "conversation.item.delete #1"


def test_an_id_that_the_recorded_server_gave_is_replaced_where_this_client_chose_one(script: Any) -> None:
    added = {"type": "conversation.item.added", "item": {"id": "item_1", "type": "message", "role": "user"}}
    script.server(CREATED).client(message()).server(added)
    plan = make_server_plan(script.messages)

    counterparts = Counterparts(plan)
    matched(counterparts, message("mine"))
    assert translated(counterparts, added)["item"]["id"] == "mine"

    unnamed = Counterparts(plan)
    matched(unnamed, message())
    assert unnamed.translate("conversation.item.added", "the very bytes") == "the very bytes"


def test_what_only_looks_like_an_id_is_left_as_it_was(script: Any) -> None:
    script.client(message("1"))
    counterparts = Counterparts(make_server_plan(script.messages))
    matched(counterparts, message("mine"))
    item = {"id": "1", "role": "user", "content": [{"type": "input_text", "text": "1"}]}
    added = {"type": "conversation.item.added", "event_id": "1", "previous_item_id": "1", "item": item}
    assert translated(counterparts, added) == {**added, "previous_item_id": "mine", "item": {**item, "id": "mine"}}


def test_a_call_that_the_client_wrote_itself_is_known_by_its_own_id(script: Any) -> None:
    call = {"type": "function_call", "name": "f", "role": None}
    script.client(message("old", **call, call_id="call_old")).client(output("call_old"))
    counterparts = Counterparts(make_server_plan(script.messages))
    matched(counterparts, message("old", **call, call_id="call_mine"))
    assert matched(counterparts, output("call_mine")) == "conversation.item.create #2"


@pytest.mark.parametrize("mine", ["mine", None])
def test_an_error_names_the_event_id_of_this_client(script: Any, mine: str | None) -> None:
    script.client({"type": "response.cancel", "event_id": "old"})
    counterparts = Counterparts(make_server_plan(script.messages))
    matched(counterparts, {"type": "response.cancel", **({"event_id": mine} if mine else {})})
    told = translated(counterparts, {"type": "error", "event_id": "event_1", "error": {"event_id": "old", "code": "x"}})
    assert told == {"type": "error", "event_id": "event_1", "error": {"event_id": mine, "code": "x"}}


def test_an_error_names_the_event_id_that_only_this_client_gave(script: Any) -> None:
    error = {"type": "error", "event_id": "event_1", "error": {"code": "response_cancel_not_active", "event_id": None}}
    script.server(CREATED).client({"type": "response.cancel"}).server(error)
    counterparts = Counterparts(make_server_plan(script.messages))
    matched(counterparts, {"type": "response.cancel", "event_id": "cancel_mine"})
    assert translated(counterparts, error)["error"] == {
        "code": "response_cancel_not_active",
        "event_id": "cancel_mine",
    }


def test_a_response_bears_the_metadata_that_this_client_gave_it(script: Any) -> None:
    begun = {"type": "response.created", "response": {"id": "resp_1", "metadata": {"topic": "old"}}}
    script.server(CREATED).client({"type": "response.create", "response": {"metadata": {"topic": "old"}}}).server(begun)
    counterparts = Counterparts(make_server_plan(script.messages))
    matched(counterparts, {"type": "response.create", "response": {"metadata": {"topic": "mine"}}})
    assert translated(counterparts, begun)["response"] == {"id": "resp_1", "metadata": {"topic": "mine"}}


def test_what_holds_no_id_of_the_client_keeps_its_bytes(script: Any) -> None:
    script.client(message("old"))
    counterparts = Counterparts(make_server_plan(script.messages))
    matched(counterparts, message("mine"))
    contents: tuple[str | bytes, ...] = ('{"type":  "a",  "b": "\\u00e9"}', "no JSON", b"\x00")
    for content in contents:
        assert counterparts.translate("a", content) == content


def test_settings_asked_otherwise_are_listed_from_the_top() -> None:
    recorded = {"type": "session.update", "session": {"voice": "a", "tools": [], "audio": {"x": {"y": 1, "z": 2}}}}
    mine = {"type": "session.update", "session": {"voice": "a", "audio": {"x": {"y": 3, "z": 2}, "w": {"v": 1}}}}
    awaited = Awaited(1, 0, 0, "session.update", recorded, "session.update #1")
    assert list(differing_settings(awaited, mine)) == [
        "session.tools is not set, recorded []",
        "session.audio.x.y is 3, recorded 1",
        'session.audio.w is {"v": 1}, recorded not set',
    ]
    assert list(differing_settings(awaited, recorded)) == []


def test_credentials_of_a_tool_are_neither_told_nor_a_difference() -> None:
    def update(key: str, instructions: str) -> Json:
        tool = {"type": "mcp", "server_label": "crm", "authorization": key, "headers": {"X-Api-Key": key}}
        return {"type": "session.update", "session": {"instructions": instructions, "tools": [tool]}}

    awaited = Awaited(1, 0, 0, "session.update", update("[redacted]", "Be brief."), "session.update #1")
    assert list(differing_settings(awaited, update("Bearer of-this-client", "Be brief."))) == []

    (told,) = differing_settings(awaited, update("Bearer of-this-client", "Be kind. " * 500))
    assert told.startswith('session.instructions is "Be kind. Be kind.')
    assert told.endswith('…, recorded "Be brief."')
    assert len(told) < 300

    other = {
        "type": "session.update",
        "session": {"instructions": "Be brief.", "tools": [{"authorization": "of-this"}]},
    }
    (told,) = differing_settings(awaited, other)
    assert told.startswith('session.tools is [{"authorization": "[redacted]"}], recorded [')
