import pytest

from replay.simulator.client.seen_ids import SeenIds, UnseenId


def test_the_last_ids_seen_stand_in_their_places() -> None:
    ids = SeenIds()
    ids.note({"type": "conversation.item.added", "item": {"id": "item_user"}})
    ids.note({"type": "response.created", "response": {"id": "resp_1"}})
    ids.note({"type": "response.output_item.added", "item": {"id": "item_1", "call_id": "call_1"}})

    asked = {"type": "x", "item_id": "{item}", "deep": [{"call_id": "{call}"}], "text": "of {response}", "n": 3}
    assert ids.fill(asked) == {
        "type": "x",
        "item_id": "item_1",
        "deep": [{"call_id": "call_1"}],
        "text": "of resp_1",
        "n": 3,
    }
    ids.note({"type": "response.function_call_arguments.done", "call_id": "call_2"})
    assert ids.fill("{call}") == "call_2"


def test_events_of_other_items_change_nothing() -> None:
    ids = SeenIds()
    ids.note({"type": "response.output_item.added", "item": {"id": "item_1"}})
    ids.note({"type": "conversation.item.input_audio_transcription.completed", "item_id": "item_user"})
    ids.note({"type": "response.output_item.added", "item": None})

    assert ids.fill("{item}") == "item_1"


def test_what_has_not_been_seen_is_told() -> None:
    with pytest.raises(UnseenId, match="no call has been seen yet"):
        SeenIds().fill({"call_id": "{call}"})


def test_null_is_written_as_toml_can() -> None:
    assert SeenIds().fill({"turn_detection": "{null}", "text": "a {null}"}) == {
        "turn_detection": None,
        "text": "a {null}",
    }
