from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode

from capture import wire
from capture.frames import FrameCursor
from capture.journal import Direction, decode_gap
from capture.journal.records import OpenGaps, Unwritten
from capture.recording.facts import Sender
from capture.wire import WireDecoder, WireKind, WireMessage

pytestmark = pytest.mark.codec

Compression = Literal["none", "context takeover", "no context takeover"]


@dataclass
class Message:
    """One message as an endpoint would send it."""

    opcode: Opcode
    fragments: list[bytes]
    compress: bool = True
    between: list[tuple[Opcode, bytes]] = field(default_factory=list)
    """Control frames after the first fragment."""

    @property
    def kind(self) -> WireKind:
        return kind_of(self.opcode)

    @property
    def content(self) -> bytes:
        return b"".join(self.fragments)


@dataclass
class SentFrame:
    """One frame on the wire."""

    encoded: bytes
    message: int
    """Which message of the script it is a fragment of, counted from 0; -1 for a control frame."""
    completes: tuple[WireKind, bytes] | None
    """Kind and content of the message that ends with this frame."""

    @property
    def header_bytes(self) -> int:
        length = self.encoded[1] & 0x7F
        extended = {126: 2, 127: 8}.get(length, 0)
        return 2 + extended + (4 if self.encoded[1] & 0x80 else 0)


class Endpoint:
    """Frames messages as websockets itself does."""

    def __init__(self, sender: Sender, compression: Compression = "none", window_bits: int = 15) -> None:
        self.sender: Sender = sender
        self.header: str | None = None
        self._deflate: PerMessageDeflate | None = None
        if compression != "none":
            forgets = compression == "no context takeover"
            self.header = f"permessage-deflate; {sender}_max_window_bits={window_bits}"
            self.header += f"; {sender}_no_context_takeover" if forgets else ""
            self._deflate = PerMessageDeflate(False, forgets, 15, window_bits)

    def decoder(self) -> WireDecoder:
        return WireDecoder(self.sender, self.header)

    def frame(self, opcode: Opcode, content: bytes, *, fin: bool = True, compress: bool = True) -> bytes:
        extensions = [self._deflate] if self._deflate and compress else []
        return Frame(opcode, content, fin).serialize(mask=self.sender == "client", extensions=extensions)

    def text(self, content: str, *, compress: bool = True) -> bytes:
        return self.frame(Opcode.TEXT, content.encode(), compress=compress)

    def send(self, script: Iterable[Message]) -> list[SentFrame]:
        frames: list[SentFrame] = []
        for number, message in enumerate(script):
            last = len(message.fragments) - 1
            for index, fragment in enumerate(message.fragments):
                opcode = Opcode.CONT if index else message.opcode
                encoded = self.frame(opcode, fragment, fin=index == last, compress=message.compress)
                whole = (message.kind, message.content) if index == last else None
                frames.append(SentFrame(encoded, number, whole))
                for control, content in message.between if index == 0 else []:
                    frames.append(SentFrame(self.frame(control, content), -1, (kind_of(control), content)))
        return frames


def kind_of(opcode: Opcode) -> WireKind:
    kinds: dict[Opcode, WireKind] = {
        Opcode.TEXT: "text",
        Opcode.BINARY: "binary",
        Opcode.CLOSE: "close",
        Opcode.PING: "ping",
        Opcode.PONG: "pong",
    }
    return kinds[opcode]


def feed_all(decoder: WireDecoder, pieces: Iterable[bytes]) -> list[WireMessage]:
    fed = [message for at, piece in enumerate(pieces) for message in decoder.feed(piece, at)]
    return fed + decoder.finish(0)


def told(messages: Iterable[WireMessage]) -> list[tuple[str, bytes]]:
    return [(message.kind, message.content) for message in messages]


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(bounds)]


def wire_sizes(frames: list[SentFrame]) -> list[int]:
    sizes: list[int] = []
    pending = 0
    for frame in frames:
        if frame.message < 0:
            sizes.append(len(frame.encoded))
            continue
        pending += len(frame.encoded)
        if frame.completes:
            sizes.append(pending)
            pending = 0
    return sizes


contents = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(str.encode),
    # Repetition across messages is what context takeover refers back to.
    st.sampled_from([b"", b'{"type":"response.output_audio.delta"}' * 9, b"\xff\xfe not utf-8", b"x" * 70_000]),
    st.integers(120, 130).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
)
controls = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125))
messages = st.builds(
    Message,
    opcode=st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
    fragments=st.lists(contents, min_size=1, max_size=4),
    compress=st.booleans(),
    between=st.lists(controls, max_size=2),
)
scripts = st.lists(messages, max_size=8)
endpoints = st.builds(
    Endpoint,
    st.sampled_from(["client", "server"]),
    st.sampled_from(["none", "context takeover", "no context takeover"]),
    st.sampled_from([9, 12, 15]),
)
places = st.lists(st.integers(min_value=0), max_size=30)


@given(endpoints, scripts, places, st.booleans())
def test_any_messages_in_any_pieces_come_back_the_same(
    endpoint: Endpoint, script: list[Message], places: list[int], bytewise: bool
) -> None:
    frames = endpoint.send(script)
    stream = b"".join(frame.encoded for frame in frames)
    pieces = (
        [stream[at : at + 1] for at in range(len(stream))] if bytewise and len(stream) < 4000 else cut(stream, places)
    )

    decoder = endpoint.decoder()
    decoded = feed_all(decoder, pieces)

    assert told(decoded) == [frame.completes for frame in frames if frame.completes]
    assert [message.wire_bytes for message in decoded] == wire_sizes(frames)
    assert {message.sender for message in decoded} <= {endpoint.sender}
    assert (decoder.lost_bytes, decoder.undecodable_bytes) == (0, 0)


@given(endpoints, scripts, st.lists(st.tuples(st.integers(0), st.integers(1, 300), st.booleans()), max_size=4))
def test_a_gap_never_yields_a_wrong_message_and_every_byte_is_accounted_for(
    endpoint: Endpoint, script: list[Message], gaps: list[tuple[int, int, bool]]
) -> None:
    frames = endpoint.send(script)
    sent = [frame.completes for frame in frames if frame.completes]
    stream = b"".join(frame.encoded for frame in frames)

    decoder = endpoint.decoder()
    decoded: list[WireMessage] = []
    position = fed_bytes = known_gap_bytes = 0
    for start, length, size_is_known in sorted((start % (len(stream) + 1), *rest) for start, *rest in gaps):
        decoded += decoder.feed(stream[position:start], 0)
        fed_bytes += max(start - position, 0)
        missing = min(start + length, len(stream)) - max(start, position)
        if missing > 0:
            decoded += decoder.gap(missing if size_is_known else -1, 0)
            known_gap_bytes += missing if size_is_known else 0
        position = max(position, min(start + length, len(stream)))
    decoded += decoder.feed(stream[position:], 0) + decoder.finish(0)
    fed_bytes += len(stream) - position

    later = iter(sent)
    whole = [(m.kind, m.content) for m in decoded if m.kind != "raw"]
    assert all(message in later for message in whole)
    in_messages = sum(message.wire_bytes for message in decoded)
    assert in_messages + decoder.lost_bytes == fed_bytes + known_gap_bytes
    assert decoder.undecodable_bytes == sum(len(m.content) for m in decoded if m.kind == "raw")


@given(endpoints, st.lists(messages, min_size=1, max_size=8), st.data())
def test_a_gap_inside_a_payload_costs_one_message(
    endpoint: Endpoint, script: list[Message], data: st.DataObject
) -> None:
    endpoint = Endpoint(endpoint.sender, "no context takeover") if endpoint.header else endpoint
    frames = endpoint.send(script)
    candidates = [at for at, frame in enumerate(frames) if len(frame.encoded) > frame.header_bytes]
    if not candidates:
        return
    hit = data.draw(st.sampled_from(candidates))
    encoded = frames[hit].encoded
    start = data.draw(st.integers(frames[hit].header_bytes, len(encoded) - 1))
    end = data.draw(st.integers(start + 1, len(encoded)))

    decoder = endpoint.decoder()
    decoded: list[WireMessage] = []
    for at, frame in enumerate(frames):
        if at == hit:
            decoded += decoder.feed(encoded[:start], 0) + decoder.gap(end - start, 0)
            decoded += decoder.feed(encoded[end:], 0)
        else:
            decoded += decoder.feed(frame.encoded, 0)

    lost = frames[hit].message
    assert told(decoded + decoder.finish(0)) == [
        frame.completes
        for at, frame in enumerate(frames)
        if frame.completes and at != hit and (lost < 0 or frame.message != lost)
    ]
    of_lost = [len(f.encoded) for at, f in enumerate(frames) if at == hit or (lost >= 0 and f.message == lost)]
    assert decoder.lost_bytes == sum(of_lost)


def test_a_message_has_the_time_of_its_last_byte() -> None:
    server = Endpoint("server")
    first, second = server.text("one"), server.text("two")

    decoder = server.decoder()
    assert decoder.feed(first[:3], 100) == []
    arrived = decoder.feed(first[3:] + second, 200) + decoder.feed(server.text("three"), 300)

    assert [(message.content, message.offset_ns) for message in arrived] == [
        (b"one", 200),
        (b"two", 200),
        (b"three", 300),
    ]


@pytest.mark.parametrize("compression", ["none", "context takeover"])
@pytest.mark.parametrize("sender", ["client", "server"])
def test_a_message_of_24_mebibytes_in_small_pieces(sender: Sender, compression: Compression) -> None:
    endpoint = Endpoint(sender, compression)
    content = os.urandom(1 << 20) * 24
    encoded = endpoint.frame(Opcode.BINARY, content)

    decoder = endpoint.decoder()
    pieces = (encoded[at : at + 1400] for at in range(0, len(encoded), 1400))
    (message,) = feed_all(decoder, pieces)

    assert message.content == content
    assert message.wire_bytes == len(encoded)


def test_text_that_is_no_utf8_stays_text() -> None:
    lone_surrogate = b'"\xed\xa0\x80"'
    server = Endpoint("server")

    assert told(server.decoder().feed(server.frame(Opcode.TEXT, lone_surrogate), 0)) == [("text", lone_surrogate)]


@pytest.mark.parametrize(("speaks", "sender"), [("client", "server"), ("server", "client")])
def test_a_wrong_mask_bit_is_read_as_it_stands(speaks: Sender, sender: Sender) -> None:
    decoder = WireDecoder(sender, None)

    assert told(decoder.feed(Endpoint(speaks).text("hello"), 0)) == [("text", b"hello")]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"\x83\x02hi", id="reserved opcode"),
        pytest.param(b"\x91\x02hi", id="reserved bit 3"),
        pytest.param(b"\xc1\x02hi", id="compressed, but nothing was negotiated"),
        pytest.param(b"\x09\x02hi", id="fragmented ping"),
        pytest.param(b"\x89\x7e\x00\x80" + b"p" * 128, id="ping of 128 bytes"),
        pytest.param(b"\x82\x7f\xff" + b"\x00" * 7, id="length that no message has"),
    ],
)
def test_behind_a_violation_all_is_raw(broken: bytes) -> None:
    server = Endpoint("server")
    decoder = server.decoder()

    decoded = decoder.feed(server.text("fine") + broken, 1) + decoder.feed(server.text("not trusted"), 2)

    assert told(decoded) == [("text", b"fine"), ("raw", broken), ("raw", server.text("not trusted"))]
    assert decoder.undecodable_bytes == len(broken) + len(server.text("not trusted"))
    assert decoder.finish(3) == []


def test_a_compressed_continuation_is_a_violation() -> None:
    server = Endpoint("server", "context takeover")
    start = server.frame(Opcode.TEXT, b"a", fin=False, compress=False)
    decoder = server.decoder()

    assert told(decoder.feed(start + b"\xc0\x01b", 0)) == [("raw", b"a"), ("raw", b"\xc0\x01b")]


def test_bytes_behind_a_close_are_raw() -> None:
    server = Endpoint("server")
    goodbye = Close(1001, "session expired").serialize()
    decoder = server.decoder()

    behind = server.text("behind")

    decoded = decoder.feed(server.frame(Opcode.CLOSE, goodbye) + behind, 0) + decoder.feed(b"more", 1)

    assert told(decoded) == [("close", goodbye), ("raw", behind), ("raw", b"more")]
    assert decoder.undecodable_bytes == len(behind + b"more")


def test_an_unfinished_message_is_raw_before_the_close() -> None:
    client = Endpoint("client")
    stream = client.frame(Opcode.TEXT, b"never en", fin=False) + client.frame(Opcode.CLOSE, b"")

    assert told(client.decoder().feed(stream, 0)) == [("raw", b"never en"), ("close", b"")]


def test_what_is_left_at_the_end_is_raw() -> None:
    server = Endpoint("server")
    fragment, part = server.frame(Opcode.TEXT, b"begun ", fin=False), server.frame(Opcode.CONT, b"and cut")[:-2]
    decoder = server.decoder()

    assert decoder.feed(fragment, 1) + decoder.feed(part, 2) == []

    begun, rest = decoder.finish(3)
    assert (begun.kind, begun.content, begun.wire_bytes, begun.offset_ns) == ("raw", b"begun ", len(fragment), 1)
    assert (rest.kind, rest.content, rest.wire_bytes, rest.offset_ns) == ("raw", part, len(part), 3)
    assert decoder.undecodable_bytes == len(b"begun ") + len(part)


def test_a_message_that_interrupts_another_is_read() -> None:
    server = Endpoint("server")
    stream = server.frame(Opcode.TEXT, b"interrupted", fin=False) + server.text("whole")

    assert told(server.decoder().feed(stream, 0)) == [("raw", b"interrupted"), ("text", b"whole")]


def test_a_compressed_message_that_was_interrupted_breaks_the_context() -> None:
    server = Endpoint("server", "context takeover")
    # Without the context of the begun one, the last would inflate to words of the first.
    first = server.text("some other words, and enough of them")
    begun, last = server.frame(Opcode.TEXT, b"a word", fin=False), server.text("a word")

    decoded = server.decoder().feed(first + begun + last, 0)

    assert [message.kind for message in decoded] == ["text", "raw", "raw"]
    assert told(decoded)[1:] == [("raw", begun[2:]), ("raw", last[2:])]


def test_a_continuation_of_nothing_is_raw_and_the_next_message_is_read() -> None:
    server = Endpoint("server")
    stream = server.frame(Opcode.CONT, b"of nothing") + server.text("whole")

    assert told(server.decoder().feed(stream, 0)) == [("raw", b"of nothing"), ("text", b"whole")]


# What a deflate stream can never be: a block of the reserved type 3.
BROKEN_DEFLATE = b"\x07 no deflate"
BROKEN_FRAME = bytes([0xC1, len(BROKEN_DEFLATE)]) + BROKEN_DEFLATE


def test_what_cannot_be_inflated_stays_compressed() -> None:
    server = Endpoint("server", "no context takeover")
    decoder = server.decoder()

    decoded = decoder.feed(BROKEN_FRAME + server.text("next"), 0)

    assert told(decoded) == [("raw", BROKEN_DEFLATE), ("text", b"next")]
    assert decoder.undecodable_bytes == len(BROKEN_DEFLATE)


def test_with_context_takeover_compressed_messages_behind_it_stay_compressed() -> None:
    server = Endpoint("server", "context takeover")
    compressed = server.text("compressed again")
    decoder = server.decoder()

    decoded = decoder.feed(BROKEN_FRAME + server.text("plain", compress=False) + compressed, 0)

    assert told(decoded) == [("raw", BROKEN_DEFLATE), ("text", b"plain"), ("raw", compressed[2:])]
    assert decoder.undecodable_bytes == len(BROKEN_DEFLATE) + len(compressed) - 2


def test_a_gap_in_a_compressed_message_breaks_the_context_for_the_later_ones() -> None:
    server = Endpoint("server", "context takeover")
    before, hit, after = server.text("before"), server.text("hit"), server.text("after")
    plain = server.text("plain", compress=False)
    decoder = server.decoder()

    decoded = decoder.feed(before + hit[:-3], 0) + decoder.gap(3, 0) + decoder.feed(plain + after, 0)

    assert told(decoded) == [("text", b"before"), ("text", b"plain"), ("raw", after[2:])]
    assert (decoder.lost_bytes, decoder.undecodable_bytes) == (len(hit), len(after) - 2)


def test_a_gap_in_a_plain_message_leaves_the_context_alone() -> None:
    server = Endpoint("server", "context takeover")
    before, hit, after = server.text("word"), server.text("word", compress=False), server.text("word")
    decoder = server.decoder()

    decoded = decoder.feed(before + hit[:3], 0) + decoder.gap(len(hit) - 3, 0) + decoder.feed(after, 0)

    assert told(decoded) == [("text", b"word"), ("text", b"word")]
    assert (decoder.lost_bytes, decoder.undecodable_bytes) == (len(hit), 0)


@pytest.mark.parametrize(("behind", "is_whole"), [(b"", True), (b"\x00", True), (b"another block", False)])
def test_a_final_deflate_block_ends_the_context(behind: bytes, is_whole: bool) -> None:
    deflate = zlib.compressobj(wbits=-15)
    final = deflate.compress(b"final") + deflate.flush() + behind
    following = Endpoint("server", "context takeover").text("following")
    decoder = Endpoint("server", "context takeover").decoder()

    decoded = decoder.feed(bytes([0xC1, len(final)]) + final + following, 0)

    assert told(decoded) == [("text", b"final") if is_whole else ("raw", final), ("raw", following[2:])]


def test_a_deflate_bomb_stays_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MESSAGE_LIMIT_BYTES", 10_000)
    server = Endpoint("server", "no context takeover")
    bomb = server.text("\x00" * 1_000_000)

    decoded = server.decoder().feed(bomb + server.text("next"), 0)

    assert [message.kind for message in decoded] == ["raw", "text"]
    assert decoded[0].content in bomb


def test_fragments_without_end_become_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MESSAGE_LIMIT_BYTES", 10_000)
    server = Endpoint("server")
    start = server.frame(Opcode.TEXT, b"a" * 6_000, fin=False)
    more = server.frame(Opcode.CONT, b"b" * 6_000, fin=False)

    assert told(server.decoder().feed(start + more, 0)) == [("raw", b"a" * 6_000), ("raw", more)]


@pytest.mark.parametrize("header", ["permessage-deflate; =", ";", "x-webkit-deflate-frame"])
def test_an_extension_that_is_not_known_leaves_compressed_frames_raw(header: str) -> None:
    compressed = Endpoint("server", "context takeover").text("compressed")

    assert told(WireDecoder("server", header).feed(compressed, 0)) == [("raw", compressed)]


@pytest.mark.parametrize(
    ("byte_count", "why"),
    [(200, "the next header is gone"), (-1, "nobody knows how much is gone")],
)
def test_where_a_gap_may_have_swallowed_a_header_the_rest_is_raw(byte_count: int, why: str) -> None:
    server = Endpoint("server")
    hit = server.text("x" * 100)
    decoder = server.decoder()

    decoded = decoder.feed(hit[:50], 0) + decoder.gap(byte_count, 0) + decoder.feed(server.text("next"), 0)

    assert told(decoded) == [("raw", server.text("next"))], why
    assert decoder.lost_bytes == 50 + max(byte_count, 0)


@pytest.mark.parametrize("seen_of_header", [0, 1, 3])
def test_a_gap_before_the_length_is_known_leaves_the_rest_raw(seen_of_header: int) -> None:
    server = Endpoint("server")
    hit = server.text("x" * 1000)
    decoder = server.decoder()

    decoded = decoder.feed(hit[:seen_of_header], 0) + decoder.gap(len(hit) - seen_of_header, 0)

    assert told(decoded + decoder.feed(server.text("next"), 0)) == [("raw", server.text("next"))]
    assert decoder.lost_bytes == len(hit)


def test_two_gaps_in_one_frame_cost_one_message() -> None:
    client = Endpoint("client")
    hit = client.text("0123456789")
    decoder = client.decoder()

    decoded = decoder.feed(hit[:8], 0) + decoder.gap(2, 0) + decoder.feed(hit[10:11], 0) + decoder.gap(3, 0)
    decoded += decoder.feed(hit[14:] + client.text("next"), 0)

    assert told(decoded) == [("text", b"next")]
    assert decoder.lost_bytes == len(hit)


@pytest.mark.parametrize(("beyond_the_frame", "kind"), [(0, "text"), (1, "raw")])
def test_a_gap_may_reach_to_the_end_of_its_frame_and_no_further(beyond_the_frame: int, kind: WireKind) -> None:
    server = Endpoint("server")
    hit, following = server.text("hit"), server.text("following")
    decoder = server.decoder()

    decoded = decoder.feed(hit[:3], 0) + decoder.gap(len(hit) - 3 + beyond_the_frame, 0)
    decoded += decoder.feed(following[beyond_the_frame:], 0)

    assert [message.kind for message in decoded] == [kind]


def test_a_second_gap_that_reaches_further_leaves_the_rest_raw() -> None:
    server = Endpoint("server")
    hit = server.text("0123456789")
    decoder = server.decoder()

    decoded = decoder.feed(hit[:4], 0) + decoder.gap(1, 0) + decoder.gap(len(hit), 0) + decoder.feed(b"rest", 0)

    assert told(decoded) == [("raw", b"rest")]
    assert decoder.lost_bytes == 4 + 1 + len(hit)


def test_a_gap_in_a_message_that_interrupts_another_costs_both() -> None:
    server = Endpoint("server", "context takeover")
    begun = server.frame(Opcode.TEXT, b"begun", fin=False)
    hit = server.text("hit", compress=False)
    following = server.text("following")
    decoder = server.decoder()

    decoded = decoder.feed(begun + hit[:3], 0) + decoder.gap(len(hit) - 3, 0) + decoder.feed(following, 0)

    assert told(decoded) == [("raw", following[2:])]
    assert decoder.lost_bytes == len(begun + hit)


def test_a_gap_of_nothing_is_none() -> None:
    server = Endpoint("server")
    message = server.text("whole")
    decoder = server.decoder()

    assert told(decoder.feed(message[:3], 0) + decoder.gap(0, 0) + decoder.feed(message[3:], 0)) == [("text", b"whole")]


@given(endpoints, scripts, places, st.sets(st.integers(0, 30)))
def test_behind_a_gap_that_ends_at_a_frame_decoding_goes_on(
    endpoint: Endpoint, script: list[Message], places: list[int], missing: set[int]
) -> None:
    frames = endpoint.send(script)
    sent = [frame.completes for frame in frames if frame.completes]
    cursor, gaps = FrameCursor(), OpenGaps()
    decoder = endpoint.decoder()
    decoded: list[WireMessage] = []
    records: list[Unwritten] = []
    for number, piece in enumerate(cut(b"".join(frame.encoded for frame in frames), places)):
        frame_at = cursor.advance(piece)
        if number in missing:
            gaps.drop(Direction.CLIENT, 0, len(piece), "slow disk")
        else:
            records += gaps.resume((Direction.CLIENT, 0, piece, frame_at))
    for direction, _, content, _ in records + gaps.close():
        if direction is Direction.GAP:
            gap = decode_gap(content)
            decoded += decoder.gap(gap.bytes, 0, ends_at_frame=gap.ends_at_frame)
        else:
            decoded += decoder.feed(content, 0)
    decoded += decoder.finish(0)

    later = iter(sent)
    whole = [(m.kind, m.content) for m in decoded if m.kind != "raw"]
    assert all(message in later for message in whole)
    if "no_context_takeover" in (endpoint.header or "no_context_takeover"):
        assert decoder.undecodable_bytes == 0


def test_a_gap_of_whole_frames_costs_just_those() -> None:
    client = Endpoint("client")
    first, lost, fragment = client.text("first"), client.text("lost"), client.text("next")
    decoder = client.decoder()
    decoded = decoder.feed(first, 0) + decoder.gap(len(lost), 0, ends_at_frame=True) + decoder.feed(fragment, 0)
    assert told(decoded) == [("text", b"first"), ("text", b"next")]
    assert (decoder.lost_bytes, decoder.undecodable_bytes) == (len(lost), 0)


def test_the_rest_of_a_message_whose_start_is_missing_is_lost_with_it() -> None:
    start = Frame(Opcode.TEXT, b"the start", fin=False).serialize(mask=False)
    rest = Frame(Opcode.CONT, b" and the end").serialize(mask=False)
    server = Endpoint("server")
    decoder = server.decoder()
    decoded = decoder.gap(len(start), 0, ends_at_frame=True) + decoder.feed(rest + server.text("next"), 0)
    assert told(decoded) == [("text", b"next")]
    assert (decoder.lost_bytes, decoder.undecodable_bytes) == (len(start) + len(rest), 0)


def test_after_a_close_no_gap_opens_the_stream_again() -> None:
    server = Endpoint("server")
    decoder = server.decoder()
    decoder.feed(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False), 0)
    decoded = decoder.gap(5, 0, ends_at_frame=True) + decoder.feed(server.text("after the close"), 0)
    assert [message.kind for message in decoded] == ["raw"]
