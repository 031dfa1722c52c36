"""List the options that a recorded client set and that a replay can leave out, the likeliest to matter first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capture.realtime.configuration import get_path
from replay.blame import is_blamed
from replay.plan import Plan
from replay.responses import asked_responses
from replay.source import Source

Json = dict[str, Any]

_GROUPS = ("audio", "audio.input", "audio.output", "audio.input.transcription", "input_audio_transcription")
"""Objects that hold options, and are none themselves."""
_NO_OPTIONS = {
    # Without these the session would be another one, or the audio noise; models are axes of their own.
    *("type", "id", "object", "model"),
    *("audio.input.format", "audio.output.format", "input_audio_format", "output_audio_format"),
    *("audio.input.transcription.model", "input_audio_transcription.model"),
}
_NO_OPTIONS_OF_RESPONSES = {
    # Without these it would be another response; a client may look for its metadata.
    *("conversation", "input", "metadata"),
    *("audio.output.format", "output_audio_format"),
}
_LIKELY = ("transcription", "noise_reduction", "turn_detection")
"""Options that failures have turned on, the likeliest first; the others follow as they were asked."""
_MISSING = object()


def list_options(source: Source) -> dict[str, bool]:
    """List the options of the session and of its responses: path -> whether the endpoint would do the same unasked.

    What errors named is never a default: the endpoint refused it.
    """
    plan, blamed = source.plan, source.recording.blamed
    session = [path for path in _walk(plan.configuration.asked) if path not in _NO_OPTIONS]
    session.sort(key=lambda path: next((at for at, part in enumerate(_LIKELY) if part in path), len(_LIKELY)))
    responses = {
        path: None
        for asked in asked_responses(plan)
        for path in _walk(asked["response"])
        if path not in _NO_OPTIONS_OF_RESPONSES
    }
    options = [*(f"session.{path}" for path in session), *(f"response.{path}" for path in responses)]
    return {path: not is_blamed(path, blamed) and _is_default(path, plan) for path in options}


def _walk(node: Json, prefix: str = "") -> Iterator[str]:
    for name, value in node.items():
        path = f"{prefix}{name}"
        if path in _GROUPS:
            if isinstance(value, dict):
                yield from _walk(value, f"{path}.")
        elif value is not None and value != {} and value != []:
            # null is how an option is turned off: without it the default would be turned on.
            yield path


def _is_default(path: str, plan: Plan) -> bool:
    """Tell whether the endpoint would do the same unasked, by its session.created."""
    if not path.startswith("session."):
        return False
    asked = get_path({"session": plan.configuration.asked}, path)
    created = get_path({"session": plan.configuration.created}, path, _MISSING)
    if isinstance(asked, dict) and isinstance(created, dict):
        return all(created.get(name, _MISSING) == value for name, value in asked.items())
    return bool(asked == created)
