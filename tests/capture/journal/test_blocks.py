"""The blocks in shared memory: what is put in comes out, in its order, whoever stops in between."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.journal.blocks import BEHIND_BYTES, PIECE_HEAD_BYTES, BlockReader, BlockWriter, SpooledPiece
from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import _ASIDE_WORD, READ_WORD, Spool, make_spool, open_spool

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")

SPOOL_BYTES = 80 << 10
"""Ten blocks: eight for what comes, two for what is set aside."""


def put(writer: BlockWriter, content: bytes, number: int = 0) -> SpooledPiece:
    """Put a piece; give what must come out."""
    assert writer.make_room(len(content), is_fact=True)
    writer.put(number, 7, len(content), number * 3, content)
    return number, 7, len(content), number * 3, content


def in_use(spool: Spool) -> tuple[int, int]:
    """How many blocks are in use for what comes, and how many are set aside."""
    sequences = spool.sequences()
    return tuple(sum(map(bool, part)) for part in (sequences[: spool.first_aside], sequences[spool.first_aside :]))  # type: ignore[return-value]


def read(reader: BlockReader, spool: Spool) -> list[SpooledPiece]:
    """Read all that is there."""
    pieces: list[SpooledPiece] = []
    while more := reader.read(spool.written):
        pieces += more
    return pieces


def test_what_is_put_comes_out_in_its_order(spool: Spool) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    assert read(reader, spool) == []
    pieces = [put(writer, content, number) for number, content in enumerate((b"hello", b"", bytes(1000)))]
    assert read(reader, spool) == pieces
    assert read(reader, spool) == []


def test_nothing_is_read_beyond_the_position_that_is_given(spool: Spool) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    pieces, looked_at = [], []
    for number in range(20):
        pieces.append(put(writer, bytes(2000), number))
        looked_at.append(spool.written)
    got: list[SpooledPiece] = []
    for number, until in enumerate(looked_at):
        got += reader.read(until)
        while len(got) <= number:
            got += reader.read(until)
        assert got == pieces[: number + 1]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), largest=st.integers(1, 8_000))
def test_they_give_back_every_piece_whatever_the_pace_of_either_side(
    tmp_path_factory: pytest.TempPathFactory, seed: int, largest: int
) -> None:
    seeded = random.Random(seed)
    spool = make_spool(tmp_path_factory.mktemp("root"), SPOOL_BYTES)
    try:
        writer, reader = BlockWriter(spool), BlockReader(spool)
        waiting: list[SpooledPiece] = []
        unreleased: list[SpooledPiece] = []
        for number in range(200):
            content = seeded.randbytes(seeded.randrange(largest))
            if writer.make_room(len(content), is_fact=seeded.random() < 0.3):
                waiting.append(put(writer, content, number))
            else:
                assert waiting or unreleased
            heads = sum(PIECE_HEAD_BYTES + len(piece[4]) for piece in waiting + unreleased)
            assert spool.backlog_bytes == heads
            for _ in range(seeded.randrange(3)):
                pieces = reader.read(spool.written, seeded.choice((1, 500, 5000, 1 << 20)))
                assert pieces == waiting[: len(pieces)]
                assert bool(pieces) == bool(waiting)
                assert bool(reader.unread_bytes) == (len(pieces) < len(waiting))
                unreleased += pieces
                del waiting[: len(pieces)]
            if seeded.random() < 0.5:
                reader.release(reader.mark)
                unreleased.clear()
            if seeded.random() < 0.1:
                # A new reader begins where the last one gave room back; what was read since comes once more.
                reader = BlockReader(spool)
                waiting, unreleased = unreleased + waiting, []
        assert read(reader, spool) == waiting
    finally:
        spool.remove()
        spool.close()


def test_full_blocks_take_no_more_and_forget_nothing(spool: Spool) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    pieces: list[SpooledPiece] = []
    while writer.make_room(1000, is_fact=True):
        pieces.append(put(writer, os.urandom(1000), len(pieces)))
    # Of each block the end is left where the next piece did not fit.
    assert len(pieces) == 8 * (8192 // (1000 + PIECE_HEAD_BYTES))
    assert in_use(spool) == (8, 0)
    assert read(reader, spool) == pieces
    assert in_use(spool) == (6, 2)
    while writer.make_room(1000, is_fact=True):
        put(writer, bytes(1000))
    assert in_use(spool) == (8, 2), "what was read is not written yet"
    read(reader, spool)
    reader.release(reader.mark)
    assert spool.backlog_bytes == 0
    assert writer.make_room(1000, is_fact=True)


def test_the_last_blocks_are_left_to_facts_until_others_are_free(spool: Spool) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    while writer.make_room(1000):
        put(writer, bytes(1000))
    assert in_use(spool) == (6, 0)
    put(writer, bytes(7000))
    assert in_use(spool) == (7, 0)
    assert not writer.make_room(10), "of this block senders get nothing"
    assert writer.limit == 0
    put(writer, b"{}")
    read(reader, spool)
    reader.release(reader.mark)
    assert writer.make_room(10)
    assert writer.limit > 0


def test_what_was_read_is_set_aside_until_it_is_in_the_journals(spool: Spool) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    pieces = []
    for number in range(3):
        pieces.append(put(writer, os.urandom(7000), number))
        assert read(reader, spool) == pieces[-1:]
        # The lowest free block is begun next: of those for what comes two are ever touched.
        assert in_use(spool) == (1, number)
        assert writer.at <= 2 * spool.block_bytes
    follower = BlockReader(spool)
    assert read(follower, spool) == pieces, "none of it is in the journals"
    follower.release(follower.mark)
    assert in_use(spool) == (1, 0)
    assert spool.backlog_bytes == 0


def test_where_nothing_more_can_be_set_aside_a_block_stays_where_it_is(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some_of_it(descriptor: int, content: bytes, offset: int) -> int:
        return write(descriptor, content[:4096], offset)

    write = os.pwrite
    writer, reader = BlockWriter(spool), BlockReader(spool)
    pieces = []
    for number in range(5):
        pieces.append(put(writer, os.urandom(7000), number))
        with monkeypatch.context() as short_of_memory:
            if number == 1:
                short_of_memory.setattr(os, "pwrite", some_of_it)
            assert read(reader, spool) == pieces[-1:]
    # The second for want of memory, the fourth because both that are for it were taken, the fifth is being filled.
    assert in_use(spool) == (3, 2)
    assert read(BlockReader(spool), spool) == pieces


def test_of_a_recorder_that_would_begin_any_block_nothing_is_set_aside(spool: Spool) -> None:
    # That of the version before: its spools have no word for it.
    spool.words[_ASIDE_WORD] = 0
    of_old = open_spool(spool.path)
    writer, reader = BlockWriter(of_old), BlockReader(of_old)
    pieces = [put(writer, os.urandom(7000), number) for number in range(10)]
    assert read(reader, of_old) == pieces
    assert of_old.sequences() == list(range(1, 11))
    of_old.close()


def test_who_is_behind_sets_nothing_aside(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, 80 << 20)
    try:
        writer, reader = BlockWriter(spool), BlockReader(spool)
        pieces = [put(writer, os.urandom(250 << 10), number) for number in range(8)]
        assert reader.unread_bytes > BEHIND_BYTES
        assert read(reader, spool) == pieces
        # The last few were read when less waited; of the one in progress more may come.
        blocks, aside = in_use(spool)
        assert blocks + aside == 8
        assert aside == BEHIND_BYTES // spool.block_bytes - 1
    finally:
        spool.remove()
        spool.close()


@pytest.mark.parametrize("steps", [0, 1])
def test_a_reader_killed_while_it_sets_a_block_aside_loses_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    class Killed(Exception):
        pass

    def take_steps(block: int, sequence: int) -> None:
        nonlocal steps
        if not steps:
            raise Killed
        steps -= 1
        set_sequence(block, sequence)

    set_sequence = spool.set_sequence
    writer, reader = BlockWriter(spool), BlockReader(spool)
    pieces = [put(writer, os.urandom(7000), number) for number in range(2)]
    with monkeypatch.context() as killed:
        killed.setattr(spool, "set_sequence", take_steps)
        assert reader.read(spool.written) == pieces[:1]
        with pytest.raises(Killed):
            reader.read(spool.written)
    follower = BlockReader(spool)
    assert read(follower, spool) == pieces
    follower.release(follower.mark)
    pieces = [put(writer, os.urandom(7000), number) for number in range(4)]
    assert read(follower, spool) == pieces
    follower.release(follower.mark)
    assert in_use(spool) == (1, 0)


def test_a_reader_takes_as_much_as_it_asks_for_or_one_piece(spool: Spool) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    pieces = [put(writer, os.urandom(1000), number) for number in range(6)]
    assert reader.unread_bytes == 6 * (1000 + PIECE_HEAD_BYTES)
    assert reader.read(spool.written, 2500) == pieces[:2]
    assert reader.unread_bytes == 4 * (1000 + PIECE_HEAD_BYTES)
    assert reader.read(spool.written, 2 * (1000 + PIECE_HEAD_BYTES)) == pieces[2:4]
    longest = put(writer, bytes(spool.block_bytes - PIECE_HEAD_BYTES))
    assert reader.read(spool.written, 5000) == pieces[4:]
    assert reader.read(spool.written, 5000) == [longest]
    assert read(reader, spool) == []
    assert reader.unread_bytes == 0


def test_a_piece_as_long_as_a_block_comes_whole_and_a_longer_one_has_no_room(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, 4 << 20)
    try:
        writer, reader = BlockWriter(spool), BlockReader(spool)
        assert not writer.make_room(spool.block_bytes - PIECE_HEAD_BYTES + 1)
        longest = os.urandom(spool.block_bytes - PIECE_HEAD_BYTES)
        pieces = [put(writer, b"short"), put(writer, longest), put(writer, b"short"), put(writer, longest)]
        assert read(reader, spool) == pieces
    finally:
        spool.remove()
        spool.close()


def test_a_reader_that_keeps_up_keeps_the_memory_small(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, 80 << 20)
    try:
        writer, reader = BlockWriter(spool), BlockReader(spool)
        for number in range(300):
            piece = put(writer, bytes(250 << 10), number)
            assert read(reader, spool) == [piece]
            reader.release(reader.mark)
        assert spool.path.stat().st_blocks * 512 < 2 << 20, "75 MB went through"
    finally:
        spool.remove()
        spool.close()


def resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith("RssShmem")]
    return int(kib) << 10


def test_what_waits_for_a_stalled_disk_is_not_in_the_memory_of_the_process(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, 80 << 20)
    try:
        writer, reader = BlockWriter(spool), BlockReader(spool)
        before_bytes = resident_bytes()
        pieces = []
        while writer.make_room(60 << 10):
            pieces.append(put(writer, os.urandom(60 << 10)))
        assert spool.backlog_bytes > 55 << 20
        assert resident_bytes() - before_bytes < 4 << 20
        assert read(reader, spool) == pieces
    finally:
        spool.remove()
        spool.close()


def test_where_memory_runs_out_the_next_block_says_so(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: int) -> None:
        raise OSError(28, "No space left on device")

    writer, reader = BlockWriter(spool), BlockReader(spool)
    put(writer, bytes(7000))
    with monkeypatch.context() as full:
        full.setattr(os, "posix_fallocate", no_space)
        assert not writer.make_room(7000)
        assert writer.lack == f"{SHARED_MEMORY}: No space left on device", "the disk may have room"
        assert writer.make_room(100)
    put(writer, b"on it goes")
    assert [piece[4] for piece in read(reader, spool)] == [bytes(7000), b"on it goes"]


@pytest.mark.parametrize("blocks", [0, 1, 3, 20])
def test_a_reader_killed_while_it_gives_room_back_leaves_its_place_all_the_same(spool: Spool, blocks: int) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    for _ in range(blocks):
        put(writer, bytes(8000))
        read(reader, spool)
        reader.release(reader.mark)
    put(writer, bytes(5000))
    second = put(writer, bytes(7000))
    first = reader.read(spool.written)
    assert len(first) == 1
    spool.words[READ_WORD] = reader.mark  # the block it has read was not freed yet
    again = BlockReader(spool)
    assert read(again, spool) == [second]
    again.release(again.mark)
    caught_up = BlockReader(spool)
    assert read(caught_up, spool) == []
    third = put(writer, b"three")
    assert read(caught_up, spool) == [third]
    assert len([sequence for sequence in spool.sequences() if sequence]) <= 2


def test_damage_is_no_piece(spool: Spool) -> None:
    writer, reader = BlockWriter(spool), BlockReader(spool)
    put(writer, b"hello")
    writer.memory[16:24] = (1 << 31).to_bytes(8, "little")
    with pytest.raises(ValueError, match="damaged"):
        reader.read(spool.written)
