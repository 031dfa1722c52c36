"""HTTP heads: read, and rewritten for the target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.handshake import (
    HEAD_LIMIT,
    BadRequest,
    RequestHead,
    TlsSpoken,
    parse_request,
    parse_response,
    plain_response,
    rewrite_request,
    take_head,
)
from capture.targets import Target

UPGRADE = (
    "GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\n"
    "Host: 127.0.0.1:8765\r\n"
    "uPGRADE: WebSocket\r\n"
    "Connection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "{more}\r\n"
)


def upgrade(*lines: str, path: str = "/v1/realtime?model=gpt-realtime") -> RequestHead:
    text = UPGRADE.replace("/v1/realtime?model=gpt-realtime", path)
    return parse_request(text.format(more="".join(f"{line}\r\n" for line in lines)).encode())


def header_names(head: RequestHead) -> list[str]:
    return [name for name, _ in head.headers]


# Reading


def test_a_head_keeps_its_order_and_spelling() -> None:
    head = upgrade("X-First: 1", "x-SECOND: 2")
    assert header_names(head) == [
        "Host",
        "uPGRADE",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "X-First",
        "x-SECOND",
    ]
    assert head.encode() == UPGRADE.format(more="X-First: 1\r\nx-SECOND: 2\r\n").encode()


def test_an_upgrade_is_told_from_a_plain_request() -> None:
    assert upgrade().is_upgrade
    assert not parse_request(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n").is_upgrade
    assert not parse_request(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n").is_upgrade


def test_an_absolute_request_target_gives_away_its_authority() -> None:
    head = parse_request(b"GET http://elsewhere.example/v1/realtime?a=b HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
    assert head.path == "/v1/realtime?a=b"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", 505),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET http:@elsewhere.example/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (UPGRADE.format(more="Content-Length: 30\r\n").encode(), 400),
        (UPGRADE.format(more="Transfer-Encoding: chunked\r\n").encode(), 400),
    ],
)
def test_a_request_that_cannot_be_forwarded_is_answered_with_its_status(head: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_request(head)
    assert refused.value.status == status


def test_a_response_head_is_read_leniently() -> None:
    head = parse_response(b"HTTP/1.1 101\r\nUpgrade: websocket\r\nX-Odd Name: kept\r\nno colon\r\n\r\n")
    assert head.status == 101
    assert head.headers == [("Upgrade", "websocket"), ("X-Odd Name", "kept")]


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 -12 x\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_no_response(head: bytes) -> None:
    with pytest.raises(ValueError, match="no HTTP answer"):
        parse_response(head)


@given(st.integers(min_value=1, max_value=40))
def test_a_head_is_taken_whole_however_it_arrives(piece: int) -> None:
    stream = UPGRADE.format(more="").encode() + b"\x81\x00early frame bytes\r\n\r\n"
    buffer, head = bytearray(), None
    for start in range(0, len(stream), piece):
        buffer += stream[start : start + piece]
        head = head or take_head(buffer)
    assert head == UPGRADE.format(more="").encode()
    assert bytes(buffer) == b"\x81\x00early frame bytes\r\n\r\n"


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a"]), max_size=12), st.integers(1, 5))
def test_a_search_that_goes_on_finds_what_a_search_of_all_finds(pieces: list[bytes], size: int) -> None:
    stream = b"".join(pieces) + b"\r\n\r\n"
    buffer, searched = bytearray(), 0
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        head = take_head(buffer, searched)
        assert head == take_head(bytearray(stream[: start + size]))
        if head is not None:
            return
        searched = len(buffer)


def test_tls_is_told_by_its_first_bytes() -> None:
    buffer = bytearray(b"\x16\x03\x01")
    with pytest.raises(TlsSpoken, match="spoken to a port that speaks none"):
        take_head(buffer)


def test_a_head_over_the_limit_is_refused_before_it_ends() -> None:
    with pytest.raises(BadRequest) as refused:
        take_head(bytearray(b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_LIMIT))
    assert refused.value.status == 431


# Rewriting


def test_the_host_becomes_the_targets_and_the_model_too() -> None:
    target = Target("azure", "wss://contoso.openai.azure.com/openai/v1/realtime", model="my-deployment")
    upstream = rewrite_request(upgrade("Origin: http://localhost"), target, [])
    assert upstream.url == "wss://contoso.openai.azure.com/openai/v1/realtime?model=my-deployment"
    assert upstream.head.path == "/openai/v1/realtime?model=my-deployment"
    assert ("Host", "contoso.openai.azure.com") in upstream.head.headers
    assert ("Origin", "http://localhost") in upstream.head.headers


def test_an_origin_alone_keeps_the_clients_path_and_query() -> None:
    upstream = rewrite_request(upgrade(path="/v1/realtime?call_id=rtc_1"), Target("t", "ws://127.0.0.1:9"), [])
    assert upstream.head.path == "/v1/realtime?call_id=rtc_1"


def test_a_whole_url_is_used_as_it_is() -> None:
    target = Target("t", "wss://h.example/realtime?api-version=2025&deployment=d", model="other")
    assert rewrite_request(upgrade(), target, []).head.path == "/realtime?api-version=2025&deployment=d"


def test_the_targets_key_replaces_the_clients_wherever_it_stood() -> None:
    request = upgrade(
        "authorization: Bearer client-key",
        "API-Key: client-key",
        "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.client-key, other",
        path="/v1/realtime?model=m&api-key=client-key&x=1",
    )
    upstream = rewrite_request(request, Target("t", "wss://h.example"), [("api-key", "target-key")])
    sent = upstream.head.encode().decode()
    assert "client-key" not in sent + upstream.url
    assert "api-key: target-key\r\n" in sent
    assert "Sec-WebSocket-Protocol: realtime, other\r\n" in sent
    assert upstream.head.path == "/v1/realtime?model=m&x=1"


def test_a_subprotocol_header_with_nothing_but_the_key_goes() -> None:
    request = upgrade("Sec-WebSocket-Protocol: openai-insecure-api-key.client-key")
    upstream = rewrite_request(request, Target("t", "wss://h.example"), [("api-key", "k")])
    assert "Sec-WebSocket-Protocol" not in header_names(upstream.head)


def test_without_a_key_of_its_own_the_clients_passes() -> None:
    request = upgrade("Authorization: Bearer client-key", path="/v1/realtime?api-key=client-key")
    upstream = rewrite_request(request, Target("t", "ws://127.0.0.1:9"), [])
    assert ("Authorization", "Bearer client-key") in upstream.head.headers
    assert upstream.head.path == "/v1/realtime?api-key=client-key"


def test_a_key_in_the_targets_url_replaces_the_clients_too() -> None:
    target = Target("t", "wss://h.example", query={"api-key": "target-key"})
    upstream = rewrite_request(upgrade("Authorization: Bearer client-key"), target, [])
    assert "client-key" not in upstream.head.encode().decode()
    assert upstream.head.path.endswith("api-key=target-key")


def test_the_proxys_client_token_never_reaches_a_target_without_a_key() -> None:
    request = upgrade("Authorization: Bearer client-token")
    upstream = rewrite_request(request, Target("t", "ws://127.0.0.1:9"), [], drop_credentials=True)
    assert "client-token" not in upstream.head.encode().decode()


def test_headers_of_the_target_replace_the_clients() -> None:
    target = Target("t", "ws://127.0.0.1:9", headers={"OpenAI-Project": "ours"})
    upstream = rewrite_request(upgrade("openai-project: theirs"), target, [])
    assert [value for name, value in upstream.head.headers if name.lower() == "openai-project"] == ["ours"]


@pytest.mark.parametrize(
    "path",
    ["/", "/?", "/v1/realtime?", "/%C3%BC/%2e%2E/x%20y?q=%7B%7D&a=b;c=d", "//two//slashes", "/x?a#b", "/x?a?b=[]"],
)
@pytest.mark.parametrize("more", [(), ("Upgrade: h2c",)])
def test_an_origin_alone_takes_the_path_as_it_came(path: str, more: tuple[str, ...]) -> None:
    assert rewrite_request(upgrade(*more, path=path), Target("t", "ws://h.example:9"), []).head.path == path


@pytest.mark.parametrize("form", ["http://elsewhere.example", "WSS://user@elsewhere.example:1/", "http://[::1"])
def test_no_request_target_names_another_host(form: str) -> None:
    for method in ("GET", "POST"):
        request = parse_request(f"{method} {form}?x=http://third.example HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        upstream = rewrite_request(request, Target("t", "ws://h.example:9"), [])
        assert upstream.url == "ws://h.example:9/?x=http://third.example"
        assert upstream.head.path == "/?x=http://third.example"


def test_tags_are_not_for_the_endpoint() -> None:
    upstream = rewrite_request(upgrade("X-Wiretape-Tag-Call-Id: 42"), Target("t", "ws://h.example"), [])
    assert "X-Wiretape-Tag-Call-Id" not in header_names(upstream.head)


def test_a_plain_request_goes_to_the_targets_origin_and_closes_after_it() -> None:
    request = parse_request(
        b"POST /v1/realtime/client_secrets?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n"
        b"Upgrade: h2c\r\nAuthorization: Bearer client-key\r\nContent-Length: 2\r\n\r\n"
    )
    target = Target("t", "wss://h.example:444/openai/v1/realtime?model=m", model="m")
    upstream = rewrite_request(request, target, [("Authorization", "Bearer target-key")])
    assert upstream.url == "wss://h.example:444/v1/realtime/client_secrets?x=1"
    assert upstream.head.headers == [
        ("Host", "h.example:444"),
        ("Content-Length", "2"),
        ("Connection", "close"),
        ("Authorization", "Bearer target-key"),
    ]


def test_an_answer_of_our_own_is_plain_text_that_says_why() -> None:
    answer = plain_response(502, "wiretape: nobody there")
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert answer.endswith(b"Connection: close\r\n\r\nwiretape: nobody there\n")


def test_a_gateway_s_key_replaces_the_client_s_own() -> None:
    upstream = rewrite_request(upgrade("X-Gateway-Key: theirs"), Target("t", "wss://gw"), [("x-gateway-key", "ours")])
    assert [value for name, value in upstream.head.headers if name.lower() == "x-gateway-key"] == ["ours"]
