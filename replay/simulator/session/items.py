"""Items that clients write into a conversation."""

from __future__ import annotations

from capture.audio import PCM16_24K
from capture.realtime.audio_formats import parse_format
from replay.simulator.ids import IdSource
from replay.simulator.protocol.shapes import decode_audio
from replay.simulator.session.conversation import Item, Json

_AUDIO_PARTS = ("input_audio", "output_audio")


def make_item(asked: Json, ids: IdSource, session: Json) -> Item:
    """Make the item of a checked conversation.item.create: its id is the client's, or a new one."""
    item_id = asked.get("id") or ids.make("item")
    if asked["type"] == "message":
        return _make_message(asked, item_id, session)
    content = {"id": item_id, "type": asked["type"]}
    if asked["type"] == "function_call":
        content |= {
            "status": "completed",
            "name": asked["name"],
            "call_id": asked.get("call_id") or ids.make("call"),
            "arguments": asked["arguments"],
        }
    else:
        content |= {"call_id": asked["call_id"], "output": asked["output"]}
    return Item(content)


def _make_message(asked: Json, item_id: str, session: Json) -> Item:
    content = {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "role": asked["role"],
        "content": [_show_part(part) for part in asked["content"]],
    }
    side = "output" if asked["role"] == "assistant" else "input"
    audio_format = parse_format(session["audio"][side]["format"]) or PCM16_24K
    audio = b"".join(decode_audio(part["audio"], "audio") for part in asked["content"] if part.get("audio"))
    return Item(content, bytearray(audio), audio_format)


def _show_part(part: Json) -> Json:
    # Events show a message without its audio.
    shown = {name: value for name, value in part.items() if name != "audio"}
    return {**shown, "transcript": part.get("transcript")} if part["type"] in _AUDIO_PARTS else shown
