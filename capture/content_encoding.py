"""Read HTTP bodies that came compressed, or in another encoding than UTF-8; pure."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import pyarrow as pa

READ_LIMIT_BYTES = 16 << 20
"""So much of a body is read: a kilobyte can be made to say a megabyte."""
_PIECE_BYTES = 1 << 16
_SLICE_BYTES = 1 << 12
_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_OTHER_CODECS = {"br": "brotli", "zstd": "zstd"}


def encodings_of(headers: Mapping[str, str]) -> list[str]:
    """List the codings of a body in the order in which they were applied (RFC 9110, 8.4); names are in lower case."""
    named = [coding.strip().lower() for coding in headers.get("content-encoding", "").split(",")]
    return [coding for coding in named if coding not in ("", "identity")]


def decode_content(body: bytes, encodings: Iterable[str]) -> tuple[bytes, bool]:
    """Undo the codings of a body; give what could be read, from its start, and whether that is all of it."""
    is_whole = True
    for encoding in reversed(list(encodings)):
        body, is_layer_whole = _decoded(body, encoding)
        is_whole &= is_layer_whole
    return body, is_whole


def wide_text(content: bytes) -> str | None:
    """Read JSON in UTF-16 or UTF-32, which clients take though RFC 8259 does not; None where it is none.

    Of JSON without a mark every other byte is a zero: it is UTF-8 as well, and no key in it would be found.
    """
    encoding = json.detect_encoding(content)
    if encoding.startswith("utf-8"):
        return None
    # What is no character would keep the rest from being searched.
    text = content.decode(encoding, "ignore")
    return text if text.lstrip()[:1] in ("{", "[", '"') else None


def _decoded(body: bytes, encoding: str) -> tuple[bytes, bool]:
    if encoding in _GZIP:
        return _read(_members(body))
    if encoding == "deflate":
        return _inflated(body)
    if encoding in _OTHER_CODECS:
        return _read(_streamed(body, _OTHER_CODECS[encoding]))
    return b"", False


def _read(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    read = bytearray()
    with suppress(OSError, zlib.error):
        for piece in pieces:
            read += piece
            if len(read) > READ_LIMIT_BYTES:
                return bytes(read[:READ_LIMIT_BYTES]), False
        return bytes(read), True
    return bytes(read), False


def _members(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        inflater = zlib.decompressobj(_GZIP_WINDOW_BITS)
        while not inflater.eof:
            # Little at a time: what lies behind a member is copied, and a body may be made of nothing but their ends.
            piece = body[at : at + _SLICE_BYTES]
            if not piece:
                raise zlib.error("the end is missing")
            yield inflater.decompress(piece, READ_LIMIT_BYTES + 1)
            at += len(piece) - len(inflater.unused_data)


def _streamed(body: bytes, codec: str) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _inflated(body: bytes) -> tuple[bytes, bool]:
    # With the head of zlib as it is written down, and without as some have always sent it (RFC 9110, 8.4.1.2).
    for window_bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        inflater = zlib.decompressobj(window_bits)
        with suppress(zlib.error):
            return inflater.decompress(body, READ_LIMIT_BYTES), inflater.eof
    return b"", False
