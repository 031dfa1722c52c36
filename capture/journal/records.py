"""The records of a journal and their encoding; pure.

A journal is a head (magic, version) and records, little endian: length u32, CRC32 u32, offset_ns u64,
direction u8, content. The CRC covers all of it and starts from the record's position in the file, so that a
journal sent as a message inside a session is never taken for records of that session's own journal.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

import msgspec

from capture.recording.facts import Sender

VERSION = 1
FILE_HEAD = struct.pack("<8sI", b"wiretape", VERSION)
RECORD_HEAD = struct.Struct("<IIQB")
_CHECKED_HEAD = struct.Struct("<IQB")

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


Unwritten = tuple[Direction, int, bytes]
"""A record on its way to the file: a plain tuple, because one is made for every chunk of every call."""


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

    def record(self) -> JournalRecord:
        """Make the record that stands where the bytes are missing."""
        return JournalRecord(Direction.GAP, self.to_ns, msgspec.json.encode(self))

    def and_then(self, later: Gap) -> Gap:
        """Join two gaps of one sender between which nothing was recorded."""
        return Gap(self.sender, self.from_ns, later.to_ns, self.bytes + later.bytes, self.reason)


def decode_gap(content: bytes) -> Gap:
    """Decode the content of a `Direction.GAP` record."""
    return msgspec.json.decode(content, type=Gap)


def encode_records(records: Iterable[Unwritten], position: int) -> tuple[list[bytes], int]:
    """Encode records to stand at this position of the file: heads and contents in turns; and the new end."""
    buffers: list[bytes] = []
    for direction, offset_ns, content in records:
        # A clock that ran backwards must not cost the record.
        start_ns = max(offset_ns, 0)
        for piece in _pieces(direction, content) if len(content) > CHUNK_LIMIT_BYTES else (content,):
            length = len(piece)
            crc = checksum(length, start_ns, direction, piece, position)
            buffers.append(RECORD_HEAD.pack(length, crc, start_ns, direction))
            buffers.append(piece)
            position += RECORD_HEAD.size + length
    return buffers, position


def checksum(length: int, offset_ns: int, direction: int, content: bytes, position: int) -> int:
    """Compute the CRC32 of a record at this position of the file."""
    head = _CHECKED_HEAD.pack(length, offset_ns, direction)
    return zlib.crc32(content, zlib.crc32(head, position & 0xFFFFFFFF))


def put_gaps(records: Sequence[Unwritten], reason: str) -> tuple[list[Unwritten], int]:
    """Put one gap a sender in place of all its content; facts stay. Returns also how many bytes went."""
    gaps: dict[Sender, Gap] = {}
    places: list[Unwritten | Sender] = []
    lost_bytes = 0
    for record in records:
        direction, offset_ns, content = record
        if direction is Direction.FACT:
            places.append(record)
            continue
        if direction is Direction.GAP:
            gap = decode_gap(content)
        else:
            gap = Gap(SENDERS[direction], offset_ns, offset_ns, len(content), reason)
            lost_bytes += len(content)
        if gap.sender in gaps:
            gaps[gap.sender] = gaps[gap.sender].and_then(gap)
        else:
            gaps[gap.sender] = gap
            places.append(gap.sender)
    return [gaps[place].record() if isinstance(place, str) else place for place in places], lost_bytes


def _pieces(direction: Direction, content: bytes) -> list[bytes]:
    if direction not in SENDERS:
        return [content]
    return [content[at : at + CHUNK_LIMIT_BYTES] for at in range(0, len(content), CHUNK_LIMIT_BYTES)]
