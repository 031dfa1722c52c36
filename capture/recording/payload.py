"""Cut audio out of a message's text, and put it back byte for byte."""

from __future__ import annotations

import binascii
import re

import msgspec
import pybase64

_BEGINNING = 32
_COLON = re.compile(r"[ \t\r\n]*:")


class AudioCut(msgspec.Struct, frozen=True, gc=False):
    """Audio taken out of a message."""

    at: int
    """Unicode characters of the remaining text that stand before it."""
    audio: bytes
    """What its base64 text decodes to; never empty."""


def cut_audio(text: str, value: str) -> tuple[str, AudioCut | None]:
    """Cut one base64 string value out of a JSON text.

    Gives the text unchanged and None where putting the audio back would not give the same text: escapes or
    foreign characters in the literal, odd padding, stray bits behind the last byte, or no audio at all.
    """
    audio = _decode(value)
    if audio is None:
        return text, None
    at = _find_value(text, value)
    if at is None:
        return text, None
    return text[:at] + text[at + len(value) :], AudioCut(at, audio)


def restore_audio(payload: str, at: int, audio: bytes) -> str:
    """Put audio back where it was cut out."""
    return f"{payload[:at]}{pybase64.b64encode_as_string(audio)}{payload[at:]}"


def _decode(value: str) -> bytes | None:
    try:
        audio = pybase64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Decoding forgives what encoding would not write; only what comes back the same may be cut.
    return audio if audio and pybase64.b64encode_as_string(audio) == value else None


def _find_value(text: str, value: str) -> int | None:
    # Searching for the whole value would read it twice; its beginning leads to it, then one comparison tells.
    beginning = f'"{value[:_BEGINNING]}'
    at = text.find(beginning) + 1
    while at:
        end = at + len(value)
        # A short value may also be spelled as a key; a cut there would leave JSON with another meaning.
        if text.startswith(value, at) and text.startswith('"', end) and not _COLON.match(text, end + 1):
            return at
        at = text.find(beginning, at) + 1
    return None
