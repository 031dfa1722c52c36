"""The shapes of all client events of the GA dialect; the simulator refuses any other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from replay.simulator.protocol.shapes import (
    Anything,
    Audio,
    Choice,
    Either,
    Flag,
    ListOf,
    Nullable,
    Number,
    Shape,
    Table,
    Tagged,
    Text,
    TextMap,
    Whole,
    missing_parameter,
    refuse_type,
    refuse_value,
)

_ITEM_ID = Text(max_length=32)
_CALL_ID = Text(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")

_FORMAT = Tagged(
    "type",
    {
        "audio/pcm": Table({"type": Anything(), "rate": Whole(24000, 24000)}),
        "audio/pcmu": Table({"type": Anything()}),
        "audio/pcma": Table({"type": Anything()}),
    },
)
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
_VOICE = Either((Choice(VOICES), Table({"id": Text()}, required=("id",))))
_MODALITIES = ListOf(Choice(("text", "audio")))
_OUTPUT_TOKENS = Either((Whole(1, 4096), Choice(("inf",))))
_PROMPT = Nullable(
    Table({"id": Text(), "variables": Nullable(Anything()), "version": Nullable(Text())}, required=("id",))
)
_REASONING = Nullable(Table({"effort": Choice(("minimal", "low", "medium", "high", "xhigh"))}))

_TOOLS = ListOf(
    Tagged(
        "type",
        {
            "function": Table(
                {
                    "type": Anything(),
                    "name": Text(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$"),
                    "description": Nullable(Text()),
                    "parameters": Nullable(Anything()),
                },
                required=("name",),
            ),
            "mcp": Table(
                {
                    "type": Anything(),
                    "server_label": Text(),
                    **{
                        name: Anything()
                        for name in (
                            "allowed_callers",
                            "allowed_tools",
                            "authorization",
                            "connector_id",
                            "defer_loading",
                            "headers",
                            "require_approval",
                            "server_description",
                            "server_url",
                            "tunnel_id",
                        )
                    },
                },
                required=("server_label",),
            ),
        },
    )
)
_TOOL_CHOICE = Either(
    (
        Choice(("none", "auto", "required")),
        Tagged(
            "type",
            {
                "function": Table({"type": Anything(), "name": Text()}, required=("name",)),
                "mcp": Table(
                    {"type": Anything(), "server_label": Text(), "name": Nullable(Text())},
                    required=("server_label",),
                ),
            },
        ),
    )
)

_TURN_DETECTION = Nullable(
    Tagged(
        "type",
        {
            "server_vad": Table(
                {
                    "type": Anything(),
                    "threshold": Number(0.0, 1.0),
                    "prefix_padding_ms": Whole(0),
                    "silence_duration_ms": Whole(0),
                    "idle_timeout_ms": Nullable(Whole(5000, 30000)),
                    "create_response": Flag(),
                    "interrupt_response": Flag(),
                }
            ),
            "semantic_vad": Table(
                {
                    "type": Anything(),
                    "eagerness": Choice(("low", "medium", "high", "auto")),
                    "create_response": Flag(),
                    "interrupt_response": Flag(),
                }
            ),
        },
    )
)
_TRANSCRIPTION = Nullable(
    Table(
        {
            "model": Text(),
            "language": Nullable(Text()),
            "languages": Nullable(ListOf(Text())),
            "prompt": Nullable(Text()),
            "keywords": Nullable(ListOf(Text())),
            "delay": Nullable(Choice(("minimal", "low", "medium", "high", "xhigh"))),
        }
    )
)
_NOISE_REDUCTION = Nullable(
    Table(
        {"type": Choice(("near_field", "far_field")), "strength": Nullable(Number(0.0, 1.0))},
        required=("type",),
    )
)
_TRUNCATION = Either(
    (
        Choice(("auto", "disabled")),
        Table(
            {
                "type": Choice(("retention_ratio",)),
                "retention_ratio": Number(0.0, 1.0),
                "token_limits": Nullable(Table({"post_instructions": Whole(0)})),
            },
            required=("type", "retention_ratio"),
        ),
    )
)
_TRACING = Nullable(
    Either(
        (
            Choice(("auto",)),
            Table({name: Nullable(Anything()) for name in ("group_id", "metadata", "workflow_name")}),
        )
    )
)

_INPUT = Table(
    {
        "format": _FORMAT,
        "transcription": _TRANSCRIPTION,
        "noise_reduction": _NOISE_REDUCTION,
        "turn_detection": _TURN_DETECTION,
    }
)
_INCLUDE = Nullable(ListOf(Choice(("item.input_audio_transcription.logprobs",))))

SESSION = Table(
    {
        "type": Choice(("realtime",)),
        "model": Text(),
        "output_modalities": _MODALITIES,
        "instructions": Text(),
        "audio": Table(
            {
                "input": _INPUT,
                "output": Table({"format": _FORMAT, "voice": _VOICE, "speed": Number(0.25, 1.5)}),
            }
        ),
        "tools": _TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "max_output_tokens": _OUTPUT_TOKENS,
        "include": _INCLUDE,
        "parallel_tool_calls": Flag(),
        "prompt": _PROMPT,
        "reasoning": _REASONING,
        "tracing": _TRACING,
        "truncation": _TRUNCATION,
    },
    required=("type",),
)
"""`session` of session.update."""

TRANSCRIPTION_SESSION = Table(
    {"type": Choice(("transcription",)), "audio": Table({"input": _INPUT}), "include": _INCLUDE}, required=("type",)
)
"""`session` of session.update in a session that only transcribes."""


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
    "id": _ITEM_ID,
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
_ITEMS: Mapping[str, Shape] = {
    "message": _MESSAGE,
    "function_call": Table(
        {**_ITEM_FIELDS, "name": Text(), "call_id": _CALL_ID, "arguments": Text()},
        required=("name", "arguments"),
    ),
    "function_call_output": Table(
        {**_ITEM_FIELDS, "call_id": _CALL_ID, "output": Text()}, required=("call_id", "output")
    ),
}
_REFERENCE = Table({"type": Anything(), "id": _ITEM_ID}, required=("id",))

RESPONSE = Table(
    {
        "output_modalities": _MODALITIES,
        "instructions": Text(),
        "audio": Table({"output": Table({"format": _FORMAT, "voice": _VOICE})}),
        "conversation": Choice(("auto", "none")),
        "input": ListOf(Tagged("type", {**_ITEMS, "item_reference": _REFERENCE})),
        "max_output_tokens": _OUTPUT_TOKENS,
        "metadata": Nullable(TextMap(16, 64, 512)),
        "parallel_tool_calls": Flag(),
        "prompt": _PROMPT,
        "reasoning": _REASONING,
        "tool_choice": _TOOL_CHOICE,
        "tools": _TOOLS,
    }
)
"""`response` of response.create."""


def _event(required: tuple[str, ...] = (), **fields: Shape) -> Table:
    return Table({"type": Anything(), "event_id": Nullable(Text(max_length=512)), **fields}, required=required)


CLIENT_EVENTS: Mapping[str, Table] = {
    # The session is checked by configuration.py: what is missing there is told before what is wrong.
    "session.update": _event(("session",), session=Anything()),
    "input_audio_buffer.append": _event(("audio",), audio=Text()),
    "input_audio_buffer.commit": _event(),
    "input_audio_buffer.clear": _event(),
    "conversation.item.create": _event(("item",), item=Tagged("type", _ITEMS), previous_item_id=Nullable(_ITEM_ID)),
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
        raise refuse_type(Table({}), event, "event")
    event_type = event.get("type")
    if "type" not in event:
        raise missing_parameter("type")
    if not isinstance(event_type, str):
        raise refuse_type(Text(), event_type, "type")
    if event_type not in taken:
        raise refuse_value(event_type, tuple(taken), "type")
    CLIENT_EVENTS[event_type].check(event, "")
    return event_type


def read_event_id(event: Any) -> str | None:
    """Read the id that the client gave its event; errors echo it."""
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else None
