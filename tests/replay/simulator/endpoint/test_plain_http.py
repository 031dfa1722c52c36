from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.simulator.endpoint.plain_http import BadRequest, RequestReader, answer_json, encode_answer, is_plain

POST = b'POST /v1/x?a=1 HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 7\r\n\r\n{"a":1}'


@pytest.mark.parametrize(
    ("first", "plain"), [(b"GET /", False), (b"G", False), (b"POST /", True), (b"GETX", True), (b"\x16\x03", True)]
)
def test_upgrades_begin_with_get(first: bytes, plain: bool) -> None:
    assert is_plain(first) is plain


@given(st.lists(st.integers(0, len(POST)), max_size=5))
def test_a_request_comes_whole_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(POST)]
    pieces = [POST[start:end] for start, end in pairwise(edges) if end > start]
    reader = RequestReader()

    *before, request = [reader.feed(piece) for piece in pieces]

    assert before == [None] * (len(pieces) - 1)
    assert request is not None
    assert (request.method, request.path_and_query, request.body) == ("POST", "/v1/x?a=1", b'{"a":1}')
    assert request.headers["x-two"] == "1, 2"


@pytest.mark.parametrize(
    "received", [b"garbage\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nbad\r\n\r\n"]
)
def test_what_is_no_request_is_refused(received: bytes) -> None:
    with pytest.raises(BadRequest):
        RequestReader().feed(received)


def test_a_body_without_end_is_refused() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n")

    with pytest.raises(BadRequest, match="1048576"):
        for _ in range(20):
            reader.feed(bytes(100_000))


def test_an_answer_is_read_back_by_an_http_client() -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("Host", "h")]))
    client.receive_data(encode_answer(answer_json(404, {"error": None})))

    head, data, end = client.next_event(), client.next_event(), client.next_event()
    assert isinstance(head, h11.Response)
    assert (head.status_code, dict(head.headers)[b"content-type"]) == (404, b"application/json")
    assert isinstance(data, h11.Data)
    assert data.data == b'{"error":null}'
    assert isinstance(end, h11.EndOfMessage)
