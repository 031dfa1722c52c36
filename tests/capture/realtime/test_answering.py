"""Which of the client's open messages an event of the endpoint answers, and which one an error is about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.realtime.answering import ANSWERED, find_answered, find_creation, find_culprit, find_of

Json = dict[str, Any]

CREATE: Json = {"type": "response.create"}
BESIDE: Json = {"type": "response.create", "response": {"conversation": "none"}}
CANCEL: Json = {"type": "response.cancel"}
COMMIT: Json = {"type": "input_audio_buffer.commit"}
UPDATE: Json = {"type": "session.update"}
MOOD = {"about": "mood"}
ABOUT_MOOD: Json = {"type": "response.create", "response": {"conversation": "none", "metadata": MOOD}}
TRUNCATE: Json = {"type": "conversation.item.truncate", "item_id": "item_a"}
WRITE: Json = {"type": "conversation.item.create", "item": {"type": "message", "role": "user"}}
OUTPUT: Json = {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "call_a"}}
REFUSED: Json = {"type": "invalid_request_error", "code": None, "param": None, "event_id": None}


@pytest.mark.parametrize(
    ("event", "sent", "place"),
    [
        ({"type": "session.updated"}, [CREATE, UPDATE], 1),
        ({"type": "transcription_session.updated"}, [{"type": "transcription_session.update"}], 0),
        ({"type": "input_audio_buffer.committed"}, [CREATE, COMMIT, COMMIT], 1),
        ({"type": "conversation.item.truncated", "item_id": "item_a"}, [CREATE, TRUNCATE], 1),
        ({"type": "conversation.item.truncated", "item_id": "item_b"}, [TRUNCATE], None),
        ({"type": "conversation.item.created", "item": {"type": "message", "role": "user"}}, [OUTPUT, WRITE], 1),
        ({"type": "response.created", "response": {"conversation_id": None}}, [CREATE, BESIDE], 1),
        ({"type": "response.created", "response": {}}, [BESIDE, CREATE], 1),
        (
            {"type": "response.created", "response": {"conversation_id": None, "metadata": MOOD}},
            [BESIDE, ABOUT_MOOD],
            1,
        ),
        # One that gives no metadata back.
        ({"type": "response.created", "response": {"conversation_id": None}}, [ABOUT_MOOD, BESIDE], 0),
        # Not all endpoints tell whether a response is one of the conversation.
        ({"type": "response.created", "response": {}}, [BESIDE], 0),
        ({"type": "response.created", "response": {"conversation_id": None}}, [CREATE], 0),
        ({"type": "response.created", "response": {"conversation_id": "conv_1"}}, [BESIDE], None),
        ({"type": "response.done", "response": {}}, [CREATE, CANCEL], 1),
        ({"type": "error", "error": {"code": "response_cancel_not_active"}}, [CREATE, CANCEL], 1),
        ({"type": "rate_limits.updated"}, [CREATE], None),
    ],
)
def test_an_event_answers_what_asked_for_it(event: Json, sent: list[Json], place: int | None) -> None:
    assert find_answered(event, sent) == place


@pytest.mark.parametrize(
    ("error", "sent", "place"),
    [
        ({"code": "response_cancel_not_active"}, [CANCEL, CREATE], 0),
        # The cancel went with the response that it came too late for.
        ({"code": "response_cancel_not_active"}, [CREATE], None),
        ({"code": "invalid_tool_call_id"}, [OUTPUT, CREATE], 0),
        ({"code": "item_truncate_invalid_item_id"}, [TRUNCATE, CREATE], 0),
        ({"code": "input_audio_buffer_commit_empty"}, [COMMIT, CREATE], 0),
        ({"code": "invalid_value", "param": "audio_end_ms"}, [TRUNCATE, CREATE], 0),
        ({"code": "unknown_parameter", "param": "response.modalities"}, [CREATE, TRUNCATE], 0),
        ({"code": "invalid_value", "param": "response_id"}, [CANCEL, CREATE], 0),
        ({"code": "missing_required_parameter", "param": "session.type"}, [UPDATE, CREATE], 0),
        ({"code": "invalid_value", "param": "item.content[0].type"}, [WRITE, CREATE], 0),
        ({"code": "invalid_value", "param": "audio"}, [CREATE], None),
        ({"code": "session_expired"}, [CREATE], None),
        # It says neither what it is about nor how it is called: as old endpoints refuse a truncation.
        ({}, [TRUNCATE, CREATE], 0),
        ({}, [CANCEL, TRUNCATE, CREATE], 1),
        ({}, [CREATE], 0),
        ({}, [CREATE, CREATE], 1),
        ({"type": "server_error"}, [CREATE], 0),
        ({"type": "server_error"}, [TRUNCATE, CREATE], None),
        ({"event_id": "evt_of_an_append"}, [CREATE], None),
    ],
)
def test_an_error_that_names_no_event_is_about_what_it_can_be_about(
    error: Json, sent: list[Json], place: int | None
) -> None:
    assert find_culprit(REFUSED | error, sent) == place


def test_an_error_is_about_the_event_that_it_names_whatever_else_it_says() -> None:
    sent = [CREATE | {"event_id": "evt_1"}, CANCEL | {"event_id": "evt_2"}]
    assert find_culprit(REFUSED | {"event_id": "evt_1", "code": "response_cancel_not_active"}, sent) == 0


def test_of_two_responses_the_second_was_refused_and_one_beside_the_conversation_is_not_in_its_way() -> None:
    active = REFUSED | {"code": "conversation_already_has_active_response"}
    assert find_culprit(active, [CREATE, CREATE, BESIDE]) == 1
    assert find_culprit(active, [BESIDE]) == 0


def test_an_item_is_known_by_the_id_that_the_client_chose_or_by_what_it_is() -> None:
    sent = [WRITE | {"item": {**WRITE["item"], "id": "mine"}}, OUTPUT, WRITE]
    assert find_creation({"id": "item_1", **WRITE["item"]}, sent) == 2
    assert find_creation({"id": "mine", **WRITE["item"]}, sent) == 0
    assert find_creation({"id": "item_1", "type": "message", "role": "system"}, sent) is None
    assert find_of(sent, {"conversation.item.create"}) == 0


texts = st.none() | st.sampled_from(["response", "session.voice", "invalid_value", "item", ""]) | st.text(max_size=5)
errors = st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "code", "param", "event_id"), texts))


@given(errors, st.lists(st.sampled_from(sorted(ANSWERED - {"response.create"})), min_size=1))
def test_a_response_that_may_still_come_is_given_up_only_where_an_error_says_so(error: Json, types: list[str]) -> None:
    sent = [*({"type": name} for name in types), CREATE]
    says_so = str(error.get("param")).partition(".")[0] == "response"
    assert (find_culprit(error, sent) == len(types)) == says_so


@pytest.mark.parametrize("error", [{}, {"code": ["no", "code"]}, {"param": 7}, {"event_id": {}}, {"code": 429}])
def test_odd_errors_are_about_nothing_where_nothing_is_open(error: Json) -> None:
    assert find_culprit(error, []) is None
