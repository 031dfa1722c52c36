"""Journals -> records: past a torn end, around damage, and never a wrong record."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from capture.errors import WiretapeError
from capture.journal.records import (
    CHUNK_LIMIT_BYTES,
    FILE_HEAD,
    MAGIC,
    RECORD_HEAD,
    SENDERS,
    UNKNOWN_BYTES,
    VERSION,
    Direction,
    Gap,
    JournalRecord,
    checksum,
)

_DIRECTIONS = tuple(Direction)
_VERSIONS_TO_COME = 100
# Records are small and many: with the usual 8 KB the system is asked for nearly every one.
_READ_BYTES = 1 << 18
_SCAN_BYTES = 1 << 20
# Where a record starts, offset_ns is under two years and the direction is known: a quick test for the search.
_MAYBE_RECORD = re.compile(rb"(?s)(?=.{15}\x00[\x00-\x03])")


class JournalUnreadable(WiretapeError):
    """The file is no journal, one whose head is damaged, or one of a version that is not known here."""

    def __init__(self, path: Path, head: bytes) -> None:
        super().__init__(path, head)
        self.path = path
        self.head = head

    def __str__(self) -> str:
        """Name the file and what to do with it."""
        if (version := _newer_version(self.head)) is not None:
            return (
                f"{self.path} is a journal of version {version}, not {VERSION}: read it with the wiretape that wrote it"
            )
        return f"{self.path} is no journal, or one that is damaged from its first byte on"


def read_journal(path: Path) -> Iterator[JournalRecord]:
    """Read a journal's records in their order, holding one at a time.

    What a kill left of the last record is passed over. Where records are damaged, a gap of unknown size for
    each sender stands in their place, because whose bytes they held is not known for sure, and reading goes
    on at the next record that is sound. Raises `JournalUnreadable` for a file that is no journal of this
    version.
    """
    position, last_ns = len(FILE_HEAD), 0
    for record, end in follow_journal(path):
        position, last_ns = end, record.offset_ns
        yield record
    if _is_damaged_at(path, position):
        yield from _damage(last_ns, last_ns)


def follow_journal(path: Path, position: int = 0) -> Iterator[tuple[JournalRecord, int]]:
    """Read a journal that is still written: give each record with the position behind it.

    From there a later reading goes on. A record that is only half written yet is left to that one. Errors are
    those of `read_journal`.
    """
    with path.open("rb", buffering=_READ_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        if position == 0:
            head, position = file.read(len(FILE_HEAD)), len(FILE_HEAD)
            # A damaged head loses nothing: a sound record behind it tells what the file is.
            is_sound = FILE_HEAD.startswith(head) or _read_record(file, position, size) is not None
            if not is_sound or _newer_version(head) is not None:
                raise JournalUnreadable(path, head)
        file.seek(position)
        last_ns = 0
        while position < size:
            record = _read_record(file, position, size)
            if record is None:
                found = _find_record(file, position + 1, size)
                record = _read_record_at(file, found, size)
                if record is None:
                    return
                for gap in _damage(last_ns, record.offset_ns):
                    yield gap, found
                position = found
            position += RECORD_HEAD.size + len(record.content)
            last_ns = record.offset_ns
            yield record, position


def _newer_version(head: bytes) -> int | None:
    """Give the version that a whole head tells, where it is one to come."""
    version = int.from_bytes(head[len(MAGIC) :], "little")
    # Versions go up one by one: a number that is far off is none.
    return version if head.startswith(MAGIC) and VERSION < version < VERSION + _VERSIONS_TO_COME else None


def _is_damaged_at(path: Path, position: int) -> bool:
    """Tell whether something else stands there, behind all records, than the beginning of one, which a kill leaves."""
    with path.open("rb") as file:
        file.seek(position)
        head = file.read(RECORD_HEAD.size)
        if len(head) < RECORD_HEAD.size:
            return False
        length, _, _, direction = RECORD_HEAD.unpack(head)
        is_whole = position + RECORD_HEAD.size + length <= os.fstat(file.fileno()).st_size
        return is_whole or not _is_possible(length, direction)


def _read_record(file: BinaryIO, position: int, size: int) -> JournalRecord | None:
    """Read the record at this position, where the file stands; None where none is that is whole and sound."""
    head = file.read(RECORD_HEAD.size)
    if len(head) < RECORD_HEAD.size:
        return None
    length, crc, offset_ns, direction = RECORD_HEAD.unpack(head)
    if not _is_possible(length, direction) or position + RECORD_HEAD.size + length > size:
        return None
    content = file.read(length)
    if len(content) < length or checksum(length, offset_ns, direction, content, position) != crc:
        return None
    return JournalRecord(_DIRECTIONS[direction], offset_ns, content)


def _is_possible(length: int, direction: int) -> bool:
    return direction < len(_DIRECTIONS) and (length <= CHUNK_LIMIT_BYTES or direction not in SENDERS)


def _read_record_at(file: BinaryIO, position: int, size: int) -> JournalRecord | None:
    file.seek(position)
    return _read_record(file, position, size)


def _find_record(file: BinaryIO, position: int, size: int) -> int:
    """Find the next sound record; where there is none, return the size."""
    while position < size:
        file.seek(position)
        scanned = file.read(_SCAN_BYTES + RECORD_HEAD.size - 1)
        for candidate in _MAYBE_RECORD.finditer(scanned):
            if _read_record_at(file, position + candidate.start(), size) is not None:
                return position + candidate.start()
        position += _SCAN_BYTES
    return size


def _damage(from_ns: int, to_ns: int) -> Iterator[JournalRecord]:
    for sender in SENDERS.values():
        yield Gap(sender, from_ns, to_ns, UNKNOWN_BYTES, "the journal is damaged").record()
