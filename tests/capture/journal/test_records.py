from __future__ import annotations

import struct
import zlib

import pytest

from capture.journal import records
from capture.journal.records import Direction, Gap, decode_gap, encode_records, put_gaps


def test_a_record_is_a_head_and_its_content() -> None:
    buffers, end = encode_records([(Direction.SERVER, 1_500, b"bytes")], position=12)

    head, content = buffers
    length, crc, offset_ns, direction = struct.unpack("<IIQB", head)
    assert (length, offset_ns, direction, content) == (5, 1_500, 1, b"bytes")
    assert crc == zlib.crc32(b"bytes", zlib.crc32(struct.pack("<IQB", 5, 1_500, 1), 12))
    assert end == 12 + 17 + 5


def test_a_record_is_sound_only_where_it_was_written() -> None:
    record = (Direction.CLIENT, 0, b"the same")

    here, _ = encode_records([record], position=12)
    there, _ = encode_records([record], position=13)

    assert here[0] != there[0]


def test_a_long_chunk_becomes_several_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "CHUNK_LIMIT_BYTES", 4)

    buffers, _ = encode_records([(Direction.CLIENT, 7, b"123456789"), (Direction.FACT, 8, b"{whole}")], 0)

    assert buffers[1::2] == [b"1234", b"5678", b"9", b"{whole}"]


def test_a_time_before_the_start_counts_as_the_start() -> None:
    (head, _), _ = encode_records([(Direction.CLIENT, -5, b"early")], position=0)

    assert struct.unpack("<IIQB", head)[2] == 0


def test_gaps_take_the_place_of_content_and_facts_stay() -> None:
    earlier = Gap("client", 10, 20, 100, "the buffer was full")

    kept, lost_bytes = put_gaps(
        [
            (Direction.FACT, 1, b"who"),
            earlier.record(),
            (Direction.CLIENT, 30, b"abc"),
            (Direction.SERVER, 40, b"de"),
            (Direction.CLIENT, 50, b"f"),
            (Direction.FACT, 60, b"end"),
        ],
        "No space left on device",
    )

    assert lost_bytes == 6
    assert [record[0].name for record in kept] == ["FACT", "GAP", "GAP", "FACT"]
    assert decode_gap(kept[1][2]) == Gap("client", 10, 50, 104, "the buffer was full")
    assert decode_gap(kept[2][2]) == Gap("server", 40, 40, 2, "No space left on device")
