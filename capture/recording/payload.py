"""Cut audio out of a message's text, and put it back byte for byte."""

from __future__ import annotations

import binascii
import re
from functools import cache
from typing import NamedTuple

import msgspec
import pybase64

_BEGINNING = 32
_COLON = re.compile(r"[ \t\r\n]*:")
_STRING_OF_KEY = rb'[ \t\r\n]*:[ \t\r\n]*"'


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


class AudioSurround(NamedTuple):
    """What stands before and behind the audio of a message."""

    before: bytes
    behind: bytes


def find_surround(content: bytes, key: str) -> AudioSurround | None:
    """Find what surrounds the string of a key in a JSON text that nobody has parsed; None where a parser must.

    That is where the key stands there twice or not at all, or something is escaped. The surround alone is JSON
    exactly where the whole is; in which of its objects the key stands is not looked at.
    """
    quoted, pattern = _quoted(key)
    found = pattern.search(content)
    if found is None:
        return None
    end = content.find(b'"', found.end())
    before, behind = content[: found.end()], content[end:]
    # Without escapes every quote begins or ends a string, so what looks like the key is a key.
    if end < 0 or quoted in before[: found.start()] or quoted in behind or b"\\" in before or b"\\" in behind:
        return None
    return AudioSurround(before, behind)


def audio_within(content: bytes, surround: AudioSurround) -> bytes | None:
    """Give the audio of a message that differs in nothing else; None where `cut_audio` would refuse it."""
    before, behind = surround
    if not (content.startswith(before) and content.endswith(behind)):
        return None
    return _decode(content[len(before) : len(content) - len(behind)])


def restore_audio(payload: str, at: int, audio: bytes) -> str:
    """Put audio back where it was cut out."""
    return f"{payload[:at]}{pybase64.b64encode_as_string(audio)}{payload[at:]}"


@cache
def _quoted(key: str) -> tuple[bytes, re.Pattern[bytes]]:
    quoted = b'"%b"' % key.encode()
    return quoted, re.compile(re.escape(quoted) + _STRING_OF_KEY)


def _decode(value: str | bytes) -> bytes | None:
    try:
        audio = pybase64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Decoding forgives what encoding would not write; only what comes back the same may be cut.
    encoded = pybase64.b64encode_as_string(audio) if isinstance(value, str) else pybase64.b64encode(audio)
    return audio if audio and encoded == value else None


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
