"""Follow the WebSocket frames of one direction by their headers alone, while the bytes pass; pure.

Nothing is decoded: the cursor tells where frames start, so that a recorder that has to drop bytes drops whole
frames, and so that a close frame of our own never lands inside somebody's frame.
"""

from __future__ import annotations

import re
import struct

NO_FRAME = -1
"""In place of an index: no frame starts in this piece."""

_LENGTH, _MASKED, _MASK_KEY_BYTES = 0x7F, 0x80, 4
_LENGTH_IN_2_BYTES, _LENGTH_IN_8_BYTES = 126, 127
_HEADER_BYTES = {_LENGTH_IN_2_BYTES: 4, _MASKED | _LENGTH_IN_2_BYTES: 4 + _MASK_KEY_BYTES}
"""Of frames of 126 bytes to 64 KiB, by the second byte."""
_NEVER = -1 << 20
_read_start = struct.Struct(">xBH").unpack_from
"""Gives the second byte, and the length that such a frame has in the next two."""
_OPCODE, _CLOSE = 0x0F, 0x8
_LONGEST_HEADER_BYTES = 14


def _small_frames() -> re.Pattern[bytes]:
    firsts: dict[bool, list[bytes]] = {True: [], False: []}
    for first in range(256):
        firsts[first & _OPCODE == _CLOSE].append(rb"\x%02x" % first)
    rests = (
        rb"\x%02x.{%d}|\x%02x.{%d}" % (length, length, _MASKED | length, _MASK_KEY_BYTES + length)
        for length in range(_LENGTH_IN_2_BYTES)
    )
    larger = rb"[\x7e\x7f\xfe\xff]"
    parts = b"".join(firsts[False]), b"".join(firsts[True]), larger, b"|".join(rests)
    return re.compile(b"(?:(?:[%b]|([%b]))(?!%b)(?:%b))*+" % parts, re.DOTALL)


# A peer may send 130,000 empty frames in one piece: passed over one by one they would hold up every other call. The
# group holds the beginning of the last close frame.
_pass_small_frames = _small_frames().match


class FrameCursor:
    """Where one direction of a connection stands among its frames, from the first byte after the 101."""

    __slots__ = ("_head", "_left_bytes", "has_closed")

    def __init__(self) -> None:
        self.has_closed = False
        """A close frame has begun: no frame may follow."""
        self._left_bytes = 0
        """What is still to come of the frame in progress."""
        self._head = b""
        """The beginning of a header of which too little has come to tell the frame's length."""

    @property
    def is_between_frames(self) -> bool:
        """Whether the next byte begins a frame."""
        return not self._left_bytes and not self._head

    def advance(self, piece: bytes) -> int:
        """Pass over the next bytes; give the index at which the first frame in them starts, or `NO_FRAME`."""
        size = len(piece)
        position = self._left_bytes
        if not position and size > _LONGEST_HEADER_BYTES and not self._head:
            # Nearly every piece is one whole frame of 126 bytes to 64 KiB.
            second, length = _read_start(piece)
            if length + _HEADER_BYTES.get(second, _NEVER) == size:
                return 0
        if position >= size:
            self._left_bytes = position - size
            return NO_FRAME
        if self._head:
            return self._advance_from_head(piece)
        first = position
        while position < size:
            end = self._end_of_frame(piece, position, size)
            if end < 0:
                self._left_bytes = 0
                self._head = piece[position:]
                return first
            if end + 1 < size and piece[end + 1] & _LENGTH < _LENGTH_IN_2_BYTES:
                end = self._end_of_small_frames(piece, end)
            position = end
        self._left_bytes = position - size
        return first

    def _end_of_small_frames(self, piece: bytes, start: int) -> int:
        passed = _pass_small_frames(piece, start)
        if passed is None:
            return start
        if passed.lastindex:
            self.has_closed = True
        return passed.end()

    def _end_of_frame(self, piece: bytes, start: int, size: int) -> int:
        """Find where the frame ends that starts here; negative where its length has not come yet."""
        if start + 2 > size:
            return -1
        second = piece[start + 1]
        length = second & _LENGTH
        if length < _LENGTH_IN_2_BYTES:
            end = start + 2 + length
            if piece[start] & _OPCODE == _CLOSE:
                self.has_closed = True
        elif length == _LENGTH_IN_2_BYTES:
            if start + 4 > size:
                return -1
            end = start + 4 + (piece[start + 2] << 8 | piece[start + 3])
        else:
            if start + 10 > size:
                return -1
            end = start + 10 + int.from_bytes(piece[start + 2 : start + 10], "big")
        return end + _MASK_KEY_BYTES if second & _MASKED else end

    def _advance_from_head(self, piece: bytes) -> int:
        head, self._head = self._head, b""
        joined = head + piece[:_LONGEST_HEADER_BYTES]
        end = self._end_of_frame(joined, 0, len(joined))
        if end < 0:
            self._head = joined
            return NO_FRAME
        self._left_bytes = end - len(head)
        return self.advance(piece)
