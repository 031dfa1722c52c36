"""Two TCP connections joined: what passes from either to the other, and what is copied."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from capture.event_loop import choose_loop
from capture.exchange import Gate
from capture.frames import FrameCursor
from capture.recording.facts import Sender, SessionEnd
from capture.splice import LagHistogram, Splice


@dataclass
class Copies:
    """Takes the copies, as a recording does."""

    pieces: list[tuple[Sender, bytes]] = field(default_factory=list)
    is_broken: bool = False
    frames: dict[Sender, FrameCursor] = field(
        default_factory=lambda: {"client": FrameCursor(), "server": FrameCursor()}
    )

    monotonic_ns = staticmethod(time.monotonic_ns)

    def may_send(self, sender: Sender) -> bool:
        return self.frames[sender].is_between_frames and not self.frames[sender].has_closed

    def now_ns(self) -> int:
        return 1_000 + len(self.pieces)

    def of(self, sender: Sender) -> bytes:
        return b"".join(piece for found, piece in self.pieces if found == sender)

    def taker(self, sender: Sender) -> Callable[[bytes, int], None]:
        def take(chunk: bytes, arrived_ns: int) -> None:
            assert arrived_ns > 0
            if self.is_broken:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.pieces.append((sender, chunk))
            self.frames[sender].advance(chunk)

        return take


@dataclass
class Peer:
    """A far end: the client's, or the endpoint's."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def socket(self) -> socket.socket:
        found = self.writer.get_extra_info("socket")
        assert found is not None
        return found  # type: ignore[no-any-return]

    async def send(self, chunk: bytes) -> None:
        self.writer.write(chunk)
        await self.writer.drain()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Spliced:
    """A running splice and its two far ends."""

    splice: Splice
    client: Peer
    server: Peer
    copies: Copies
    ended: asyncio.Task[SessionEnd]


async def connected() -> tuple[Gate, Peer]:
    accepted: asyncio.Future[Gate] = asyncio.get_running_loop().create_future()
    listening = await asyncio.get_running_loop().create_server(lambda: Gate(accepted.set_result), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    gate = await accepted
    listening.close()
    return gate, Peer(reader, writer)


@asynccontextmanager
async def spliced(copies: Copies | None = None, linger_s: float = 5) -> AsyncIterator[Spliced]:
    copies = copies or Copies()
    (client_gate, client), (server_gate, server) = await connected(), await connected()
    splice = Splice(client_gate, server_gate, copies, linger_s=linger_s)
    async with asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(splice.run())
        await asyncio.sleep(0)
        try:
            yield Spliced(splice, client, server, copies, ended)
        finally:
            for peer in (client, server):
                peer.writer.close()
            async with asyncio.timeout(10):
                await asyncio.wait([ended])
    for peer in (client, server):
        with contextlib.suppress(OSError):
            await peer.writer.wait_closed()


async def test_bytes_pass_both_ways_untouched_and_are_copied() -> None:
    up, down = os.urandom(300_000), os.urandom(500_000)
    async with spliced() as pair, asyncio.timeout(10):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pair.client.send(up))
            tasks.create_task(pair.server.send(down))
            seen_up = tasks.create_task(pair.server.reader.readexactly(len(up)))
            seen_down = tasks.create_task(pair.client.reader.readexactly(len(down)))
        assert seen_up.result() == up
        assert seen_down.result() == down
    assert pair.copies.of("client") == up
    assert pair.copies.of("server") == down


@dataclass
class Watching(Copies):
    """Looks, as each of the client's pieces is copied, at what of it is not sent yet."""

    sink: asyncio.Transport | None = None
    unsent_bytes: list[int] = field(default_factory=list)

    def taker(self, sender: Sender) -> Callable[[bytes, int], None]:
        take = super().taker(sender)

        def watch(chunk: bytes, arrived_ns: int) -> None:
            if sender == "client" and self.sink is not None:
                self.unsent_bytes.append(self.sink.get_write_buffer_size())
            take(chunk, arrived_ns)

        return watch


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, choose_loop()])
def test_a_piece_is_with_the_kernel_before_it_is_copied(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def call() -> list[int]:
        copies = Watching()
        async with spliced(copies) as pair:
            copies.sink = pair.splice.server.transport
            for _ in range(3):
                await pair.client.send(b"x" * 1400)
                await pair.server.reader.readexactly(1400)
        return copies.unsent_bytes

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(call()) == [0, 0, 0]


async def test_what_came_before_the_splice_goes_first() -> None:
    (client_gate, client), (server_gate, server) = await connected(), await connected()
    await client.send(b"GET / HTTP/1.1\r\n\r\nearly ")
    await client_gate.head()
    copies = Copies()
    splice = Splice(client_gate, server_gate, copies, linger_s=5)
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        tasks.create_task(splice.run())
        await asyncio.sleep(0)
        await client.send(b"late")
        assert await server.reader.readexactly(10) == b"early late"
        client.writer.close()
        server.writer.close()
    assert copies.of("client") == b"early late"


async def test_a_half_close_passes_on_and_the_other_direction_stays_open() -> None:
    async with spliced() as pair, asyncio.timeout(10):
        await pair.client.send(b"question")
        pair.client.writer.write_eof()
        assert await pair.server.reader.read() == b"question"
        await pair.server.send(b"answer, after the client has ended its side")
        pair.server.writer.write_eof()
        assert await pair.client.reader.read() == b"answer, after the client has ended its side"
        end = await pair.ended
    assert end.end_reason == "end of stream from the client"


async def test_a_reset_passes_on_as_a_reset() -> None:
    async with spliced() as pair, asyncio.timeout(10):
        await pair.client.send(b"x")
        await pair.server.reader.readexactly(1)
        pair.client.reset()
        with pytest.raises(ConnectionResetError):
            await pair.server.reader.read()
        end = await pair.ended
    assert end.end_reason is not None
    assert end.end_reason.startswith("connection to the client lost")
    assert end.closed_by == "client"


@pytest.mark.parametrize(
    ("sender", "error", "closed_by"),
    [
        ("client", ConnectionResetError(104, "Connection reset by peer"), "client"),
        ("client", BrokenPipeError(32, "Broken pipe"), "client"),
        ("client", TimeoutError(110, "Connection timed out"), "network"),
        ("server", ConnectionResetError(104, "Connection reset by peer"), "network"),
    ],
)
async def test_only_a_client_that_resets_is_held_to_have_let_go(sender: Sender, error: OSError, closed_by: str) -> None:
    async with spliced() as pair, asyncio.timeout(10):
        pair.splice.note_end(sender, error)
        pair.client.reset()
        assert (await pair.ended).closed_by == closed_by


async def test_a_slow_reader_holds_the_sender_back_and_the_wait_is_counted() -> None:
    flood = bytes(16 << 20)
    async with spliced() as pair, asyncio.timeout(30):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pair.server.send(flood))
            buffered = await until_it_stands_still(pair)
            # What the relay holds for the slow client is bounded: a write's high-water mark and one read.
            assert buffered < 1 << 20
            assert len(pair.copies.of("server")) < len(flood)
            seen = 0
            while seen < len(flood):
                seen += len(await pair.client.reader.read(1 << 20))
        pair.client.writer.close()
        pair.server.writer.close()
        end = await pair.ended
    assert len(pair.copies.of("server")) == len(flood)
    assert end.backpressure_client_ms is not None
    assert end.backpressure_client_ms > 0
    assert end.backpressure_server_ms == 0


async def until_it_stands_still(pair: Spliced) -> int:
    """Wait until no more bytes get through, and give what the relay's transport holds."""
    seen = -1
    while seen != len(pair.copies.pieces) or not pair.copies.pieces:
        seen = len(pair.copies.pieces)
        await asyncio.sleep(0.05)
    return pair.splice.client.transport.get_write_buffer_size()


async def test_a_broken_recorder_does_not_break_the_call(caplog: pytest.LogCaptureFixture) -> None:
    async with spliced(Copies(is_broken=True)) as pair, asyncio.timeout(10):
        for _ in range(3):
            await pair.client.send(b"ping")
            assert await pair.server.reader.readexactly(4) == b"ping"
    assert [record.message for record in caplog.records] == [
        "a session could not be recorded whole: OSError: No space left on device"
    ]


FRAME = Frame(Opcode.TEXT, b"last words")


async def test_stopping_ends_both_sides_with_a_close_frame_and_says_who_did_it() -> None:
    to_client, to_server = FRAME.serialize(mask=False), FRAME.serialize(mask=True)
    async with spliced() as pair, asyncio.timeout(10):
        await pair.server.send(to_client)
        await pair.client.send(to_server)
        assert await pair.client.reader.readexactly(len(to_client)) == to_client
        assert await pair.server.reader.readexactly(len(to_server)) == to_server
        pair.splice.stop()
        closed = [await pair.client.reader.read(), await pair.server.reader.read()]
        end = await pair.ended
    assert closed[0] == b"\x88\x14\x03\xe9the recorder stops"
    assert (closed[1][:2], len(closed[1])) == (b"\x88\x94", 2 + 4 + 20)
    assert (end.closed_by, end.end_reason) == ("recorder", "the proxy was stopped")
    assert (end.close_code, end.close_reason) == (1001, "the recorder stops")
    # What the recorder says is no message of either end.
    assert pair.copies.pieces == [("server", to_client), ("client", to_server)]


async def test_stopping_cuts_no_frame_and_follows_no_close() -> None:
    closing = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)
    async with spliced() as pair, asyncio.timeout(10):
        await pair.server.send(closing)
        await pair.client.send(b"\x81\xfe\x05\x14half a frame")
        assert await pair.client.reader.readexactly(4) == closing
        assert await pair.server.reader.readexactly(16)
        pair.splice.stop()
        assert await pair.client.reader.read() == b""
        assert await pair.server.reader.read() == b""
        end = await pair.ended
    assert (end.closed_by, end.close_code) == ("recorder", None)


async def test_a_client_that_is_gone_does_not_keep_a_quiet_endpoint_open() -> None:
    async with spliced(linger_s=0.01) as pair, asyncio.timeout(10):
        pair.client.writer.close()
        assert await pair.server.reader.read() == b""
        pair.server.writer.close()
        await pair.ended


async def test_an_endpoint_that_reads_nothing_does_not_keep_the_session_of_a_client_that_is_gone() -> None:
    async with spliced(linger_s=0.05) as pair, asyncio.timeout(30):
        pair.server.reader._transport.pause_reading()  # type: ignore[attr-defined] # StreamReader has no such word
        while not pair.splice.server.transport.get_write_buffer_size():
            await pair.client.send(bytes(16_000))
            await asyncio.sleep(0)
        pair.client.writer.write_eof()
        end = await pair.ended
    assert end.closed_by == "client"


# The histogram of relay lag


@given(
    st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=3000),
    st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_is_right_within_the_width_of_a_bucket(durations_ns: list[int], quantile: float) -> None:
    histogram = LagHistogram()
    for duration_ns in durations_ns:
        histogram.add(duration_ns)
    rank = max(0, -int(-quantile * len(durations_ns) // 1) - 1)
    exact_us = sorted(durations_ns)[rank] / 1000
    estimated_us = histogram.quantile_us(quantile)
    assert estimated_us is not None
    # Buckets are 256 ns wide up to 65 µs, and of about 3 % beyond.
    width_us = 0.256 if exact_us < 65 else exact_us * 0.04
    assert exact_us <= estimated_us <= exact_us + width_us
    assert histogram.max_us == max(durations_ns) / 1000


def test_an_empty_histogram_has_no_quantile() -> None:
    assert LagHistogram().quantile_us(0.5) is None
    assert LagHistogram().max_us is None
