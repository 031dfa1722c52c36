from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.journal import UNKNOWN_BYTES, Direction, JournalRecord, JournalUnreadable, decode_gap, read_journal, reader
from capture.journal.records import FILE_HEAD, encode_records

CLIENT, SERVER, FACT = Direction.CLIENT, Direction.SERVER, Direction.FACT


def encode(records: Sequence[JournalRecord]) -> bytes:
    buffers, _ = encode_records([(*record, 0) for record in records], len(FILE_HEAD))
    return FILE_HEAD + b"".join(buffers)


def read(folder: Path, encoded: bytes) -> list[JournalRecord]:
    path = folder / "session.journal"
    path.write_bytes(encoded)
    return list(read_journal(path))


def ends(records: Sequence[JournalRecord]) -> list[int]:
    return [len(encode(records[:count])) for count in range(len(records) + 1)]


contents = st.one_of(
    st.binary(max_size=60),
    # What looks like records: zeros, and whole journals.
    st.integers(0, 60).map(bytes),
    st.just(encode([JournalRecord(SERVER, 5, b"not of this session")])),
    st.just(encode([JournalRecord(SERVER, 5, b"not of this session")])[len(FILE_HEAD) :]),
)
journals = st.lists(
    st.builds(JournalRecord, st.sampled_from([CLIENT, SERVER, FACT]), st.integers(0, 1 << 50), contents),
    max_size=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal")


@given(journals)
def test_what_was_written_is_read(folder: Path, records: list[JournalRecord]) -> None:
    assert read(folder, encode(records)) == records


@given(journals, st.data())
def test_cut_anywhere_it_reads_as_far_as_whole_records_go(
    folder: Path, records: list[JournalRecord], data: st.DataObject
) -> None:
    encoded = encode(records)
    size = data.draw(st.integers(0, len(encoded)))

    whole = sum(end <= size for end in ends(records)[1:])
    assert read(folder, encoded[:size]) == records[:whole]


@given(journals.filter(bool), st.data())
def test_a_flipped_bit_costs_its_record_and_no_other(
    folder: Path, records: list[JournalRecord], data: st.DataObject
) -> None:
    encoded = bytearray(encode(records))
    place = data.draw(st.integers(len(FILE_HEAD), len(encoded) - 1))
    encoded[place] ^= 1 << data.draw(st.integers(0, 7))

    hit = sum(end <= place for end in ends(records)) - 1
    found = read(folder, bytes(encoded))

    assert [record for record in found if record.direction is not Direction.GAP] == (records[:hit] + records[hit + 1 :])
    gaps = [decode_gap(record.content) for record in found if record.direction is Direction.GAP]
    # A longer last record cannot be told from one that a kill cut off.
    is_length_of_last = hit == len(records) - 1 and place < ends(records)[hit] + 4
    assert is_length_of_last or [gap.sender for gap in gaps] == ["client", "server"]
    assert {gap.bytes for gap in gaps} <= {UNKNOWN_BYTES}


@pytest.mark.parametrize("behind", [bytes(4096), b"\xff" * 100], ids=["zeros", "garbage"])
def test_what_no_kill_leaves_at_the_end_is_damage(folder: Path, behind: bytes) -> None:
    records = [JournalRecord(CLIENT, at, b"chunk") for at in (100, 200)]
    *found, client_gap, server_gap = read(folder, encode(records) + behind)
    assert found == records
    assert [decode_gap(gap.content).sender for gap in (client_gap, server_gap)] == ["client", "server"]
    assert client_gap.offset_ns == 200


def test_where_a_piece_is_missing_all_behind_it_is_damage(folder: Path) -> None:
    records = [JournalRecord(CLIENT, at, b"chunk") for at in range(8)]
    encoded = encode(records)
    cut = ends(records)[2] + 20
    found = read(folder, encoded[:cut] + encoded[cut + 7 :])
    assert [record.direction for record in found] == [CLIENT, CLIENT, Direction.GAP, Direction.GAP]


@given(journals.filter(bool), st.data())
def test_an_overwritten_stretch_never_yields_a_wrong_record(
    folder: Path, records: list[JournalRecord], data: st.DataObject
) -> None:
    encoded = encode(records)
    start = data.draw(st.integers(len(FILE_HEAD), len(encoded) - 1))
    garbage = data.draw(st.binary(min_size=1, max_size=len(encoded) - start))
    damaged = encoded[:start] + garbage + encoded[start + len(garbage) :]

    later = iter(records)
    found = [record for record in read(folder, damaged) if record.direction is not Direction.GAP]

    assert all(record in later for record in found)


def test_a_gap_says_between_which_records_it_lies(folder: Path) -> None:
    records = [JournalRecord(CLIENT, at, b"chunk") for at in (100, 200, 300)]
    encoded = bytearray(encode(records))
    encoded[ends(records)[1] + 20] ^= 0x10

    first, client_gap, server_gap, last = read(folder, bytes(encoded))

    assert (first, last) == (records[0], records[2])
    assert (client_gap.offset_ns, server_gap.offset_ns) == (300, 300)
    gap = decode_gap(client_gap.content)
    assert (gap.from_ns, gap.to_ns, gap.reason) == (100, 300, "the journal is damaged")


@pytest.mark.parametrize(
    ("foreign", "told"),
    [
        (b"PAR1" * 10, r"session\.journal is no journal, or one that is damaged from its first byte on"),
        (FILE_HEAD[:-1] + b"\x01", "is no journal, or one that is damaged"),
        (
            b"wiretape\x02\x00\x00\x00 of a version to come",
            r"session\.journal is a journal of version 2, not 1: read it",
        ),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, foreign: bytes, told: str) -> None:
    with pytest.raises(JournalUnreadable, match=told):
        read(tmp_path, foreign)


@pytest.mark.parametrize("damaged", range(len(FILE_HEAD)))
def test_a_journal_with_a_damaged_head_is_read_by_its_records(folder: Path, damaged: int) -> None:
    records = [JournalRecord(Direction.CLIENT, 100, b"one"), JournalRecord(Direction.SERVER, 200, b"two")]
    encoded = bytearray(encode(records))
    encoded[damaged] ^= 0xA0
    assert read(folder, bytes(encoded)) == records


@pytest.mark.parametrize("scan_bytes", [1, 5, 16, 17, 18, 1000])
def test_the_search_behind_damage_sees_across_what_it_reads_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scan_bytes: int
) -> None:
    monkeypatch.setattr(reader, "_SCAN_BYTES", scan_bytes)
    records = [JournalRecord(CLIENT, 1, b"\xff" * 100), JournalRecord(SERVER, 2, b"found")]
    encoded = bytearray(encode(records))
    encoded[len(FILE_HEAD) + 5] ^= 1

    *gaps, found = read(folder, bytes(encoded))

    assert [gap.direction for gap in gaps] == [Direction.GAP, Direction.GAP]
    assert found == records[1]


def test_reading_holds_one_record_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    chunk_bytes = 1 << 20
    path.write_bytes(encode([JournalRecord(CLIENT, at, bytes(chunk_bytes)) for at in range(40)]))

    tracemalloc.start()
    try:
        count = sum(1 for _ in read_journal(path))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert count == 40
    assert peak_bytes < 4 * chunk_bytes
