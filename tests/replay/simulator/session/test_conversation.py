import base64
from typing import Any

import pytest

from capture.audio import PCM16_24K
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.session.conversation import Conversation, Item


def text_item(item_id: str) -> Item:
    return Item({"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]})


def spoken_item(item_id: str, duration_ms: int) -> Item:
    content = {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_audio", "transcript": "It is sunny."}],
    }
    return Item(content, bytearray(PCM16_24K.silence(duration_ms)))


def ids(conversation: Conversation) -> list[str]:
    return [item.item_id for item in conversation.items]


def refused(call: Any, *arguments: Any) -> tuple[str, str, str | None]:
    with pytest.raises(ClientMistake) as mistake:
        call(*arguments)
    return mistake.value.code, mistake.value.message, mistake.value.param


def test_items_come_after_the_last_the_named_or_at_the_head() -> None:
    conversation = Conversation()

    assert conversation.add(text_item("a")) is None
    assert conversation.add(text_item("b")) == "a"
    assert conversation.add(text_item("c"), "a") == "a"
    assert conversation.add(text_item("d"), "root") is None
    assert ids(conversation) == ["d", "a", "c", "b"]
    assert conversation.last_id == "b"


def test_an_unknown_predecessor_adds_nothing() -> None:
    conversation = Conversation()

    assert refused(conversation.add, text_item("a"), "gone") == (
        "item_create_invalid_previous_item_id",
        "Error adding item: the previous item with id 'gone' does not exist.",
        "previous_item_id",
    )
    assert conversation.items == ()


def test_an_id_is_taken_once() -> None:
    conversation = Conversation()
    conversation.add(text_item("a"))

    code, message, param = refused(conversation.add, text_item("a"))
    assert (code, param) == ("item_create_duplicate_item_id", "item.id")
    assert "'a' already exists" in message


def test_items_are_deleted_and_retrieved_by_id() -> None:
    conversation = Conversation()
    conversation.add(spoken_item("a", 100))

    retrieved = conversation.retrieve("a")
    assert base64.b64decode(retrieved["content"][0]["audio"]) == PCM16_24K.silence(100)
    conversation.delete("a")

    assert refused(conversation.retrieve, "a") == (
        "item_retrieve_invalid_item_id",
        "Error retrieving item: the item with id 'a' does not exist.",
        "item_id",
    )
    assert refused(conversation.delete, "a")[:2] == (
        "item_delete_invalid_item_id",
        "Error deleting item: the item with id 'a' does not exist.",
    )


def test_truncating_cuts_the_audio_and_drops_the_transcript() -> None:
    conversation = Conversation()
    conversation.add(spoken_item("a", 2000))

    conversation.truncate("a", 0, 1200)

    (item,) = conversation.items
    assert item.audio_ms == 1200
    assert item.content["content"] == [{"type": "output_audio"}]


def test_truncating_beyond_the_audio_is_refused_with_both_durations() -> None:
    conversation = Conversation()
    conversation.add(spoken_item("a", 9250))

    assert refused(conversation.truncate, "a", 0, 57340) == (
        "invalid_value",
        "Audio content of 9250ms is already shorter than 57340ms",
        "audio_end_ms",
    )


def test_only_spoken_answers_can_be_truncated() -> None:
    conversation = Conversation()
    conversation.add(text_item("a"))
    conversation.add(spoken_item("b", 100))

    assert refused(conversation.truncate, "a", 0, 0)[2] == "item_id"
    assert refused(conversation.truncate, "b", 1, 0)[2] == "content_index"
    assert refused(conversation.truncate, "gone", 0, 0)[0] == "item_truncate_invalid_item_id"


def test_a_tool_output_needs_its_call() -> None:
    conversation = Conversation()
    conversation.add(Item({"id": "a", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": ""}))

    conversation.check_tool_output("call_1")
    assert refused(conversation.check_tool_output, "call_2") == (
        "invalid_tool_call_id",
        "Tool call ID 'call_2' not found in conversation.",
        "item.call_id",
    )
