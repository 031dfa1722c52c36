from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from capture.frames import NO_FRAME, FrameCursor

frames = st.builds(
    lambda opcode, size, mask: Frame(opcode, bytes(size)).serialize(mask=mask),
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
    st.sampled_from([0, 1, 2, 100, 125, 126, 127, 1300, 65_535, 65_536, 70_000]),
    st.booleans(),
) | st.builds(lambda mask: Frame(Opcode.PING, b"are you there").serialize(mask=mask), st.booleans())


@given(st.lists(frames, min_size=1, max_size=8), st.lists(st.integers(0, 200_000), max_size=20))
def test_however_the_stream_is_cut_each_piece_tells_its_first_frame(stream: list[bytes], cuts: list[int]) -> None:
    starts = set(itertools.accumulate(map(len, stream), initial=0))
    sent = b"".join(stream)
    edges = sorted({0, len(sent), *(cut % (len(sent) + 1) for cut in cuts)})
    cursor = FrameCursor()
    for begin, end in itertools.pairwise(edges):
        within = [start - begin for start in sorted(starts) if begin <= start < end]
        assert cursor.advance(sent[begin:end]) == (within[0] if within else NO_FRAME)
        assert cursor.is_between_frames == (end in starts)
    assert not cursor.has_closed


small_frames = st.builds(
    lambda opcode, content, mask: Frame(opcode, content).serialize(mask=mask),
    st.sampled_from([Opcode.TEXT, Opcode.CONT, Opcode.PING, Opcode.PONG]),
    # Bytes that would be headers themselves among them.
    st.binary(max_size=125),
    st.booleans(),
)


@given(st.lists(small_frames, max_size=60), st.none() | st.integers(0, 60), st.integers(0, 4000))
def test_small_frames_are_passed_over_many_at_a_time(stream: list[bytes], close_at: int | None, cut: int) -> None:
    if close_at is not None:
        stream.insert(close_at, Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False))
    sent = Frame(Opcode.TEXT, b"x").serialize(mask=True) + b"".join(stream)
    cursor = FrameCursor()
    cursor.advance(sent[:cut])
    cursor.advance(sent[cut:])
    assert cursor.is_between_frames
    assert cursor.has_closed == (close_at is not None)
    cursor.advance(sent[:1])
    assert not cursor.is_between_frames


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.CLOSE])
def test_frames_by_tens_of_thousands_are_not_looked_at_one_by_one(opcode: Opcode) -> None:
    looked_at = 0

    class Counting(FrameCursor):
        def _end_of_frame(self, piece: bytes, start: int, size: int) -> int:
            nonlocal looked_at
            looked_at += 1
            return super()._end_of_frame(piece, start, size)

    cursor = Counting()
    assert cursor.advance(Frame(opcode, b"").serialize(mask=False) * 130_000) == 0
    assert cursor.is_between_frames
    assert cursor.has_closed == (opcode is Opcode.CLOSE)
    assert looked_at == 1


@pytest.mark.parametrize("size", [0, 5, 126, 70_000])
def test_byte_by_byte_every_frame_is_found(size: int) -> None:
    frame = Frame(Opcode.TEXT, bytes(size)).serialize(mask=True)
    cursor = FrameCursor()
    found = [cursor.advance(bytes([byte])) for byte in frame * 3]
    assert [at for at, index in enumerate(found) if index == 0] == [0, len(frame), 2 * len(frame)]


def test_nothing_moves_the_cursor_nowhere() -> None:
    cursor = FrameCursor()
    assert cursor.advance(b"") == NO_FRAME
    assert cursor.is_between_frames


@pytest.mark.parametrize("mask", [True, False])
def test_a_close_frame_is_noticed(mask: bool) -> None:
    cursor = FrameCursor()
    cursor.advance(Frame(Opcode.TEXT, b"bye").serialize(mask=mask))
    assert not cursor.has_closed
    cursor.advance(Frame(Opcode.CLOSE, Close(1000, "done").serialize()).serialize(mask=mask))
    assert cursor.has_closed


def test_a_length_that_nobody_can_send_is_waited_for() -> None:
    cursor = FrameCursor()
    assert cursor.advance(b"\x82\x7f" + struct.pack(">Q", 2**64 - 1)) == 0
    assert cursor.advance(bytes(1000)) == NO_FRAME
    assert not cursor.is_between_frames
