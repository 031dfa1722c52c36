"""What an event tells, in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from analyze.wording import error_of, handshake_words, parse_payload, summary_of
from capture.plain_text import shorten, visible
from tests.analyze.conftest import Trace, events_of


def words_of(event_type: str, **fields: Any) -> str:
    trace = Trace()
    trace.server(0, event_type, **fields)
    events = events_of(trace)
    return summary_of(events[0], (event.payload for event in events))


def test_summaries_say_what_the_type_does_not() -> None:
    transcription = "conversation.item.input_audio_transcription.completed"
    assert words_of(transcription, transcript="hello") == "“hello”"
    usage = {"input_tokens": 7, "output_tokens": 9}
    done = {"status": "cancelled", "status_details": {"reason": "turn_detected"}, "usage": usage}
    assert words_of("response.done", response=done) == "cancelled · turn_detected · 7 tokens in, 9 out"
    called = words_of("response.function_call_arguments.done", name="weather", arguments='{"city":"Rome"}')
    assert called == 'weather({"city":"Rome"})'
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    assert words_of("conversation.item.created", item=item) == "user · “hi”"
    output = {"type": "function_call_output", "output": "sunny"}
    assert words_of("conversation.item.create", item=output) == "function_call_output · “sunny”"
    session = {"id": "sess_1", "model": "gpt-realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    assert words_of("session.updated", session=session) == "sess_1 · gpt-realtime · transcription whisper-1"
    beta = {"id": "sess_1", "input_audio_transcription": {"model": "whisper-1"}}
    assert words_of("session.updated", session=beta) == "sess_1 · transcription whisper-1"
    limits = [{"name": "tokens", "remaining": 5}]
    assert words_of("rate_limits.updated", rate_limits=limits) == "5 tokens left"
    assert words_of("input_audio_buffer.speech_started", audio_start_ms=120) == "audio_start_ms 120"


@pytest.mark.parametrize(
    "fields",
    [
        {"session": {"audio": "loud"}},
        {"session": {"audio": {"input": None}}},
        {"response": {"status": 7, "status_details": "unimplemented", "usage": {}}},
        {"item": {"content": "text"}},
        {"item": {"content": [None, {"text": None}]}},
        {"rate_limits": [None]},
        {"transcript": None, "text": 5},
    ],
)
def test_events_of_another_shape_are_no_error(fields: dict[str, Any]) -> None:
    assert isinstance(words_of("some.event", **fields), str)


@pytest.mark.parametrize(
    "payload", ["[1]", "null", "{", '{"a": NaN}', "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, None]
)
def test_text_that_is_no_json_object_is_an_empty_one(payload: str | None) -> None:
    assert parse_payload(payload) == {}


def test_hostile_text_is_shown_not_obeyed() -> None:
    assert words_of("x.done", transcript="\x1b[2J\u202eevil") == r"“\x1b[2J\u202eevil”"
    trace = Trace()
    trace.server(0, "error", error={"type": "server_error", "message": "\x1b]0;owned\x07"})
    assert error_of(events_of(trace)[0]) == r"server_error · \x1b]0;owned\x07"


def test_an_error_without_words_is_still_an_error() -> None:
    trace = Trace()
    trace.server(0, "mcp_list_tools.failed", item_id="item_1")
    assert error_of(events_of(trace)[0]) == "failed, without saying why"


def test_what_an_mcp_server_is_asked_names_it() -> None:
    trace = Trace()
    item = {"id": "item_1", "type": "mcp_call", "server_label": "crm", "name": "search_orders", "arguments": ""}
    trace.server(0, "response.output_item.added", response_id="resp_1", item=item)
    trace.server(1, "response.mcp_call_arguments.done", response_id="resp_1", item_id="item_1", arguments='{"id": 7}')
    trace.server(2, "conversation.item.added", item={"id": "item_2", "type": "mcp_list_tools", "server_label": "crm"})
    assert [summary_of(event, [event.payload]) for event in events_of(trace)] == [
        "mcp_call · crm · search_orders",
        '({"id": 7})',
        "mcp_list_tools · crm",
    ]


def test_a_close_frame_tells_code_and_reason() -> None:
    trace = Trace()
    trace.frame("server", 0, "close", b"\x03\xe9expired")
    trace.frame("client", 1, "close", b"")
    trace.frame("client", 2, "binary", b"\x00" * 1500)
    assert [summary_of(event, [event.payload]) for event in events_of(trace)] == [
        "1001 expired",
        "no code",
        "1,502 bytes",
    ]


@pytest.mark.parametrize("end", ["x", "\x1b", "\u202e"])
@pytest.mark.parametrize("length", [198, 199, 200, 201, 100_000])
def test_a_long_text_is_summed_up_by_its_beginning(length: int, end: str) -> None:
    for begin in ("", "\x1b" * 60):
        said = begin + end.rjust(length - len(visible(begin)), "o")
        whole = visible(f"“{said}”")
        assert words_of("response.output_text.done", text=said) == shorten(whole, 200)


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (None, {}, None),
        (308, {"location": "https://h/"}, "HTTP 308 Permanent Redirect, and sends to https://h/"),
        (401, None, "HTTP 401 Unauthorized"),
    ],
)
def test_an_answer_to_the_upgrade_is_told_as_calls_tell_it(
    status: int | None, headers: dict[str, str] | None, words: str | None
) -> None:
    assert handshake_words({"handshake_status": status, "response_headers": headers}) == words
