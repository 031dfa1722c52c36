"""What a trial sent, held against the OpenAI SDK's types of its dialect."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from openai.types.beta.realtime import RealtimeClientEvent as BetaEvent
from openai.types.realtime import RealtimeClientEvent as GaEvent
from pydantic import TypeAdapter

from capture.recording.reader import Recording

Json = dict[str, Any]


def validate_sent(recording: Recording) -> list[Json]:
    """Check every event that a client sent; give all but the appends. Raises `pydantic.ValidationError`."""
    known = _types(recording.session["dialect"])
    events = [json.loads(m.content) for m in recording.messages() if m.sender == "client" and m.kind == "event"]
    for event in events:
        known.validate_python(_typed(event))
    return [event for event in events if event["type"] != "input_audio_buffer.append"]


def _typed(event: Json) -> Json:
    # References to items are documented, and beta's types have them; GA's do not.
    response = event.get("response")
    if event["type"] != "response.create" or not response or "input" not in response:
        return event
    items = [item for item in response["input"] if item["type"] != "item_reference"]
    return event | {"response": response | {"input": items}}


@cache
def _types(dialect: str) -> TypeAdapter[Any]:
    return TypeAdapter(GaEvent) if dialect == "ga" else TypeAdapter(BetaEvent)
