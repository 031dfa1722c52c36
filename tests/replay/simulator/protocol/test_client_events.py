import json
from pathlib import Path
from typing import Any

import pytest

from replay.simulator.protocol.client_events import CLIENT_EVENTS, check_client_event, read_event_id
from replay.simulator.protocol.mistakes import ClientMistake


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ([], "invalid_type", "event"),
        ({}, "missing_required_parameter", "type"),
        ({"type": 3}, "invalid_type", "type"),
        ({"type": "nope"}, "invalid_value", "type"),
        ({"type": "transcription_session.update"}, "invalid_value", "type"),
        ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.commit", "now": True}, "unknown_parameter", "now"),
        ({"type": "response.cancel", "event_id": 7}, "invalid_type", "event_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 1.5},
            "invalid_type",
            "audio_end_ms",
        ),
    ],
)
def test_refuses_what_the_protocol_does_not_know(event: object, code: str, param: str) -> None:
    with pytest.raises(ClientMistake) as refused:
        check_client_event(event)

    assert (refused.value.code, refused.value.param) == (code, param)


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ClientMistake, match=r"Invalid value: 'nope'. Supported values are: 'session.update', .* and"):
        check_client_event({"type": "nope"})


def test_tells_the_type_and_the_id() -> None:
    event = {"type": "input_audio_buffer.clear", "event_id": "mine"}

    assert check_client_event(event) == "input_audio_buffer.clear"
    assert read_event_id(event) == "mine"
    assert read_event_id(None) is None


def test_knows_every_event_that_a_websocket_client_may_send(shared: Path) -> None:
    path = shared / "protocol" / "events_ga.json"

    assert set(CLIENT_EVENTS) == set(json.loads(path.read_text())["client"]) - {"output_audio_buffer.clear"}


def test_takes_what_real_clients_sent(shared: Path) -> None:
    fixtures = sorted((shared / "fixtures").glob("azure_ws-*.jsonl")) + sorted(
        (shared / "fixtures").glob("openai_ws-*")
    )

    sent = [event for path in fixtures for event in _sent(path)]

    assert {check_client_event(event) for event in sent} >= {"session.update", "response.create"}


def _sent(path: Path) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return [line["data"] for line in lines if line["direction"] == "sent"]
