"""Voice messages as WebSocket frames, each with the time it was sent in its first bytes.

Client frames have the mask key 0, which every peer takes for a key like any other and which leaves the time in
plain sight. A peer that takes messages apart masks them anew.
"""

from __future__ import annotations

import base64
import hashlib
import random

TEXT, CLOSE = 0x1, 0x8
CHUNK_BYTES = 960
"""20 ms of 24 kHz PCM."""
DELTA_BYTES = (3072, 4800, 6144)
_STAMP_AT = len(b'{"event_id":"')
_STAMP_DIGITS = 16


class StampedFrame:
    """A frame in two parts, between which the time goes."""

    __slots__ = ("_head", "_tail")

    def __init__(self, payload_tail: bytes, *, masked: bool) -> None:
        length = _STAMP_AT + _STAMP_DIGITS + len(payload_tail)
        self._head = frame_head(length, masked=masked) + b'{"event_id":"'
        self._tail = payload_tail

    def at(self, sent_ns: int) -> bytes:
        """Encode the frame as sent at this time."""
        return b"%b%016x%b" % (self._head, sent_ns, self._tail)


def frame_head(length: int, *, masked: bool) -> bytes:
    """Encode the head of a text frame; the mask key is 0."""
    mask_bit, key = (0x80, b"\0\0\0\0") if masked else (0, b"")
    if length < 126:
        return bytes((0x80 | TEXT, mask_bit | length)) + key
    if length < 1 << 16:
        return bytes((0x80 | TEXT, mask_bit | 126)) + length.to_bytes(2, "big") + key
    return bytes((0x80 | TEXT, mask_bit | 127)) + length.to_bytes(8, "big") + key


def appends() -> list[StampedFrame]:
    """Make 16 client frames of 1.3 KB, each with other audio."""
    noise = random.Random(1)
    return [
        StampedFrame(_tail("input_audio_buffer.append", "audio", noise.randbytes(CHUNK_BYTES)), masked=True)
        for _ in range(16)
    ]


def deltas() -> list[StampedFrame]:
    """Make 24 server frames of 4 to 8 KB, each with other audio."""
    noise = random.Random(2)
    sizes = [DELTA_BYTES[number % len(DELTA_BYTES)] for number in range(24)]
    return [
        StampedFrame(_tail("response.output_audio.delta", "delta", noise.randbytes(size)), masked=False)
        for size in sizes
    ]


def _tail(event_type: str, audio_field: str, audio: bytes) -> bytes:
    return b'","type":"%b","%b":"%b"}' % (event_type.encode(), audio_field.encode(), base64.b64encode(audio))


def take_stamps(stream: bytes) -> tuple[list[int], bytes]:
    """Read the times out of all whole text frames; return also the bytes of the frame that is not whole yet."""
    stamps = []
    at, end = 0, len(stream)
    while (frame := frame_at(stream, at, end)) is not None:
        payload_at, frame_end, key = frame
        if stream[at] & 0xF == TEXT:
            stamp_at = payload_at + _STAMP_AT
            stamp = stream[stamp_at : stamp_at + _STAMP_DIGITS]
            stamps.append(int(stamp if key in (b"", b"\0\0\0\0") else unmask(stamp, key, _STAMP_AT), 16))
        at = frame_end
    return stamps, stream[at:] if at else stream


def frame_at(stream: bytes, at: int, end: int) -> tuple[int, int, bytes] | None:
    """Find where a frame's payload begins and ends, and its mask key; None where it is not whole."""
    if end - at < 2:
        return None
    length = stream[at + 1] & 0x7F
    payload_at = at + 2
    if length > 125:
        width = 2 if length == 126 else 8
        payload_at += width
        if payload_at > end:
            return None
        length = int.from_bytes(stream[at + 2 : payload_at], "big")
    key = b""
    if stream[at + 1] & 0x80:
        key = stream[payload_at : payload_at + 4]
        payload_at += 4
    return (payload_at, payload_at + length, key) if payload_at + length <= end else None


def unmask(masked: bytes, key: bytes, position: int = 0) -> bytes:
    """Undo the mask of bytes that stand at a position of the payload."""
    turned = key[position % 4 :] + key[: position % 4]
    whole = (turned * (len(masked) // 4 + 1))[: len(masked)]
    return (int.from_bytes(masked, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(masked), "big")


class StreamHash:
    """What went one way over a connection: a hash of all bytes, and one of the messages alone."""

    def __init__(self) -> None:
        self._wire = hashlib.sha256()
        self._messages = hashlib.sha256()
        self._rest = b""

    def add(self, piece: bytes) -> None:
        """Take the next bytes of the stream."""
        self._wire.update(piece)
        stream = self._rest + piece
        at = 0
        while (frame := frame_at(stream, at, len(stream))) is not None:
            payload_at, frame_end, key = frame
            if stream[at] & 0xF == TEXT:
                payload = stream[payload_at:frame_end]
                self._messages.update(unmask(payload, key) if key else payload)
            at = frame_end
        self._rest = stream[at:]

    def digests(self) -> tuple[str, str]:
        """Give the hash of the bytes and of the messages."""
        return self._wire.hexdigest(), self._messages.hexdigest()
