"""Turn the raw bytes of one direction into WebSocket messages; pure.

Not with websockets' `Protocol`, which answers pings and closes and stops for good at the first close or error,
nor with its `Frame.parse`, which costs more than all the rest of a message's decoding; its C code unmasks.
Every byte is accounted for once: what was fed, plus the known sizes of gaps, equals the `wire_bytes` of all
messages plus `lost_bytes`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from websockets.exceptions import InvalidHeaderFormat
from websockets.frames import Opcode
from websockets.headers import parse_extension
from websockets.typing import ExtensionName

from capture.recording.facts import Sender

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

WireKind = Literal["text", "binary", "ping", "pong", "close", "raw"]

# Longer messages are taken for what they most likely are, a stream that is no WebSocket or a deflate bomb:
# they stay raw, so that a hostile peer cannot make sealing run out of memory.
MESSAGE_LIMIT_BYTES = 256 << 20

_DEFLATE = ExtensionName("permessage-deflate")
_KINDS: dict[int, WireKind] = {
    Opcode.TEXT: "text",
    Opcode.BINARY: "binary",
    Opcode.CLOSE: "close",
    Opcode.PING: "ping",
    Opcode.PONG: "pong",
}
_FIN, _COMPRESSED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x40, 0x0F, 0x80, 0x7F
_KEY_BYTES = 4
_STARTS = frozenset({int(Opcode.TEXT), int(Opcode.BINARY)})
_CLOSE = int(Opcode.CLOSE)
_CONTROL = _CLOSE
"""Opcodes from here on are control frames."""
# The first bytes that a frame may have: no reserved opcode, no reserved bit, no fragments of control frames.
_FIRST_BYTES = frozenset({opcode | fin for opcode in _KINDS for fin in (0, _FIN) if fin or opcode < _CONTROL})
_FIRST_BYTES |= {int(Opcode.CONT), int(Opcode.CONT) | _FIN}
_FIRST_BYTES_DEFLATED = _FIRST_BYTES | {opcode | _COMPRESSED | fin for opcode in _STARTS for fin in (0, _FIN)}
# By first byte, the messages that are in one frame and not compressed: nearly every one.
_WHOLE = {opcode | _FIN: _KINDS[opcode] for opcode in _STARTS}
_CONTROL_LIMIT_BYTES = 125
# Cut from the end of each compressed message (RFC 7692, 7.2.1), to be put back before inflating.
_FLUSH_TAIL = b"\x00\x00\xff\xff"


class WireMessage(msgspec.Struct, gc=False):
    """One message or control frame, or bytes that are neither."""

    sender: Sender
    kind: WireKind
    """`raw`: bytes as they came, from where nothing could be decoded, or the payload of a message that could
    not be put together: its fragments so far, or its compressed bytes."""
    content: bytes
    """Unmasked, inflated and joined; text is not checked for UTF-8."""
    wire_bytes: int
    """Its frames with their headers, as compressed."""
    offset_ns: int
    """Arrival of its last byte."""


class WireDecoder:
    """Decode one direction of one connection, from the first byte after the 101."""

    def __init__(self, sender: Sender, extensions: str | None) -> None:
        """Take the `Sec-WebSocket-Extensions` header of the 101; None where it had none."""
        self.sender: Sender = sender
        self.lost_bytes = 0
        """Bytes of the wire that are in no message: those of gaps (where their size is known) and those that
        came but belong to a frame or message with a gap in it."""
        self.undecodable_bytes = 0
        """Bytes kept as kind `raw`."""
        self._inflater = _negotiated_inflater(sender, extensions)
        self._first_bytes = _FIRST_BYTES_DEFLATED if self._inflater else _FIRST_BYTES
        self._buffer = bytearray()
        """What has come of the frame in progress."""
        self._wanted_bytes = 2
        """Nothing can be done before the buffer holds this many bytes."""
        self._header: _Header | None = None
        """Of the next frame, once its first bytes have come."""
        self._skip_bytes = 0
        """What is still to come of a frame with a gap in it."""
        self._unfinished: _Unfinished | None = None
        self._out_of_step = False
        """Where the next frame starts is not known, or no frame may follow."""
        self._has_ended = False
        """No frame may follow: after a close, a violation of the protocol, or the end of the stream."""

    def feed(self, chunk: bytes, offset_ns: int) -> list[WireMessage]:
        """Take bytes in pieces of any size; give what they complete."""
        if self._skip_bytes:
            chunk = self._skip(chunk)
        if not chunk:
            return []
        if self._out_of_step:
            return [self._raw(chunk, len(chunk), offset_ns)]
        if self._buffer:
            self._buffer += chunk
            if len(self._buffer) < self._wanted_bytes:
                return []
            chunk = bytes(self._buffer)
            self._buffer.clear()
        return self._decode(chunk, offset_ns)

    def gap(
        self,
        byte_count: int,
        offset_ns: int,  # noqa: ARG002 - called as feed is
        *,
        ends_at_frame: bool = False,
    ) -> list[WireMessage]:
        """Note that `byte_count` bytes are missing here; a negative count: nobody knows how many.

        A gap that ends within the frame it starts in costs that frame's message and no more. Of a gap that is
        known to end at a frame, decoding goes on behind it. Any other may have swallowed frame headers: all that
        follows is `raw`.
        """
        if byte_count == 0:
            return []
        self.lost_bytes += max(byte_count, 0)
        if self._has_ended or (self._out_of_step and not ends_at_frame):
            return []
        left_bytes = self._lose_frame_in_progress()
        # A gap never yields a wrong message: decoding goes on only where the end of the frame is known for
        # sure. Guessing at the next header would find one in somebody's audio sooner or later.
        if 0 < byte_count <= left_bytes:
            self._skip_bytes = left_bytes - byte_count
            return []
        self._skip_bytes = 0
        self._lose_unfinished()
        self._unfinished = None
        self._out_of_step = not ends_at_frame
        if ends_at_frame:
            self._resume()
        return []

    def finish(self, offset_ns: int) -> list[WireMessage]:
        """Give what is left when the stream ends: an unfinished message, a part of a frame."""
        return self._give_up(offset_ns)

    def _resume(self) -> None:
        """Go on at a frame behind a gap that took whole frames, nobody knows which."""
        if self._inflater is not None:
            self._inflater.lose_message()
        # Fragments that come now may belong to a message whose start is missing.
        self._unfinished = _Unfinished(int(Opcode.TEXT), compressed=False, is_hit=True)

    def _skip(self, chunk: bytes) -> bytes:
        skipped = min(self._skip_bytes, len(chunk))
        self._skip_bytes -= skipped
        self.lost_bytes += skipped
        return chunk[skipped:]

    def _decode(self, stream: bytes, offset_ns: int) -> list[WireMessage]:
        """Take all bytes that have come and are in no message yet; the last frame may be cut short."""
        messages: list[WireMessage] = []
        position, end = 0, len(stream)
        while not self._out_of_step:
            if position == end:
                return messages
            header = self._header or _peek(stream, position)
            if header is None:
                self._wait(stream[position:], end - position + 1)
                return messages
            is_whole = self._unfinished is None and header.first_byte in _WHOLE
            if header.payload_bytes > MESSAGE_LIMIT_BYTES or not (is_whole or self._is_legal(header)):
                # The peer fails the connection here (RFC 6455, 5.2), so does the decoder: nothing behind
                # it can be trusted to be a frame, all of it is kept.
                break
            if end - position < header.frame_bytes:
                self._header = header
                self._wait(stream[position:], header.frame_bytes)
                return messages
            content = _read_payload(stream, position, header)
            position += header.frame_bytes
            self._header = None
            if is_whole:
                kind = _WHOLE[header.first_byte]
                messages.append(WireMessage(self.sender, kind, content, header.frame_bytes, offset_ns))
            else:
                messages += self._take_frame(header, content, offset_ns)
        self._buffer += stream[position:]
        return messages + self._give_up(offset_ns)

    def _wait(self, rest: bytes, wanted_bytes: int) -> None:
        self._buffer += rest
        self._wanted_bytes = wanted_bytes

    def _is_legal(self, header: _Header) -> bool:
        message_bytes = header.payload_bytes + (self._unfinished.wire_bytes if self._unfinished else 0)
        return (
            header.first_byte in self._first_bytes
            and message_bytes <= MESSAGE_LIMIT_BYTES
            and (header.payload_bytes <= _CONTROL_LIMIT_BYTES or header.opcode < _CONTROL)
        )

    def _take_frame(self, header: _Header, content: bytes, offset_ns: int) -> list[WireMessage]:
        if header.opcode >= _CONTROL:
            return self._take_control(header, content, offset_ns)
        messages: list[WireMessage] = []
        if header.opcode in _STARTS:
            # A message that starts before the last one ended: endpoints refuse it, both can be read.
            messages += self._interrupt()
            self._unfinished = _Unfinished(header.opcode, header.compressed)
        unfinished = self._unfinished
        if unfinished is None:
            # A continuation of nothing: its payload is whole, what it means is not known.
            return [self._raw(content, header.frame_bytes, offset_ns)]
        if unfinished.is_hit:
            self.lost_bytes += header.frame_bytes
        else:
            unfinished.add(content, header.frame_bytes, offset_ns)
        if header.fin:
            self._unfinished = None
            if not unfinished.is_hit:
                messages.append(self._join(unfinished))
        return messages

    def _take_control(self, header: _Header, content: bytes, offset_ns: int) -> list[WireMessage]:
        messages: list[WireMessage] = []
        if header.opcode == _CLOSE:
            messages += self._interrupt()
            # Nothing may follow a close (RFC 6455, 5.5.1): what does is kept, and is no message.
            self._out_of_step = self._has_ended = True
        kind = _KINDS[header.opcode]
        return [*messages, WireMessage(self.sender, kind, content, header.frame_bytes, offset_ns)]

    def _join(self, whole: _Unfinished) -> WireMessage:
        content = whole.parts[0] if len(whole.parts) == 1 else b"".join(whole.parts)
        if whole.compressed and self._inflater is not None:
            inflated = self._inflater.inflate(content)
            if inflated is None:
                return self._raw(content, whole.wire_bytes, whole.offset_ns)
            content = inflated
        return WireMessage(self.sender, _KINDS[whole.opcode], content, whole.wire_bytes, whole.offset_ns)

    def _interrupt(self) -> list[WireMessage]:
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is None or unfinished.is_hit:
            return []
        self._forget_context_of(unfinished)
        return [self._raw(b"".join(unfinished.parts), unfinished.wire_bytes, unfinished.offset_ns)]

    def _give_up(self, offset_ns: int) -> list[WireMessage]:
        messages = self._interrupt()
        self._out_of_step = self._has_ended = True
        rest = bytes(self._buffer)
        self._buffer.clear()
        if rest:
            messages.append(self._raw(rest, len(rest), offset_ns))
        return messages

    def _lose_frame_in_progress(self) -> int:
        """Drop the frame of which a part has come; return how many bytes of it have not (0: not known)."""
        if self._skip_bytes:
            return self._skip_bytes
        header, self._header = self._header, None
        come_bytes = len(self._buffer)
        self.lost_bytes += come_bytes
        self._buffer.clear()
        self._wanted_bytes = 2
        if header is None:
            return 0
        self._lose_message_of(header)
        return header.frame_bytes - come_bytes

    def _lose_message_of(self, header: _Header) -> None:
        if header.opcode >= _CONTROL:
            return
        if header.opcode in _STARTS:
            self._lose_unfinished()
            self._unfinished = _Unfinished(header.opcode, header.compressed)
        self._lose_unfinished()
        if header.fin:
            self._unfinished = None

    def _lose_unfinished(self) -> None:
        if self._unfinished is not None:
            self.lost_bytes += self._unfinished.lose()
            self._forget_context_of(self._unfinished)

    def _forget_context_of(self, unfinished: _Unfinished) -> None:
        if unfinished.compressed and self._inflater is not None:
            self._inflater.lose_message()

    def _raw(self, content: bytes, wire_bytes: int, offset_ns: int) -> WireMessage:
        self.undecodable_bytes += len(content)
        return WireMessage(self.sender, "raw", content, wire_bytes, offset_ns)


@dataclass(slots=True)
class _Unfinished:
    """A message of which not all fragments have come."""

    opcode: int
    compressed: bool
    parts: list[bytes] = field(default_factory=list)
    wire_bytes: int = 0
    offset_ns: int = 0
    is_hit: bool = False
    """A gap took a part of it: the rest is read for its length only."""

    def add(self, content: bytes, frame_bytes: int, offset_ns: int) -> None:
        self.parts.append(content)
        self.wire_bytes += frame_bytes
        self.offset_ns = offset_ns

    def lose(self) -> int:
        """Drop what has come of it; return the bytes that took on the wire."""
        lost_bytes, self.wire_bytes = self.wire_bytes, 0
        self.parts.clear()
        self.is_hit = True
        return lost_bytes


class _Inflater:
    """Inflate whole messages of one direction (RFC 7692).

    zlib itself rather than websockets' `PerMessageDeflate`: that one gives nothing back of a message it
    cannot inflate, and goes on with empty messages after a block that ends its deflate stream.
    """

    def __init__(self, *, keeps_context: bool) -> None:
        self._keeps_context = keeps_context
        self._stream = _new_stream()
        self._context_is_lost = False

    def inflate(self, compressed: bytes) -> bytes | None:
        """Inflate one message; None where that is impossible."""
        if self._context_is_lost:
            return None
        if not self._keeps_context:
            self._stream = _new_stream()
        try:
            inflated = self._stream.decompress(compressed + _FLUSH_TAIL, MESSAGE_LIMIT_BYTES)
        except zlib.error:
            self.lose_message()
            return None
        if not self._stream.eof:
            if not self._stream.unconsumed_tail:
                return inflated
            self.lose_message()
            return None
        # A final block (RFC 7692, 7.2.3.4) ends zlib's stream, and with it the context; the message is
        # whole if nothing but an empty block follows.
        is_whole = self._stream.unused_data in (_FLUSH_TAIL, b"\x00" + _FLUSH_TAIL)
        self.lose_message()
        return inflated if is_whole else None

    def lose_message(self) -> None:
        """Note that a compressed message is missing: with context takeover, all later ones refer to it."""
        self._context_is_lost = self._keeps_context


def _new_stream() -> zlib._Decompress:
    # The largest window inflates what was made with any smaller one, so the negotiated bits do not matter.
    return zlib.decompressobj(wbits=-zlib.MAX_WBITS)


def _negotiated_inflater(sender: Sender, extensions: str | None) -> _Inflater | None:
    try:
        negotiated = dict(parse_extension(extensions)) if extensions else {}
    except InvalidHeaderFormat:
        # Compressed frames then break the rules and stay raw.
        return None
    if _DEFLATE not in negotiated:
        return None
    parameters = {name for name, _ in negotiated[_DEFLATE]}
    return _Inflater(keeps_context=f"{sender}_no_context_takeover" not in parameters)


class _Header(msgspec.Struct, gc=False):
    """What a frame's first bytes say."""

    first_byte: int
    opcode: int
    masked: bool
    header_bytes: int
    """With the masking key."""
    payload_bytes: int
    frame_bytes: int
    """Header and payload."""

    @property
    def fin(self) -> bool:
        return bool(self.first_byte & _FIN)

    @property
    def compressed(self) -> bool:
        return bool(self.first_byte & _COMPRESSED)


def _peek(stream: bytes, start: int) -> _Header | None:
    """Read the header of the frame that starts here; None while its length has not come."""
    come_bytes = len(stream) - start
    if come_bytes < 2:
        return None
    first_byte, second_byte = stream[start], stream[start + 1]
    payload_bytes, header_bytes = second_byte & _LENGTH, 2
    if payload_bytes > _CONTROL_LIMIT_BYTES:
        header_bytes = 4 if payload_bytes == 126 else 10
        if come_bytes < header_bytes:
            return None
        payload_bytes = int.from_bytes(stream[start + 2 : start + header_bytes], "big")
    masked = second_byte >= _MASKED
    if masked:
        header_bytes += _KEY_BYTES
    return _Header(first_byte, first_byte & _OPCODE, masked, header_bytes, payload_bytes, header_bytes + payload_bytes)


def _read_payload(stream: bytes, start: int, header: _Header) -> bytes:
    """Read the payload of a frame that has come whole, masked or not as its own header says.

    A client that does not mask, or a server that does, breaks the rules but can be read.
    """
    payload_at = start + header.header_bytes
    payload = stream[payload_at : start + header.frame_bytes]
    return apply_mask(payload, stream[payload_at - _KEY_BYTES : payload_at]) if header.masked else payload
