"""Read from the recording of a throttled session what its endpoint said of waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.realtime.events import parse_event, read_header
from capture.realtime.outcomes import failure_key, is_throttling
from capture.recording.reader import open_recording
from replay.throttling import Refusals

if TYPE_CHECKING:
    from capture.recording.root import Root


def read_refusals(root: Root, session_id: str) -> tuple[Refusals, bool]:
    """Read from a throttled recording what its endpoint said of waiting, and whether waiting is in vain.

    Raises `UsageProblem` where the recording cannot be read.
    """
    recording = open_recording(root, session_id)
    headers = {name.lower(): value for name, value in (recording.session["response_headers"] or {}).items()}
    messages: list[str] = []
    rate_limits: list[dict[str, object]] = []
    is_hopeless = False
    for message in recording.messages():
        if message.sender != "server" or not isinstance(message.content, str):
            continue
        if message.kind == "http":
            messages.append(message.content)
        elif message.type == "rate_limits.updated":
            rate_limits = _read_limits(message.content)
        elif message.kind == "event" and not (message.type or "").endswith(".delta"):
            header = read_header(message.content)
            if header is not None and (header.error_code or header.error_type):
                key = failure_key(header.type or "", header.error_type, header.error_code, header.error_message)
                if is_throttling(key):
                    messages.append(header.error_message or "")
                    is_hopeless = is_hopeless or "insufficient_quota" in (header.error_code, header.error_type)
    return Refusals(headers, messages, rate_limits), is_hopeless


def _read_limits(content: str) -> list[dict[str, object]]:
    entries = (parse_event(content) or {}).get("rate_limits")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
