"""The formats a session declares, and the fields of a message that hold audio (protocol sections 1.3, 1.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, cast

import msgspec

from capture.audio import PCM16_24K, AudioFormat, AudioType

Track = Literal["client", "server", "other"]

_BETA_FORMATS = {
    "pcm16": PCM16_24K,
    "g711_ulaw": AudioFormat("audio/pcmu", 8000),
    "g711_alaw": AudioFormat("audio/pcma", 8000),
}
_DEFAULT_RATES = {"audio/pcm": 24000, "audio/pcmu": 8000, "audio/pcma": 8000}

AUDIO_KEYS = {"client": "audio", "server": "delta"}
"""By sender, the key of the audio in the events that carry nothing else."""
_APPENDS = {
    "input_audio_buffer.append",
    "session.input_audio_buffer.append",
    "session.input_audio.append",
    # Azure's Voice Live, where the client says itself when a turn begins and ends.
    "input_audio.turn.append",
}
_DELTAS = {
    "response.output_audio.delta",
    "response.audio.delta",
    "session.output_audio.delta",
}
_ITEM_CARRIERS = {
    "conversation.item.create",
    "conversation.item.created",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "response.create",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.done",
}


class AudioField(msgspec.Struct, frozen=True, gc=False):
    """A base64 value inside a message, and the track its audio belongs to."""

    track: Track
    value: str


class _Append(msgspec.Struct):
    audio: str


class _Delta(msgspec.Struct):
    delta: str


_decode_append = msgspec.json.Decoder(_Append).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode


def parse_format(value: object) -> AudioFormat | None:
    """Read a format as the session object holds it: a GA object or a beta name; None where it is neither."""
    if isinstance(value, str):
        return _BETA_FORMATS.get(value)
    if not isinstance(value, dict):
        return None
    audio_type, rate = value.get("type"), value.get("rate")
    if not isinstance(audio_type, str) or audio_type not in _DEFAULT_RATES:
        return None
    if type(rate) is not int or not 1000 <= rate <= 384_000:
        rate = _DEFAULT_RATES[audio_type]
    return AudioFormat(cast("AudioType", audio_type), rate)


def decoded_bytes(encoded: str) -> int:
    """Tell how many bytes a Base64 text stands for, without decoding it."""
    return len(encoded) * 3 // 4 - encoded.count("=", -2)


def audio_field(sender: str, event_type: str | None, text: str) -> AudioField | None:
    """Find the audio of a message: of several fields the longest; None where there is none."""
    if event_type is None:
        return None
    try:
        if sender == "client" and event_type in _APPENDS:
            return AudioField("client", _decode_append(text).audio)
        if sender == "server" and event_type in _DELTAS:
            return AudioField("server", _decode_delta(text).delta)
        if event_type in _ITEM_CARRIERS and '"audio"' in text:
            return _longest(json.loads(text))
    except (msgspec.DecodeError, UnicodeEncodeError, ValueError, RecursionError):
        # A message of another shape than its type promises is kept whole.
        return None
    return None


def _longest(event: object) -> AudioField | None:
    values = [value for value in _audio_values(event) if value]
    return AudioField("other", max(values, key=len)) if values else None


def _audio_values(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _audio_values(child)
    elif isinstance(node, dict):
        for name, child in cast("dict[str, Any]", node).items():
            if name == "audio" and isinstance(child, str):
                yield child
            else:
                yield from _audio_values(child)
