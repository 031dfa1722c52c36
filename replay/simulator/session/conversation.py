"""The items of a conversation, in order, with the audio that belongs to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pybase64

from capture.audio import PCM16_24K, AudioFormat
from replay.simulator.protocol.mistakes import ClientMistake

Json = dict[str, Any]


@dataclass(slots=True)
class Item:
    """One item; `content` is what events show of it, which never holds audio."""

    content: Json
    """The item as `conversation.item.added` shows it."""
    audio: bytearray = field(default_factory=bytearray)
    """Its audio so far: all of a user's, of an assistant's what has been sent."""
    audio_format: AudioFormat = PCM16_24K

    @property
    def item_id(self) -> str:
        """Id of the item."""
        return str(self.content["id"])

    @property
    def audio_ms(self) -> int:
        """Duration of its audio, whole milliseconds."""
        return int(self.audio_format.milliseconds(len(self.audio)))

    def with_audio(self) -> Json:
        """Show the item as `conversation.item.retrieved` does: with its audio in base64."""
        parts = [dict(part) for part in self.content.get("content", ())]
        for part in parts:
            if part["type"] in ("input_audio", "output_audio"):
                part["audio"] = pybase64.b64encode(bytes(self.audio)).decode()
        return {**self.content, "content": parts} if parts else self.content


class Conversation:
    """Items in the order the model reads them. Mistakes of the client raise `ClientMistake`."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    @property
    def items(self) -> tuple[Item, ...]:
        """All items in order."""
        return tuple(self._items)

    @property
    def last_id(self) -> str | None:
        """Id of the last item; None while there is none."""
        return self._items[-1].item_id if self._items else None

    def find(self, item_id: str) -> Item | None:
        """Look an item up."""
        return next((item for item in self._items if item.item_id == item_id), None)

    def add(self, item: Item, previous_item_id: str | None = None) -> str | None:
        """Insert an item after another, at the head (`root`), or at the end (None); give the id before it."""
        if self.find(item.item_id) is not None:
            raise ClientMistake(
                "item_create_duplicate_item_id",
                f"Error adding item: an item with id '{item.item_id}' already exists.",
                "item.id",
            )
        place = self._place_after(previous_item_id)
        self._items.insert(place, item)
        return self._items[place - 1].item_id if place else None

    def delete(self, item_id: str) -> None:
        """Take an item out."""
        self._items.remove(self._get(item_id, "delet"))

    def retrieve(self, item_id: str) -> Json:
        """Show an item with its audio."""
        return self._get(item_id, "retriev").with_audio()

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut the audio of an assistant's message; its transcript goes, for nobody knows which words remain."""
        item = self._get(item_id, "truncat")
        if item.content.get("role") != "assistant" or not item.audio:
            raise ClientMistake("invalid_value", "Only model output audio messages can be truncated", "item_id")
        if content_index != 0:
            raise ClientMistake(
                "invalid_value", f"Content index {content_index} of item '{item_id}' is no audio", "content_index"
            )
        if audio_end_ms > item.audio_ms:
            raise ClientMistake(
                "invalid_value",
                f"Audio content of {item.audio_ms}ms is already shorter than {audio_end_ms}ms",
                "audio_end_ms",
            )
        del item.audio[int(audio_end_ms * item.audio_format.bytes_per_ms) :]
        item.content = {**item.content, "content": [{"type": "output_audio"}]}

    def check_tool_output(self, call_id: str) -> None:
        """Refuse the output of a call that nobody made."""
        calls = (item.content for item in self._items if item.content["type"] == "function_call")
        if all(call.get("call_id") != call_id for call in calls):
            raise ClientMistake(
                "invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.", "item.call_id"
            )

    def _place_after(self, previous_item_id: str | None) -> int:
        if previous_item_id is None:
            return len(self._items)
        if previous_item_id == "root":
            return 0
        for index, item in enumerate(self._items):
            if item.item_id == previous_item_id:
                return index + 1
        raise ClientMistake(
            "item_create_invalid_previous_item_id",
            f"Error adding item: the previous item with id '{previous_item_id}' does not exist.",
            "previous_item_id",
        )

    def _get(self, item_id: str, verb_stem: str) -> Item:
        item = self.find(item_id)
        if item is None:
            raise ClientMistake(
                f"item_{verb_stem}e_invalid_item_id",
                f"Error {verb_stem}ing item: the item with id '{item_id}' does not exist.",
                "item_id",
            )
        return item
