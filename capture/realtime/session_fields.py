"""Where the two dialects keep the same setting, and what only one of them has (protocol section 1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

SESSION_PATHS: Mapping[str, str] = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
    **{name: name for name in ("model", "instructions", "tools", "tool_choice", "tracing", "include")},
}
"""Beta field of a session -> its GA path."""
RESPONSE_PATHS: Mapping[str, str] = {
    **{name: SESSION_PATHS[name] for name in ("modalities", "voice", "output_audio_format")},
    "max_response_output_tokens": "max_output_tokens",
    **{name: name for name in ("conversation", "metadata", "input", "instructions", "tools", "tool_choice")},
}
"""Beta field of response.create -> its GA path."""
FORMATS: Mapping[str, Json] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
"""Beta name of an audio format -> its GA object."""
FORMAT_NAMES: Mapping[str, str] = {ga["type"]: beta for beta, ga in FORMATS.items()}
"""GA type of an audio format -> its beta name."""
PARTS: Mapping[str, str] = {"text": "output_text", "audio": "output_audio"}
"""Beta type of an assistant's content -> its GA type; everybody else's content has the same types in both."""
PART_NAMES: Mapping[str, str] = {ga: beta for beta, ga in PARTS.items()}

PARTS_OF_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "input_audio_transcription": ("model", "language", "prompt"),
    "input_audio_noise_reduction": ("type",),
    "turn_detection": (
        *("type", "threshold", "prefix_padding_ms", "silence_duration_ms", "eagerness"),
        *("create_response", "interrupt_response"),
    ),
}
"""Beta field of a session -> what the object there holds, the same in both dialects."""

BETA_ONLY = ("temperature", "client_secret")
"""Fields of a beta session or response that GA has nothing for."""
GA_ONLY = (
    "audio.input.transcription.languages",
    "audio.input.transcription.keywords",
    "audio.input.transcription.delay",
    "audio.input.noise_reduction.strength",
    "audio.input.turn_detection.idle_timeout_ms",
    "prompt",
    "truncation",
    "reasoning",
    "parallel_tool_calls",
)
"""Paths of a GA session or response that beta has nothing for."""


def documented_paths(dialect: str) -> list[str]:
    """List the paths of all settings that sessions of a dialect take, `ga` or `beta`, whatever one of them was told."""
    parts = {f"{name}.{part}": f"{SESSION_PATHS[name]}.{part}" for name, of in PARTS_OF_SETTINGS.items() for part in of}
    paths = {**SESSION_PATHS, **parts}
    return [*paths, *BETA_ONLY] if dialect == "beta" else ["type", *paths.values(), *GA_ONLY]
