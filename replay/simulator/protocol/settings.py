"""The shapes of what clients may set: for a session, and for one response."""

from __future__ import annotations

from collections.abc import Mapping

from replay.simulator.protocol.item_shapes import ITEMS, REFERENCE
from replay.simulator.protocol.shapes import (
    Anything,
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
)

_FORMAT = Tagged(
    "type",
    {
        "audio/pcm": Table({"type": Anything(), "rate": Whole(24000, 24000)}),
        "audio/pcmu": Table({"type": Anything()}),
        "audio/pcma": Table({"type": Anything()}),
    },
)
_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
_VOICE = Either((Choice(_VOICES), Table({"id": Text()}, required=("id",))))
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


RESPONSE = Table(
    {
        "output_modalities": _MODALITIES,
        # LiveKit Agents sends null wherever a program gives none for the answer.
        "instructions": Nullable(Text()),
        "audio": Table({"output": Table({"format": _FORMAT, "voice": _VOICE})}),
        "conversation": Choice(("auto", "none")),
        "input": ListOf(Tagged("type", {**ITEMS, "item_reference": REFERENCE})),
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


def has_setting(path: str) -> bool:
    """Tell whether a realtime session has a setting at this path, such as `audio.output.voice`."""
    shape: Shape = SESSION
    for name in path.split("."):
        fields = _fields_of(shape)
        if name not in fields:
            return False
        shape = fields[name]
    return True


def _fields_of(shape: Shape) -> Mapping[str, Shape]:
    match shape:
        case Table():
            return shape.fields
        case Nullable():
            return _fields_of(shape.shape)
        case Tagged():
            inner = tuple(shape.tables.values())
        case Either():
            inner = shape.shapes
        case _:
            return {}
    return {name: field for each in inner for name, field in _fields_of(each).items()}
