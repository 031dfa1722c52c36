"""Read text messages: what identifies each, its audio, and where secrets stand in the rest; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import convert
from msgspec.structs import asdict

from capture.literals import Edit
from capture.realtime.audio_formats import AUDIO_KEYS, Track, audio_field
from capture.realtime.events import EventHeader, read_header
from capture.recording.facts import Sender
from capture.recording.payload import AudioCut, AudioSurround, audio_within, cut_audio, find_surround
from capture.redaction import redact_text, secret_edits


class ReadText(NamedTuple):
    """A text that has been read."""

    text: str
    """Without the audio that was cut out."""
    header: EventHeader | None
    """None where the text is no JSON."""
    columns: dict[str, Any]
    """The header as columns of the events table."""
    secrets: list[Edit]
    """What must go out of the text."""
    track: Track | None = None
    """Of the audio; None where none was cut out."""


class MessageReader:
    """Reads the text messages of one sender."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._audio_key = AUDIO_KEYS[sender]
        self._last: tuple[AudioSurround, ReadText, int] | None = None
        """Of the last message that is nothing but audio: what surrounds that, read, and where it was cut out."""

    def read(self, content: bytes) -> tuple[ReadText, AudioCut | None] | None:
        """Read a message; None where it is no UTF-8."""
        if self._last is not None:
            # Appends differ in nothing but their audio: what surrounds it is read once.
            surround, read, at = self._last
            audio = audio_within(content, surround)
            if audio is not None:
                return read, AudioCut(at, audio)
        try:
            return self._read_around_audio(content) or self._read_whole(content.decode())
        except UnicodeDecodeError:
            return None

    def _read_around_audio(self, content: bytes) -> tuple[ReadText, AudioCut] | None:
        """Read a message that is nothing but audio without parsing that; None for any other."""
        surround = find_surround(content, self._audio_key)
        audio = None if surround is None else audio_within(content, surround)
        if surround is None or audio is None:
            return None
        before = surround.before.decode()
        text = before + surround.behind.decode()
        header = read_header(text)
        field = audio_field(self._sender, header.type if header else None, text)
        # Where it is not empty the key was that of another object in the message.
        if field is None or field.value or field.track == "other":
            return None
        read = _read(text, header, field.track)
        self._last = surround, read, len(before)
        return read, AudioCut(len(before), audio)

    def _read_whole(self, text: str) -> tuple[ReadText, AudioCut | None]:
        header = read_header(text)
        field = audio_field(self._sender, header.type if header else None, text)
        left, cut = (text, None) if field is None else cut_audio(text, field.value)
        track = field.track if field is not None and cut is not None else None
        return _read(left, header, track), cut


def read_text(text: str) -> ReadText:
    """Read a text of which nothing is cut out."""
    return _read(text, read_header(text))


def _read(text: str, header: EventHeader | None, track: Track | None = None) -> ReadText:
    secrets = secret_edits(text)
    if header is not None and secrets:
        # Before anything is derived from it: endpoints repeat the key that they refuse.
        header = convert({name: _without_secrets(value) for name, value in asdict(header).items()}, EventHeader)
    return ReadText(text, header, _columns(header), secrets, track)


def _without_secrets(value: str | int | None) -> str | int | None:
    return redact_text(value) if isinstance(value, str) else value


def _columns(header: EventHeader | None) -> dict[str, Any]:
    # Only those it has: most messages have two of twelve, and an absent column is null all the same.
    return {} if header is None else {name: value for name, value in asdict(header).items() if value is not None}
