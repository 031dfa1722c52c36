"""HTTP bodies that came compressed: what can be read of them, and how much of it."""

from __future__ import annotations

import gzip
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.content_encoding import READ_LIMIT_BYTES, decode_content, encodings_of, wide_text

BODY = b'{"error":{"type":"invalid_request_error","code":"invalid_api_key","message":"Incorrect API key"}}' * 4


def compressed(coding: str, body: bytes) -> bytes:
    if coding == "gzip":
        return gzip.compress(body)
    if coding == "deflate":
        return zlib.compress(body)
    return bytes(pa.compress(body, {"br": "brotli"}.get(coding, coding), asbytes=True))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_is_read_back(coding: str) -> None:
    assert decode_content(compressed(coding, BODY), [coding]) == (BODY, True)


def test_several_codings_are_undone_last_first() -> None:
    headers = {"content-encoding": "Deflate, gzip"}
    assert decode_content(gzip.compress(zlib.compress(BODY)), encodings_of(headers)) == (BODY, True)


def test_deflate_without_the_head_of_zlib_is_read_too() -> None:
    bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert decode_content(bare.compress(BODY) + bare.flush(), ["deflate"]) == (BODY, True)


def test_members_of_gzip_behind_one_another_are_one_body() -> None:
    long = BODY * 1_000 + bytes(range(256)) * 100
    bodies = [long, b"", b"more"]
    assert decode_content(b"".join(map(gzip.compress, bodies)), ["gzip"]) == (long + b"more", True)


@pytest.mark.parametrize("headers", [{}, {"content-encoding": ""}, {"content-encoding": "identity"}])
def test_a_body_that_was_not_compressed_stays(headers: dict[str, str]) -> None:
    assert decode_content(BODY, encodings_of(headers)) == (BODY, True)


def test_of_a_body_whose_end_is_missing_the_start_is_read() -> None:
    content, is_whole = decode_content(gzip.compress(BODY)[:-12], ["gzip"])
    assert (BODY.startswith(content), len(content) > 50, is_whole) == (True, True, False)


def test_an_unknown_coding_is_not_read() -> None:
    assert decode_content(BODY, ["rot13"]) == (b"", False)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_read_up_to_a_limit(coding: str) -> None:
    bomb = compressed(coding, bytes(4 * READ_LIMIT_BYTES))
    content, is_whole = decode_content(bomb, [coding])
    assert (len(content), is_whole) == (READ_LIMIT_BYTES, False)


@given(st.binary(), st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_any_bytes_pass_without_a_crash(body: bytes, coding: str) -> None:
    content, _ = decode_content(body, [coding])
    assert len(content) <= READ_LIMIT_BYTES


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_json_in_other_encodings_is_read_whatever_is_broken_in_it(encoding: str) -> None:
    assert wide_text('{"value": "Zo\u00eb"}'.encode(encoding)) == '{"value": "Zo\u00eb"}'
    broken = '{"a": "\ud800"}'.encode(encoding, "surrogatepass") + b"\x00"
    assert wide_text(broken) == '{"a": ""}'


@pytest.mark.parametrize("content", [b"", b"{", BODY, b"\x00\x01\x00\x02", "plain".encode("utf-16"), b"\xff\xfe"])
def test_what_is_no_json_in_another_encoding_is_left_to_others(content: bytes) -> None:
    assert wide_text(content) is None
