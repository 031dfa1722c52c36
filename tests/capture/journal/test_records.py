from __future__ import annotations

import struct
import zlib

import pytest

from capture.journal import records
from capture.journal.records import Direction, Gap, OpenGaps, Unwritten, decode_gap, encode_records


def test_a_record_is_a_head_and_its_content() -> None:
    buffers, end = encode_records([(Direction.SERVER, 1_500, b"bytes", 0)], position=12)

    head, content = buffers
    length, crc, offset_ns, direction = struct.unpack("<IIQB", head)
    assert (length, offset_ns, direction, content) == (5, 1_500, 1, b"bytes")
    assert crc == zlib.crc32(b"bytes", zlib.crc32(struct.pack("<IQB", 5, 1_500, 1), 12))
    assert end == 12 + 17 + 5


def test_a_record_is_sound_only_where_it_was_written() -> None:
    record = (Direction.CLIENT, 0, b"the same", 0)

    here, _ = encode_records([record], position=12)
    there, _ = encode_records([record], position=13)

    assert here[0] != there[0]


def test_a_long_chunk_becomes_several_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "CHUNK_LIMIT_BYTES", 4)

    buffers, _ = encode_records([(Direction.CLIENT, 7, b"123456789", 0), (Direction.FACT, 8, b"{whole}", 0)], 0)

    assert buffers[1::2] == [b"1234", b"5678", b"9", b"{whole}"]


def test_a_time_before_the_start_counts_as_the_start() -> None:
    (head, _), _ = encode_records([(Direction.CLIENT, -5, b"early", 0)], position=0)

    assert struct.unpack("<IIQB", head)[2] == 0


def resumed(gaps: OpenGaps, *records: Unwritten) -> list[tuple[str, Gap | bytes]]:
    """Give what is to be written of records that come after what was dropped."""
    written = [piece for record in records for piece in gaps.resume(record)]
    return [(r[0].name, decode_gap(r[2]) if r[0] is Direction.GAP else r[2]) for r in written]


def dropped() -> OpenGaps:
    gaps = OpenGaps()
    gaps.drop(Direction.CLIENT, 10, 100, "slow disk")
    return gaps


def test_what_is_dropped_ends_where_a_frame_starts() -> None:
    gaps = dropped()
    assert resumed(
        gaps,
        (Direction.CLIENT, 20, b"the rest of a frame", -1),
        (Direction.SERVER, 30, b"another sender", -1),
        (Direction.FACT, 40, b"{}", 0),
        (Direction.CLIENT, 50, b"tail|frame", 5),
        (Direction.CLIENT, 60, b"goes on", -1),
    ) == [
        ("SERVER", b"another sender"),
        ("FACT", b"{}"),
        ("GAP", Gap("client", 10, 50, 100 + 19 + 5, "slow disk", ends_at_frame=True)),
        ("CLIENT", b"frame"),
        ("CLIENT", b"goes on"),
    ]
    assert not gaps


def test_a_gap_that_meets_another_becomes_one_with_it() -> None:
    open_end = Gap("client", 20, 30, 7, "full disk")
    at_frame = Gap("client", 40, 50, 8, "full disk", ends_at_frame=True)
    of_server = Gap("server", 40, 50, 9, "full disk")

    assert resumed(dropped(), open_end.unwritten()) == []
    assert resumed(dropped(), open_end.unwritten(), at_frame.unwritten(), of_server.unwritten()) == [
        ("GAP", Gap("client", 10, 50, 115, "slow disk", ends_at_frame=True)),
        ("GAP", of_server),
    ]


def test_what_could_not_be_written_is_counted_and_leaves_one_gap_a_sender() -> None:
    gaps = OpenGaps()
    earlier = Gap("client", 10, 20, 100, "the buffer was full", ends_at_frame=True)
    records: list[Unwritten] = [
        earlier.unwritten(),
        (Direction.CLIENT, 30, b"abc", 0),
        (Direction.SERVER, 40, b"de", 0),
        (Direction.CLIENT, 50, b"f", 0),
    ]

    assert [gaps.lose(record, "No space left on device") for record in records] == [0, 3, 2, 1]
    assert [decode_gap(record[2]) for record in gaps.close()] == [
        Gap("client", 10, 50, 104, "the buffer was full"),
        Gap("server", 40, 40, 2, "No space left on device"),
    ]
    assert gaps.close() == []
