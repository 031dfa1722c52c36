"""A message's header: what identifies it, read without ever failing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.realtime.events import (
    EventHeader,
    is_repeat,
    items_told,
    parse_event,
    read_header,
    response_of,
    storable,
    write_json,
)

FIELDS = EventHeader.__struct_fields__
NESTED_TOO_DEEPLY = '{"type":"x","a":' + "[" * 100_000 + "]" * 100_000 + "}"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()), max_size=8),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from([*FIELDS, "item", "response", "error", "id", "code", "status_details"]), children
        )
    ),
    max_leaves=12,
)
events = st.dictionaries(
    st.sampled_from([*FIELDS, "item", "response", "error"]) | st.text(max_size=3), json_values, max_size=8
)


def header(event: object) -> EventHeader:
    found = read_header(json.dumps(event))
    assert found is not None
    return found


def test_an_audio_delta_is_identified_by_its_top_level_ids() -> None:
    assert header(
        {
            "type": "response.output_audio.delta",
            "event_id": "event_1",
            "response_id": "resp_1",
            "item_id": "item_1",
            "output_index": 1,
            "content_index": 0,
            "delta": "AAAA",
        }
    ) == EventHeader(
        type="response.output_audio.delta",
        event_id="event_1",
        response_id="resp_1",
        item_id="item_1",
        output_index=1,
        content_index=0,
    )


def test_an_item_event_is_identified_by_the_item_it_carries() -> None:
    found = header(
        {
            "type": "conversation.item.added",
            "previous_item_id": "item_0",
            "item": {"id": "item_1", "type": "function_call", "call_id": "call_1", "arguments": "{}"},
        }
    )
    assert (found.previous_item_id, found.item_id, found.call_id) == ("item_0", "item_1", "call_1")


def test_ids_at_the_top_level_outrank_those_of_what_is_carried() -> None:
    found = header(
        {
            "type": "x",
            "item_id": "top",
            "call_id": "top",
            "response_id": "top",
            "item": {"id": "inner", "call_id": "inner"},
            "response": {"id": "inner"},
        }
    )
    assert (found.item_id, found.call_id, found.response_id) == ("top", "top", "top")


def test_the_error_of_a_failed_transcription() -> None:
    found = header(
        {
            "type": "conversation.item.input_audio_transcription.failed",
            "item_id": "item_1",
            "content_index": 0,
            "error": {"type": "server_error", "code": None, "message": "It failed.", "param": None},
        }
    )
    assert (found.error_type, found.error_code, found.error_message, found.error_param) == (
        "server_error",
        None,
        "It failed.",
        None,
    )


def test_the_error_of_a_failed_response_stands_in_its_status_details() -> None:
    found = header(
        {
            "type": "response.done",
            "response": {
                "id": "resp_1",
                "status": "failed",
                "status_details": {"type": "failed", "error": {"type": "server_error", "code": "overloaded"}},
            },
        }
    )
    assert (found.response_id, found.error_type, found.error_code) == ("resp_1", "server_error", "overloaded")


def test_a_response_that_tells_no_details_as_xai_does() -> None:
    found = header(
        {"type": "response.done", "response": {"id": "resp_1", "status_details": "unimplemented"}, "event_id": "e"}
    )
    assert found == EventHeader(type="response.done", event_id="e", response_id="resp_1")


def test_an_error_that_is_a_plain_sentence_as_vllm_sends_it() -> None:
    found = header({"type": "error", "error": "Model not loaded", "code": "not_ready"})
    assert (found.error_type, found.error_code, found.error_message) == (None, "not_ready", "Model not loaded")


def test_an_error_code_that_is_a_number_as_gateways_send_it() -> None:
    assert header({"type": "error", "error": {"type": "auth", "code": 401, "message": "no"}}).error_code == "401"


def test_ids_of_an_unexpected_kind_are_left_out_and_the_rest_is_read() -> None:
    found = header({"type": "x", "item_id": 5, "content_index": "0", "response": [1], "event_id": "event_1"})
    assert found == EventHeader(type="x", event_id="event_1")


@pytest.mark.parametrize("index", [-1, 2**31, 10**30, 1.5, True])
def test_an_index_that_fits_no_column_is_left_out(index: float) -> None:
    assert header({"type": "x", "content_index": index, "output_index": 2**31 - 1}) == EventHeader(
        type="x", output_index=2**31 - 1
    )


@pytest.mark.parametrize("text", ['{"no":"type"}', '{"type":7}', "[]", "5", '"text"', "null", "NaN"])
def test_json_without_a_type_has_an_empty_header(text: str) -> None:
    assert read_header(text) == EventHeader()


@pytest.mark.parametrize("text", ["", "hello", "{", '{"type":"x"} {}', '{"type":"x","a":01}', "\ufeff{}"])
def test_what_is_no_json_has_none(text: str) -> None:
    assert read_header(text) is None


def test_lone_surrogates_are_replaced_in_ids_and_passed_over_elsewhere() -> None:
    assert read_header(r'{"type":"x","item_id":"item_\ud800"}') == EventHeader(type="x", item_id="item_?")
    assert read_header(r'{"type":"x","text":"\ud800"}') == EventHeader(type="x")


def test_storable_text_is_left_as_it_is_but_for_lone_surrogates() -> None:
    assert storable("plain") == "plain"
    assert storable("süß 🎧") == "süß 🎧"
    assert storable("a\udc00b") == "a?b"


def strings_of(found: EventHeader) -> list[str]:
    return [value for name in FIELDS if isinstance(value := getattr(found, name), str)]


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=())))
@example(NESTED_TOO_DEEPLY)
@example('{"a":' * 100_000)
@example('{"type":"x","n":' + "9" * 5_000 + "}")
@example("\ud800")
def test_no_text_makes_it_raise(text: str) -> None:
    found = read_header(text)
    for value in strings_of(found) if found else []:
        value.encode()


@given(events, st.sampled_from([json.dumps, lambda event: json.dumps(event, ensure_ascii=False)]))
def test_no_event_makes_it_raise_or_gives_what_columns_cannot_hold(
    event: dict[str, Any], dump: Callable[[object], str]
) -> None:
    found = read_header(dump(event))
    assert found is not None
    for value in strings_of(found):
        value.encode()
    for index in (found.content_index, found.output_index):
        assert index is None or 0 <= index < 2**31


@given(
    st.fixed_dictionaries(
        {"type": st.text()},
        optional={name: st.text(min_size=1) for name in FIELDS if name.endswith("_id")}
        | {name: st.integers(0, 2**31 - 1) for name in ("content_index", "output_index")}
        | {"item": st.fixed_dictionaries({}, optional={"id": st.text(min_size=1), "call_id": st.text(min_size=1)})},
    )
)
def test_the_fast_and_the_lenient_way_read_alike(event: dict[str, Any]) -> None:
    # NaN is what only the lenient way takes.
    assert header(event) == header({**event, "nan": float("nan")})


def test_every_message_of_a_real_session_has_its_ids(wire_log: Any) -> None:
    for message in wire_log("openai_ws-audio_in_server_vad_turn"):
        found = read_header(message.text)
        assert found is not None
        assert found.type == message.event["type"]
        assert found.event_id == message.event.get("event_id")
        if message.event["type"].startswith("response.output_audio"):
            assert None not in (found.response_id, found.item_id, found.content_index)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"type": "tool_execution_error", "message": "timed out"}, ("tool_execution_error", None, "timed out")),
        ({"type": "http_error", "code": 503, "message": "busy"}, ("http_error", "503", "busy")),
        ("timed out", (None, None, "timed out")),
        (None, (None, None, None)),
    ],
)
def test_the_item_of_an_mcp_call_says_why_it_failed(error: object, told: tuple[str | None, ...]) -> None:
    item = {"id": "item_1", "type": "mcp_call", "error": error}
    done = header({"type": "response.output_item.done", "item": item})
    assert (done.error_type, done.error_code, done.error_message) == told
    # Told once: the conversation has the same item.
    assert header({"type": "conversation.item.done", "item": item}).error_message is None


# Whole messages


def test_a_whole_message_is_parsed_as_text_or_as_bytes() -> None:
    assert parse_event('{"type": "x", "n": 1}') == parse_event(b'{"type": "x", "n": 1}') == {"type": "x", "n": 1}


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ('{"delta": "\\ud83d"}', {"delta": "\ud83d"}),
        ('{"delta": "\ud83d"}', {"delta": "\ud83d"}),
        ('{"n": 1e999}', {"n": float("inf")}),
    ],
)
def test_what_only_the_standard_library_reads_is_read(message: str, event: dict[str, Any]) -> None:
    assert parse_event(message) == event


@pytest.mark.parametrize(
    "message", ["", "no json", "[]", "7", "null", b"\xff\xfe", b'{"a": "\xff"}', NESTED_TOO_DEEPLY]
)
def test_what_is_no_json_object_is_no_event(message: str | bytes) -> None:
    assert parse_event(message) is None


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"type": "response.output_item.done", "item": {"id": "a"}}, ["a"]),
        ({"type": "conversation.item.created", "item": {"id": "a"}}, ["a"]),
        ({"type": "response.done", "response": {"output": [{"id": "a"}, 7, {"id": "b"}]}}, ["a", "b"]),
        ({"type": "response.done", "response": {"output": None}}, []),
        ({"type": "response.created", "response": {"output": [{"id": "a"}]}}, []),
        ({"type": "conversation.item.create", "item": {"id": "a"}}, []),
    ],
)
def test_items_are_told_of_when_they_begin_when_they_are_done_and_with_their_response(
    event: dict[str, Any], told: list[str]
) -> None:
    assert [item["id"] for item in items_told(event)] == told


def test_an_event_names_its_response_or_carries_it() -> None:
    events: list[dict[str, Any]] = [{"response_id": "a"}, {"response": {"id": "b"}}, {"response": {"id": 7}}, {}]
    assert [response_of(event) for event in events] == ["a", "b", None, None]


@pytest.mark.parametrize("text", ["cedar", "é 😀", "cut \ud83d", "\udc00"])
def test_what_is_written_can_be_sent_as_text_and_reads_as_it_was(text: str) -> None:
    written = write_json({"text": text})
    assert json.loads(written.encode()) == {"text": text}


def test_what_utf_8_can_spell_is_written_readably() -> None:
    assert write_json("é 😀") == '"é 😀"'


def test_an_event_that_comes_twice_in_a_row_is_a_repeat_where_it_has_an_id() -> None:
    cleared = {"type": "input_audio_buffer.cleared", "event_id": "event_1"}
    assert is_repeat(cleared, dict(cleared))
    assert not is_repeat(cleared, cleared | {"event_id": "event_2"})
    # One of two alike, where an endpoint gives no ids.
    for without in ({}, {"event_id": None}, {"event_id": ""}):
        assert not is_repeat({"type": "input_audio_buffer.cleared"} | without, {"type": cleared["type"]} | without)
