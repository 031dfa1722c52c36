"""The shapes of items that clients write into a conversation."""

from __future__ import annotations

from collections.abc import Mapping

from replay.simulator.protocol.shapes import Anything, Audio, Choice, ListOf, Nullable, Shape, Table, Tagged, Text

ITEM_ID = Text(max_length=32)
_CALL_ID = Text(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")


def _part(**fields: Shape) -> Table:
    return Table({"type": Anything(), **fields})


_TEXT_PART = Table({"type": Anything(), "text": Text()}, required=("text",))
_CONTENT: Mapping[str, Shape] = {
    "system": ListOf(Tagged("type", {"input_text": _TEXT_PART})),
    "user": ListOf(
        Tagged(
            "type",
            {
                "input_text": _TEXT_PART,
                "input_audio": _part(audio=Audio(), transcript=Nullable(Text())),
                "input_image": _part(image_url=Text(), detail=Choice(("auto", "low", "high"))),
            },
        )
    ),
    "assistant": ListOf(
        Tagged(
            "type",
            {"output_text": _TEXT_PART, "output_audio": _part(audio=Audio(), transcript=Nullable(Text()))},
        )
    ),
}
_ITEM_FIELDS: Mapping[str, Shape] = {
    "id": ITEM_ID,
    "object": Choice(("realtime.item",)),
    "type": Anything(),
    "status": Choice(("completed", "incomplete", "in_progress")),
}
_MESSAGE = Tagged(
    "role",
    {
        role: Table({**_ITEM_FIELDS, "role": Anything(), "content": content}, required=("content",))
        for role, content in _CONTENT.items()
    },
)
ITEMS: Mapping[str, Shape] = {
    "message": _MESSAGE,
    "function_call": Table(
        {**_ITEM_FIELDS, "name": Text(), "call_id": _CALL_ID, "arguments": Text()},
        required=("name", "arguments"),
    ),
    "function_call_output": Table(
        {**_ITEM_FIELDS, "call_id": _CALL_ID, "output": Text()}, required=("call_id", "output")
    ),
}
REFERENCE = Table({"type": Anything(), "id": ITEM_ID}, required=("id",))
