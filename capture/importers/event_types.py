"""Tell who sends an event by its type, where that is unambiguous (protocol sections 1.4 and 3.5); pure."""

from __future__ import annotations

from capture.recording.facts import Sender

_CLIENT = frozenset(
    {
        "session.update",
        "transcription_session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "output_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.delete",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
        # Translation and GPT-Live.
        "session.start",
        "session.close",
        "session.input_audio_buffer.append",
        "session.input_audio.append",
        # Voice Live.
        "input_audio.turn.start",
        "input_audio.turn.append",
        "input_audio.turn.end",
        "input_audio.turn.cancel",
    }
)
_SERVER = frozenset({"error", "session.created", "session.updated", "session.started", "session.closed"})
_SERVER_PREFIXES = (
    "conversation.",
    "input_audio_buffer.",
    "mcp_list_tools.",
    "output_audio_buffer.",
    "rate_limits.",
    "response.",
    "session.output_audio.",
    "session.output_transcript.",
    "session.input_transcript.",
    "transcription_session.",
)


def sender_of(event_type: str) -> Sender | None:
    """Tell who sends events of a type; None where that is not known."""
    if event_type in _CLIENT:
        return "client"
    return "server" if event_type in _SERVER or event_type.startswith(_SERVER_PREFIXES) else None
