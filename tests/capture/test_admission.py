"""Who may call: the token in every place, web pages from elsewhere, and clients that only wait."""

from __future__ import annotations

import pytest

from capture.admission import WaitingRoom, client_credentials, is_authorized, refuse_web_pages
from capture.handshake import BadRequest, RequestHead, parse_request


def upgrade(*lines: str, path: str = "/v1/realtime?model=gpt-realtime", host: str = "127.0.0.1:8765") -> RequestHead:
    fixed = (f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket")
    return parse_request("".join(f"{line}\r\n" for line in (*fixed, *lines, "")).encode(errors="surrogateescape"))


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("Authorization: Bearer tok", "/v1/realtime"),
        ("authorization: bEARER  tok", "/v1/realtime"),
        ("api-key: tok", "/v1/realtime"),
        ("x-api-key: tok", "/v1/realtime"),
        ("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.tok", "/v1/realtime"),
        ("X: y", "/v1/realtime?api-key=tok"),
        ("X: y", "/v1/realtime?Authorization=Bearer%20tok"),
    ],
)
def test_a_client_may_send_the_token_wherever_it_sends_its_key(line: str, path: str) -> None:
    request = upgrade(line, path=path)
    assert client_credentials(request) == ["tok"]
    assert is_authorized(request, "tok")
    assert not is_authorized(request, "tok2")


def test_a_client_without_a_key_may_not_call() -> None:
    assert not is_authorized(upgrade(), "tok")


def test_a_token_may_be_any_text() -> None:
    assert is_authorized(upgrade("api-key: tök€n"), "tök€n")
    assert is_authorized(upgrade(path="/?api-key=t%C3%B6k%E2%82%ACn"), "tök€n")
    assert not is_authorized(upgrade("api-key: tökn"), "tök€n")
    in_latin_1 = "t\udcf6k"
    assert is_authorized(upgrade("api-key: t\udcf6k"), in_latin_1)
    assert not is_authorized(upgrade("api-key: tok"), in_latin_1)


def test_an_empty_token_admits_nobody() -> None:
    assert not is_authorized(upgrade("api-key;".replace(";", ":")), "")


@pytest.mark.parametrize(
    ("host", "lines"),
    [
        ("127.0.0.1:8765", ()),
        ("[::1]:8765", ()),
        ("10.0.0.7", ()),
        ("wiretape:8765", ()),
        ("host.docker.internal:8765", ("Origin: http://host.docker.internal:8765",)),
        ("localhost:8765", ("Origin: http://localhost:3000",)),
        ("localhost:8765", ("Origin: https://app.localhost",)),
        ("10.0.0.7:8765", ("Origin: http://10.0.0.7:8765",)),
    ],
)
def test_clients_and_pages_of_this_machine_are_served(host: str, lines: tuple[str, ...]) -> None:
    refuse_web_pages(upgrade(*lines, host=host))


@pytest.mark.parametrize(
    ("host", "lines"),
    [
        ("127.0.0.1:8765", ("Origin: https://elsewhere.example",)),
        ("127.0.0.1:8765", ("Origin: https://127.0.0.1.elsewhere.example",)),
        ("127.0.0.1:8765", ("Origin: http://203.0.113.9",)),
        ("127.0.0.1:8765", ("Origin: null",)),
        ("127.0.0.1:8765", ("Origin: http://[",)),
        ("127.0.0.1:8765", ("Origin: file://",)),
        ("rebound.elsewhere.example:8765", ()),
        ("rebound.elsewhere.example:8765", ("Origin: http://rebound.elsewhere.example:8765",)),
        ("[", ()),
        ("", ()),
    ],
)
def test_web_pages_from_elsewhere_are_refused(host: str, lines: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest) as refused:
        refuse_web_pages(upgrade(*lines, host=host))
    assert refused.value.status == 403
    assert "WIRETAPE_CLIENT_TOKEN" in refused.value.reason


def test_who_has_waited_long_enough_goes_when_the_room_is_full() -> None:
    room: WaitingRoom[str] = WaitingRoom(places=2, patience_s=1)
    assert [room.enter("first", 0), room.enter("second", 0.5), room.enter("third", 0.9)] == [None, None, None]
    room.leave("second")
    room.leave("second")
    assert room.enter("fourth", 1.0) == "first"
    assert room.enter("fifth", 1.8) is None
    assert room.enter("sixth", 2.0) == "third"


def test_who_has_waited_long_enough_goes_for_one_who_would_find_no_place() -> None:
    room: WaitingRoom[str] = WaitingRoom(places=9, patience_s=1)
    assert [room.enter("first", 0), room.enter("second", 0.5, is_full=True)] == [None, None]
    assert room.enter("third", 1.0, is_full=True) == "first"
    assert room.enter("fourth", 1.4) is None
