"""Names of all events that a session sends: a scenario that waits for any other would wait for ever."""

from __future__ import annotations

from collections.abc import Collection

from capture.realtime.dialects import GA_NAMES

SERVER_EVENTS = (
    "session.created",
    "session.updated",
    # In the beta dialect only.
    "conversation.created",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
    "error",
)
"""As a session knows them: by their GA names, in either dialect."""

WIRE_EVENTS = (
    *SERVER_EVENTS,
    "transcription_session.created",
    *(beta for beta, ga in GA_NAMES.items() if ga in SERVER_EVENTS),
)
"""As clients hear them: in the dialect that they speak."""


def check_event_name(field: str, name: str, known: Collection[str]) -> None:
    """Refuse the name of an event that never comes; raises `ValueError` with those that do."""
    if name not in known:
        raise ValueError(f"`{field}`: the simulator sends no {name!r}, but {', '.join(known)}")
