"""Which of the client's open messages an event of the server answers."""

from __future__ import annotations

from typing import Any

import pytest

from capture.realtime.events import asks_out_of_band
from replay.unanswered import Awaited, Unanswered

Json = dict[str, Any]

CREATE: Json = {"type": "response.create"}
BESIDE: Json = {"type": "response.create", "response": {"conversation": "none"}}


def open_messages(*events: Json, after: int = 0) -> Unanswered:
    """Take in messages, numbered from 1."""
    unanswered = Unanswered()
    for number, event in enumerate(events, 1):
        unanswered.add(Awaited(number, 0, after, event["type"], event, f"{event['type']} #{number}"))
    return unanswered


def number_of(found: Awaited | None) -> int | None:
    return None if found is None else found.number


def test_first_come_first_answered_and_once_only() -> None:
    unanswered = open_messages(CREATE, {"type": "session.update"}, {"type": "session.update"})
    assert [number_of(unanswered.answer({"session.update"})) for _ in range(3)] == [2, 3, None]


def test_an_answer_about_an_item_is_to_the_question_about_that_item() -> None:
    delete = "conversation.item.delete"
    unanswered = open_messages({"type": delete, "item_id": "a"}, {"type": delete, "item_id": "b"})
    assert [number_of(unanswered.answer({delete}, item_id=item)) for item in ("b", "c", "a")] == [2, None, 1]


def test_responses_beside_the_conversation_are_told_apart() -> None:
    unanswered = open_messages(BESIDE, CREATE)
    assert number_of(unanswered.response({}, before=None)) == 2
    assert number_of(unanswered.response({"conversation_id": "conv_1"}, before=None)) is None
    assert number_of(unanswered.response({"conversation_id": None}, before=None)) == 1
    assert (asks_out_of_band(BESIDE), asks_out_of_band(CREATE)) == (True, False)


def test_a_turn_that_was_due_before_has_its_response_first() -> None:
    unanswered = open_messages(CREATE, CREATE)
    assert number_of(unanswered.response({}, before=0)) is None
    assert number_of(unanswered.response({}, before=5)) == 1


def test_an_item_is_known_by_the_id_that_the_client_chose_or_by_what_it_is() -> None:
    create = "conversation.item.create"
    unanswered = open_messages(
        {"type": create, "item": {"id": "mine", "type": "message", "role": "user"}},
        {"type": create, "item": {"type": "message", "role": "system"}},
        {"type": create, "item": {"type": "message", "role": "user"}},
    )
    user = {"type": "message", "role": "user"}
    assert number_of(unanswered.creation({"id": "item_1", **user})) == 3
    assert number_of(unanswered.creation({"id": "item_2", **user})) is None
    assert number_of(unanswered.creation({"id": "mine", **user})) == 1


@pytest.mark.parametrize(
    ("error", "number"),
    [
        ({"event_id": "evt_1"}, 1),
        ({"code": "conversation_already_has_active_response"}, 2),
        ({"code": ["not", "a", "code"]}, None),
        ({"param": "session.voice"}, 1),
        # Of what says nothing the response is the last to be given up.
        ({"type": "invalid_request_error"}, 1),
        ({"param": "response.voice"}, 2),
        ({"type": "server_error"}, None),
    ],
)
def test_an_error_is_about_what_it_names_or_else_about_what_came_last(error: Json, number: int | None) -> None:
    unanswered = open_messages({"type": "session.update", "event_id": "evt_1"}, CREATE, {"type": "vendor.event"})
    assert number_of(unanswered.culprit(error)) == number


def test_what_came_since_the_server_spoke_stays_open() -> None:
    unanswered = open_messages(CREATE, CREATE, after=7)
    assert number_of(unanswered.last_since(8)) is None
    assert [number_of(unanswered.last_since(7)) for _ in range(2)] == [2, 2]
