"""Write the value of a setting as the other dialect has it (protocol section 1.5). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from capture.realtime.session_fields import FORMAT_NAMES, FORMATS

NOTHING = object()
"""Stands where the other dialect has nothing for a value."""
_PCM_RATE = 24000


def ga_value(name: str, value: Any) -> Any:
    """Write the value of a beta setting, by its name, as GA has it."""
    return _GA_VALUES.get(name, _same)(value)


def beta_value(name: str, value: Any) -> Kept:
    """Write the value of the GA setting that beta calls `name`, as beta has it; and say what of it is left out."""
    return _BETA_VALUES.get(name, _whole)(value)


def _same(value: Any) -> Any:
    return value


def _ga_modalities(value: Any) -> Any:
    return ["audio"] if isinstance(value, list) and "audio" in value else value


def _ga_format(value: Any) -> Any:
    return dict(FORMATS[value]) if isinstance(value, str) and value in FORMATS else value


def _ga_turn_detection(value: Any) -> Any:
    # Azure's preview has a type for what is null everywhere else.
    return None if isinstance(value, dict) and value.get("type") == "none" else value


_GA_VALUES: Mapping[str, Callable[[Any], Any]] = {
    "modalities": _ga_modalities,
    "input_audio_format": _ga_format,
    "output_audio_format": _ga_format,
    "turn_detection": _ga_turn_detection,
}

Kept = tuple[Any, dict[str, Any]]
"""What beta can hold of a value, and what of it is left out, by the end of its path."""


def _whole(value: Any) -> Kept:
    return value, {}


def _beta_modalities(value: Any) -> Kept:
    return (["audio", "text"] if value == ["audio"] else value), {}


def _beta_format(value: Any) -> Kept:
    if not isinstance(value, dict):
        return value, {}
    name, rate = FORMAT_NAMES.get(str(value.get("type"))), value.get("rate")
    if name is None:
        return NOTHING, {"": value}
    return name, ({".rate": rate} if name == "pcm16" and rate not in (None, _PCM_RATE) else {})


def _beta_voice(value: Any) -> Kept:
    return (NOTHING, {"": value}) if isinstance(value, dict) else (value, {})


def _beta_tools(value: Any) -> Kept:
    tools = value if isinstance(value, list) else []
    foreign = [tool for tool in tools if isinstance(tool, dict) and tool.get("type") == "mcp"]
    return (value, {}) if not foreign else ([tool for tool in tools if tool not in foreign], {"": foreign})


def _beta_tool_choice(value: Any) -> Kept:
    return (NOTHING, {"": value}) if isinstance(value, dict) and value.get("type") == "mcp" else (value, {})


_BETA_VALUES: Mapping[str, Callable[[Any], Kept]] = {
    "modalities": _beta_modalities,
    "input_audio_format": _beta_format,
    "output_audio_format": _beta_format,
    "voice": _beta_voice,
    "tools": _beta_tools,
    "tool_choice": _beta_tool_choice,
}
