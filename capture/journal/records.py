"""The records of a journal and their encoding; pure.

A journal is a head (magic, version) and records, little endian: length u32, CRC32 u32, offset_ns u64,
direction u8, content. The CRC covers all of it and starts from the record's position in the file, so that a
journal sent as a message inside a session is never taken for records of that session's own journal.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

import msgspec

from capture.recording.facts import Sender

VERSION = 1
MAGIC = b"wiretape"
FILE_HEAD = struct.pack("<8sI", MAGIC, VERSION)
RECORD_HEAD = struct.Struct("<IIQB")
_HEAD_BYTES = RECORD_HEAD.size
_pack_head = RECORD_HEAD.pack
_pack_checked = struct.Struct("<IQB").pack

CHUNK_LIMIT_BYTES = 16 << 20
"""Longer chunks become several records: what a reader holds stays bounded."""
UNKNOWN_BYTES = -1
"""`Gap.bytes` where nobody knows how much is missing."""


class Direction(IntEnum):
    """What a record holds."""

    CLIENT = 0
    """Bytes the client sent, as they came: pieces of a stream, not messages."""
    SERVER = 1
    """Bytes the server sent."""
    FACT = 2
    """JSON of a `capture.recording.facts.Fact`."""
    GAP = 3
    """JSON of a `Gap`: bytes that are missing at this place."""


SENDERS: dict[Direction, Sender] = {Direction.CLIENT: "client", Direction.SERVER: "server"}


class JournalRecord(NamedTuple):
    """One record of a journal."""

    direction: Direction
    offset_ns: int
    """From the session's start, monotonic."""
    content: bytes


Unwritten = tuple[Direction, int, bytes, int]
"""A record on its way to the file, and the index in its content at which the first frame starts (negative: none
does). A plain tuple, because one is made for every chunk of every call."""


class Gap(msgspec.Struct, frozen=True):
    """Bytes of one sender that were forwarded but not recorded."""

    sender: Sender
    from_ns: int
    """When the first of them came."""
    to_ns: int
    """When the last of them came."""
    bytes: int
    """How many; `UNKNOWN_BYTES` where the journal itself is damaged: what follows is then out of step."""
    reason: str
    ends_at_frame: bool = False
    """The next bytes of this sender begin a WebSocket frame: only whole frames are missing, and the rest of one."""

    @property
    def direction(self) -> Direction:
        """Whose bytes are missing."""
        return Direction.CLIENT if self.sender == "client" else Direction.SERVER

    def record(self) -> JournalRecord:
        """Make the record that stands where the bytes are missing."""
        return JournalRecord(Direction.GAP, self.to_ns, msgspec.json.encode(self))

    def unwritten(self) -> Unwritten:
        """Make that record as it goes to the file."""
        return (*self.record(), 0)

    def and_then(self, later: Gap) -> Gap:
        """Join two gaps of one sender between which nothing was recorded."""
        return Gap(self.sender, self.from_ns, later.to_ns, self.bytes + later.bytes, self.reason, later.ends_at_frame)


def decode_gap(content: bytes) -> Gap:
    """Decode the content of a `Direction.GAP` record."""
    return msgspec.json.decode(content, type=Gap)


def encode_records(records: Iterable[Unwritten], position: int) -> tuple[list[bytes], int]:
    """Encode records to stand at this position of the file: heads and contents in turns; and the new end."""
    buffers: list[bytes] = []
    for direction, offset_ns, content, _ in records:
        length = len(content)
        if length > CHUNK_LIMIT_BYTES and direction in SENDERS:
            pieces = [(direction, offset_ns, piece, 0) for piece in _pieces(content)]
            encoded, position = encode_records(pieces, position)
            buffers += encoded
            continue
        # A clock that ran backwards must not cost the record. Here a call each would be felt.
        start_ns = offset_ns if offset_ns > 0 else 0  # noqa: FURB136
        crc = checksum(length, start_ns, direction, content, position)
        buffers += (_pack_head(length, crc, start_ns, direction), content)
        position += _HEAD_BYTES + length
    return buffers, position


def checksum(length: int, offset_ns: int, direction: int, content: bytes, position: int) -> int:
    """Compute the CRC32 of a record at this position of the file."""
    head = _pack_checked(length, offset_ns, direction)
    return zlib.crc32(content, zlib.crc32(head, position & 0xFFFFFFFF))


class OpenGaps:
    """Gaps that nothing has ended yet, one a sender: what comes next is dropped up to the start of a frame."""

    def __init__(self) -> None:
        self._gaps: dict[Sender, Gap] = {}

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def bytes_of(self, direction: Direction) -> int:
        """Tell how many bytes of a direction the gap stands for; 0 where there is none."""
        gap = self._gaps.get(SENDERS[direction])
        return gap.bytes if gap else 0

    def drop(self, direction: Direction, offset_ns: int, size: int, reason: str) -> None:
        """Note bytes that will not be recorded."""
        self._join(Gap(SENDERS[direction], offset_ns, offset_ns, size, reason))

    def resume(self, record: Unwritten) -> list[Unwritten]:
        """Give what is to be written of a record: what goes before the start of a frame joins the gap.

        A gap that a frame ends stands before the record.
        """
        direction, offset_ns, content, frame_at = record
        if direction is Direction.FACT:
            return [record]
        if direction is Direction.GAP:
            return self._resume_at_gap(decode_gap(content))
        gap = self._gaps.get(SENDERS[direction])
        if gap is None:
            return [record]
        if frame_at < 0:
            self.drop(direction, offset_ns, len(content), gap.reason)
            return []
        if frame_at:
            self.drop(direction, offset_ns, frame_at, gap.reason)
        gap = msgspec.structs.replace(self._gaps.pop(gap.sender), ends_at_frame=True)
        return [gap.unwritten(), (direction, offset_ns, content[frame_at:], 0)]

    def close(self) -> list[Unwritten]:
        """Give the gaps that no frame ended any more."""
        records = [gap.unwritten() for gap in self._gaps.values()]
        self._gaps.clear()
        return records

    def lose(self, record: Unwritten, reason: str) -> int:
        """Note a record that could not be written; give how many bytes went. A fact is not for dropping."""
        direction, offset_ns, content, _ = record
        if direction is Direction.GAP:
            self._join(decode_gap(content))
            return 0
        self.drop(direction, offset_ns, len(content), reason)
        return len(content)

    def _resume_at_gap(self, gap: Gap) -> list[Unwritten]:
        if gap.sender not in self._gaps:
            return [gap.unwritten()]
        self._join(gap)
        return [self._gaps.pop(gap.sender).unwritten()] if gap.ends_at_frame else []

    def _join(self, gap: Gap) -> None:
        earlier = self._gaps.get(gap.sender)
        self._gaps[gap.sender] = earlier.and_then(gap) if earlier else gap


def _pieces(content: bytes) -> Iterator[bytes]:
    return (content[at : at + CHUNK_LIMIT_BYTES] for at in range(0, len(content), CHUNK_LIMIT_BYTES))
