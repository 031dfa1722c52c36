"""All events of the GA dialect that a client may send; the simulator refuses any other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from replay.simulator.protocol.item_shapes import ITEM_ID, ITEMS
from replay.simulator.protocol.mistakes import missing_parameter, refuse_type, refuse_value
from replay.simulator.protocol.settings import RESPONSE
from replay.simulator.protocol.shapes import Anything, Nullable, Shape, Table, Tagged, Text, Whole


def _event(required: tuple[str, ...] = (), **fields: Shape) -> Table:
    return Table({"type": Anything(), "event_id": Nullable(Text(max_length=512)), **fields}, required=required)


CLIENT_EVENTS: Mapping[str, Table] = {
    # The session is checked by configuration.py: what is missing there is told before what is wrong.
    "session.update": _event(("session",), session=Anything()),
    "input_audio_buffer.append": _event(("audio",), audio=Text()),
    "input_audio_buffer.commit": _event(),
    "input_audio_buffer.clear": _event(),
    "conversation.item.create": _event(("item",), item=Tagged("type", ITEMS), previous_item_id=Nullable(ITEM_ID)),
    "conversation.item.truncate": _event(
        ("item_id", "content_index", "audio_end_ms"),
        item_id=Text(),
        content_index=Whole(0),
        audio_end_ms=Whole(0),
    ),
    "conversation.item.delete": _event(("item_id",), item_id=Text()),
    "conversation.item.retrieve": _event(("item_id",), item_id=Text()),
    "response.create": _event(response=Nullable(RESPONSE)),
    "response.cancel": _event(response_id=Nullable(Text())),
}
"""Every event that a WebSocket client may send; `output_audio_buffer.clear` is for WebRTC only."""

TRANSCRIPTION_EVENTS = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.delete",
    "conversation.item.retrieve",
)
"""Those that a transcription session takes: it answers nothing, and its items are the user's turns."""


def check_client_event(event: object, taken: Collection[str] = CLIENT_EVENTS) -> str:
    """Check a client's event, one of the `taken` types, and tell its type; raises `ClientMistake`."""
    if not isinstance(event, dict):
        raise refuse_type(("an object",), event, "event")
    event_type = event.get("type")
    if "type" not in event:
        raise missing_parameter("type")
    if not isinstance(event_type, str):
        raise refuse_type(("a string",), event_type, "type")
    if event_type not in taken:
        raise refuse_value(event_type, tuple(taken), "type")
    CLIENT_EVENTS[event_type].check(event, "")
    return event_type


def read_event_id(event: Any) -> str | None:
    """Read the id that the client gave its event; errors echo it."""
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else None
