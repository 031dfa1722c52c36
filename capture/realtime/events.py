"""Read what identifies a message, and leave the rest of its text alone.

The fields follow protocol section 1.2 (ids) and 1.6 (outcomes): ids stand at the top level or in the `item`
or `response` the event carries, errors in `error`, in a failed response's `status_details`, or in the item of an MCP
call that is done.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec

Json = dict[str, Any]

OUTPUT_DONE = "response.output_item.done"
_LARGEST_INDEX = 2**31 - 1
_TELLS_ITEM = {
    "response.output_item.added",
    "response.output_item.done",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.done",
}


class EventHeader(msgspec.Struct, gc=False):
    """Type, ids and error of one message; None where it has none."""

    type: str | None = None
    event_id: str | None = None
    item_id: str | None = None
    previous_item_id: str | None = None
    response_id: str | None = None
    call_id: str | None = None
    content_index: int | None = None
    output_index: int | None = None
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_param: str | None = None


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


class _StatusDetails(msgspec.Struct):
    error: _Error | None = None


class _Item(msgspec.Struct):
    id: str | None = None
    call_id: str | None = None
    error: _Error | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    status_details: _StatusDetails | None = None


# Index columns are 32 bits wide: what does not fit is read leniently, as None.
_Index = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_INDEX)]


class _Envelope(msgspec.Struct):
    type: str
    event_id: str | None = None
    item_id: str | None = None
    previous_item_id: str | None = None
    response_id: str | None = None
    call_id: str | None = None
    content_index: _Index | None = None
    output_index: _Index | None = None
    item: _Item | None = None
    response: _Response | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Envelope).decode


def read_header(text: str) -> EventHeader | None:
    """Read a message's header; None where the text is no JSON, or nested too deeply to be read.

    JSON of an unexpected shape (no `type`, ids that are no strings, lone surrogates, NaN) gives a header with
    what could be read. Never raises; what it returns can be encoded as UTF-8.
    """
    try:
        envelope = _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return _read_leniently(text)
    item, response = envelope.item, envelope.response
    header = EventHeader(
        envelope.type,
        envelope.event_id,
        envelope.item_id,
        envelope.previous_item_id,
        envelope.response_id,
        envelope.call_id,
        envelope.content_index,
        envelope.output_index,
    )
    error = envelope.error
    if item is not None:
        header.item_id = header.item_id or item.id
        header.call_id = header.call_id or item.call_id
        if error is None and envelope.type == OUTPUT_DONE:
            error = item.error
    if response is not None:
        header.response_id = header.response_id or response.id
        if error is None and response.status_details is not None:
            error = response.status_details.error
    if error is not None:
        header.error_type, header.error_code = error.type, error.code
        header.error_message, header.error_param = error.message, error.param
    return header


def parse_event(message: str | bytes) -> Json | None:
    """Parse a whole message; None where it is no JSON object, or nested too deeply to be read."""
    try:
        event = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _parse_leniently(message)
    return event if isinstance(event, dict) else None


def write_json(value: object) -> str:
    """Write a value as a text message can carry it; where UTF-8 cannot spell it, for a lone surrogate, in ASCII."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or storable(text) == text else json.dumps(value)


def items_told(event: Json) -> list[Json]:
    """List the items that an event of the endpoint tells of.

    Some endpoints tell of an item first when it is done, or when its response is.
    """
    if event.get("type") in _TELLS_ITEM:
        return [object_of(event, "item")]
    output = object_of(event, "response").get("output") if event.get("type") == "response.done" else None
    return [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []


def is_repeat(event: Json, previous: Json) -> bool:
    """Tell whether an endpoint, or who logged it, gave one event twice in a row: the same in all, and with an id."""
    return bool(event.get("event_id")) and event == previous


def response_of(event: Json) -> str | None:
    """Give the id of the response that an event of the endpoint is about."""
    named = event.get("response_id") or object_of(event, "response").get("id")
    return named if isinstance(named, str) else None


def asks_out_of_band(create: Json) -> bool:
    """Tell whether a response.create asks for a response beside the conversation."""
    response = create.get("response")
    return isinstance(response, dict) and response.get("conversation") == "none"


def storable(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and UTF-8 columns cannot; payloads keep their escapes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _parse_leniently(message: str | bytes) -> Json | None:
    # Lone surrogates and NaN: msgspec refuses what the standard library reads.
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _read_leniently(text: str) -> EventHeader | None:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return EventHeader()
    item, response = object_of(event, "item"), object_of(event, "response")
    error = object_of(event, "error") or object_of(object_of(response, "status_details"), "error")
    if not error and event.get("type") == OUTPUT_DONE:
        # Azure's Voice Live gives the message alone.
        error = {"message": item["error"]} if isinstance(item.get("error"), str) else object_of(item, "error")
    if isinstance(event.get("error"), str):
        # vLLM's shape: the message itself, with a code beside it.
        error = {"message": event["error"], "code": event.get("code")}
    return EventHeader(
        type=_text(event, "type"),
        event_id=_text(event, "event_id"),
        item_id=_text(event, "item_id") or _text(item, "id"),
        previous_item_id=_text(event, "previous_item_id"),
        response_id=_text(event, "response_id") or _text(response, "id"),
        call_id=_text(event, "call_id") or _text(item, "call_id"),
        content_index=_index(event, "content_index"),
        output_index=_index(event, "output_index"),
        error_type=_text(error, "type"),
        error_code=_code(error),
        error_message=_text(error, "message"),
        error_param=_text(error, "param"),
    )


def object_of(event: Json, name: str) -> Json:
    """Give an object of an event; an empty one where there is none of that name."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _text(event: Json, name: str) -> str | None:
    value = event.get(name)
    return storable(value) if isinstance(value, str) else None


def _code(error: Json) -> str | None:
    # Gateways give the HTTP status of what they asked, as a number.
    value = error.get("code")
    return str(value) if type(value) is int else _text(error, "code")


def _index(event: Json, name: str) -> int | None:
    value = event.get(name)
    return value if type(value) is int and 0 <= value <= _LARGEST_INDEX else None
