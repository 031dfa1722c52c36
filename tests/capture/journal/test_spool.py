"""The ring in shared memory: what is put in comes out, in its order, whoever stops in between."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.journal import spooled_names
from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import (
    SLOTS,
    Spool,
    SpoolReader,
    SpoolWriter,
    index_of,
    left_spools,
    make_spool,
    open_spool,
)

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")

RING_BYTES = 64 << 10
Batch = tuple[list[int], bytes]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with_ring = make_spool(tmp_path, RING_BYTES)
    yield with_ring
    with_ring.remove()
    with_ring.close()


def put(writer: SpoolWriter, contents: list[bytes]) -> Batch:
    """Put a batch; give what must come out."""
    index = [word for number, content in enumerate(contents) for word in (number, 7, len(content), number * 3)]
    writer.put(index, contents, sum(map(len, contents)))
    return index, b"".join(contents)


def read(reader: SpoolReader) -> Batch | None:
    batch = reader.read()
    if batch is None:
        return None
    index, content_at = index_of(batch)
    return index, batch[content_at:]


def test_what_is_put_comes_out_in_its_order(spool: Spool) -> None:
    writer, reader = SpoolWriter(spool), SpoolReader(spool)
    assert read(reader) is None
    batches = [put(writer, [b"hello", b""]), put(writer, [bytes(1000)]), put(writer, [])]
    assert [read(reader) for _ in range(4)] == [*batches, None]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), largest=st.integers(1, 30_000))
def test_the_ring_gives_back_every_batch_whatever_the_pace_of_either_side(
    tmp_path_factory: pytest.TempPathFactory, seed: int, largest: int
) -> None:
    seeded = random.Random(seed)
    spool = make_spool(tmp_path_factory.mktemp("root"), RING_BYTES)
    try:
        writer, reader = SpoolWriter(spool), SpoolReader(spool)
        waiting: list[Batch] = []
        for _ in range(200):
            contents = [seeded.randbytes(seeded.randrange(largest)) for _ in range(seeded.randrange(4))]
            if writer.has_room(len(contents), sum(map(len, contents)), 0):
                waiting.append(put(writer, contents))
            else:
                assert waiting or spool.backlog_bytes or sum(map(len, contents)) > RING_BYTES // 3
            for _ in range(seeded.randrange(3)):
                assert read(reader) == (waiting.pop(0) if waiting else None)
            if seeded.random() < 0.5:
                reader.release(reader.mark)
            if seeded.random() < 0.1:
                # A new reader begins where the last one gave room back; what it had read since comes once more.
                again = SpoolReader(spool)
                while again.position < reader.position:
                    assert again.read() is not None
                reader = again
        while waiting:
            assert read(reader) == waiting.pop(0)
        assert read(reader) is None
    finally:
        spool.remove()
        spool.close()


def test_a_full_ring_takes_no_more_and_forgets_nothing(spool: Spool) -> None:
    writer, reader = SpoolWriter(spool), SpoolReader(spool)
    batches = []
    while writer.has_room(1, 1000, 0):
        batches.append(put(writer, [os.urandom(1000)]))
    with pytest.raises(OSError, match="No buffer space"):
        put(writer, [bytes(1000)])
    assert RING_BYTES * 0.9 < spool.backlog_bytes <= RING_BYTES
    assert [read(reader) for _ in batches] == batches
    assert not writer.has_room(1, 1000, 0), "what was read is not written yet"
    reader.release(reader.mark)
    assert spool.backlog_bytes == 0
    assert writer.has_room(1, 1000, 0)


def test_a_reserve_stays_free(spool: Spool) -> None:
    writer = SpoolWriter(spool)
    while writer.has_room(1, 1000, 20_000):
        put(writer, [bytes(1000)])
    assert spool.backlog_bytes < RING_BYTES - 19_000
    put(writer, [bytes(15_000)])


def test_a_reader_that_keeps_up_keeps_the_memory_small(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, 64 << 20)
    try:
        writer, reader = SpoolWriter(spool), SpoolReader(spool)
        for _ in range(300):
            batch = put(writer, [bytes(256 << 10)])
            assert read(reader) == batch
            reader.release(reader.mark)
        assert spool.path.stat().st_blocks * 512 < 12 << 20, "75 MB went through"
    finally:
        spool.remove()
        spool.close()


@pytest.mark.parametrize("laps", [0, 1, 3])
def test_a_reader_killed_while_it_gives_room_back_leaves_its_place_all_the_same(spool: Spool, laps: int) -> None:
    writer, reader = SpoolWriter(spool), SpoolReader(spool)
    for _ in range(laps * 40):
        put(writer, [bytes(2000)])
        read(reader)
        reader.release(reader.mark)
    put(writer, [b"one"])
    second = put(writer, [b"two"])
    position = spool.words[3]
    read(reader)
    reader.release(reader.mark)
    spool.words[3] = position  # the second word was not stored yet
    again = SpoolReader(spool)
    assert read(again) == second
    assert read(again) is None
    again.release(again.mark)
    spool.words[3] = position
    caught_up = SpoolReader(spool)
    assert read(caught_up) is None
    third = put(writer, [b"three"])
    assert read(caught_up) == third


def test_a_slot_tells_whose_it_is_and_what_was_taken(spool: Spool) -> None:
    word = spool.name(5, "20260212T083055-4f3a9c12")
    spool.words[word], spool.words[word + 1] = 12, 34
    assert (spool.name_of(5), spool.taken_bytes(5)) == ("20260212T083055-4f3a9c12", (12, 34))
    spool.name(SLOTS - 1, "last")
    assert list(spool.named_slots()) == [5, SLOTS - 1]
    other = open_spool(spool.path)
    assert other.name_of(5) == spool.name_of(5)
    spool.name(5, "next")
    assert (other.name_of(5), other.taken_bytes(5)) == ("next", (0, 0))
    other.close()
    spool.free(5)
    assert list(spool.named_slots()) == [SLOTS - 1]
    with pytest.raises(ValueError, match="too long"):
        spool.name(5, "x" * 33)


def test_a_spool_is_left_once_its_owner_is_dead(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, RING_BYTES)
    spool.name(0, "session")
    assert left_spools(tmp_path) == []
    assert spooled_names(tmp_path) == {"session"}
    spool.close()
    assert left_spools(tmp_path) == [spool.path]
    spool.remove()
    assert left_spools(tmp_path) == []
    assert spooled_names(tmp_path) == set()


def test_it_is_private(spool: Spool) -> None:
    assert spool.path.stat().st_mode & 0o777 == 0o600


def test_a_file_of_another_kind_is_no_spool(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.spool"
    foreign.write_bytes(bytes(1 << 20))
    with pytest.raises(ValueError, match="no spool"):
        open_spool(foreign)
    foreign.write_bytes(b"")
    with pytest.raises(ValueError, match="greater than file size"):
        open_spool(foreign)


def test_where_memory_has_too_little_room_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.journal.spool.SHARED_MEMORY", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        make_spool(tmp_path)

    class Space:
        f_bavail, f_frsize = 1000, 4096

    monkeypatch.setattr(os, "statvfs", lambda _: Space)
    with pytest.raises(OSError, match="too little room"):
        make_spool(tmp_path)
