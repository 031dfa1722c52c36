"""Files as the four tools write them, by their sources: fields, spellings, times and order of keys."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.importers.har import is_har, read_har
from capture.importers.importing import FileImport
from capture.importers.source import SourceMessage, SourceSession, Unreadable
from tests.capture.importers.conftest import CREATED, UPDATE, Imported, contents, dumped, har

Json = dict[str, Any]
T0 = 1770885055.25
URL = "wss://contoso.openai.azure.com/openai/v1/realtime?model=gpt-realtime"
DONE = {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}


def message(kind: str, after_s: float, data: str, opcode: int = 1) -> Json:
    return {"type": kind, "time": T0 + after_s, "opcode": opcode, "data": data}


def chrome_entry(*messages: Json) -> Json:
    return {
        "_initiator": {"type": "script", "stack": {"callFrames": []}},
        "_priority": None,
        "_resourceType": "websocket",
        "_webSocketMessages": list(messages),
        "cache": {},
        "connection": "4711",
        "pageref": "page_1",
        "request": {
            "method": "GET",
            "url": URL,
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Upgrade", "value": "websocket"}, {"name": "User-Agent", "value": "Mozilla/5.0"}],
            "queryString": [{"name": "model", "value": "gpt-realtime"}],
            "cookies": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 101,
            "statusText": "Switching Protocols",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "x-ms-region", "value": "East US 2"}, {"name": "x-request-id", "value": "req-1"}],
            "cookies": [],
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "_transferSize": 0,
            "_error": None,
        },
        "serverIPAddress": "20.1.2.3",
        "startedDateTime": "2026-02-12T08:30:55.200Z",
        "time": 5300.2,
        "timings": {"blocked": 1.5, "dns": -1, "ssl": -1, "connect": -1, "send": 0, "wait": 0, "receive": 0},
    }


def mitmproxy_entry(*messages: Json) -> Json:
    return {
        "startedDateTime": "2026-02-12T08:30:55.200000+00:00",
        "time": 120.5,
        "request": {
            "method": "GET",
            "url": "https://api.openai.com/v1/realtime?model=gpt-realtime",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": "Authorization", "value": "Bearer sk-proj-abcdefghijklmnop1234"}],
            "queryString": [{"name": "model", "value": "gpt-realtime"}],
            "headersSize": 411,
            "bodySize": 0,
        },
        "response": {"status": 101, "statusText": "Switching Protocols", "headers": [], "content": {}},
        "cache": {},
        "timings": {"connect": 10.0, "ssl": 20.0, "send": 0.1, "receive": 0.2, "wait": 90.2},
        "serverIPAddress": "104.18.1.1",
        "_resourceType": "websocket",
        "_webSocketMessages": list(messages),
    }


def playwright_entry(*messages: Json) -> Json:
    return {
        "startedDateTime": "2026-02-12T08:30:55.200Z",
        "time": -1,
        "request": {"method": "GET", "url": URL, "httpVersion": "HTTP/1.1", "cookies": [], "headers": []},
        "response": {
            "status": 101,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "headers": [],
            "content": {"size": -1},
        },
        "cache": {},
        "timings": {"send": -1, "wait": -1, "receive": -1},
        "pageref": "page@1",
        "_frameref": "frame@1",
        "_monotonicTime": 4411.2,
        "_resourceType": "websocket",
        "_webSocketMessages": list(messages),
    }


def http_toolkit_entry(*messages: Json, close: Json | str | None = None) -> Json:
    return {
        "pageref": "Chrome",
        "startedDateTime": "2026-02-12T09:30:55.200+01:00",
        "time": 5300.0,
        "request": {"method": "GET", "url": URL, "httpVersion": "HTTP/1.1", "headers": [], "headersSize": -1},
        "response": {"status": 101, "statusText": "Switching Protocols", "headers": [], "content": {"size": 0}},
        "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 1, "receive": 0},
        "_resourceType": "websocket",
        "_webSocketMessages": list(messages),
        **({"_webSocketClose": close} if close else {}),
    }


SAID = (message("receive", 0.0, dumped(CREATED)), message("send", 0.02, dumped(UPDATE)))


@pytest.mark.parametrize(
    ("entry", "creator", "provider"),
    [
        (chrome_entry(*SAID), "WebInspector", "azure"),
        (mitmproxy_entry(*SAID), "mitmproxy exporthar", "openai"),
        (playwright_entry(*SAID), "Playwright", "azure"),
        (http_toolkit_entry(*SAID), "HTTP Toolkit", "azure"),
    ],
    ids=["chrome", "mitmproxy", "playwright", "http toolkit"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_files_of_four_tools(
    imported: Callable[..., list[Imported]], entry: Json, creator: str, provider: str, indent: int | None
) -> None:
    plain = {"request": {"method": "GET", "url": "https://example.com/app.js"}, "response": {"status": 200}}
    ((session, messages),) = imported(json.dumps(har(plain, entry, creator=creator), indent=indent), "session.har")
    assert contents(messages) == [dumped(CREATED), dumped(UPDATE)]
    assert [each.sender for each in messages] == ["server", "client"]
    assert [each.offset_ns for each in messages] == [50_000_000, 70_000_000]
    assert session["started_at"].isoformat() == "2026-02-12T08:30:55.200000+00:00"
    assert (session["role"], session["provider"], session["handshake_status"]) == ("imported", provider, 101)
    assert (session["model"], session["voice"], session["dialect"]) == ("gpt-realtime", "marin", "ga")
    assert session["tags"]["import.by"] == creator
    assert (session["outcome"], session["failure_keys"]) == ("ok", [])
    # None of them tells the end here: whether all is there is not known.
    assert (session["complete"], session["close_code"], session["closed_by"]) == (None, None, None)


def test_the_handshake_of_chrome(imported: Callable[..., list[Imported]]) -> None:
    ((session, messages),) = imported(json.dumps(har(chrome_entry(*SAID))), "session.har")
    assert (session["region"], session["remote_ip"], session["url"]) == ("eastus2", "20.1.2.3", URL)
    assert (session["user_agent"], session["request_ids"]) == ("Mozilla/5.0", {"x-request-id": "req-1"})
    assert [each.row["wire_bytes"] for each in messages] == [None, None]


def test_a_mitmproxy_url_is_told_as_the_websocket_s(imported: Callable[..., list[Imported]]) -> None:
    ((session, _),) = imported(json.dumps(har(mitmproxy_entry(*SAID))), "session.har")
    assert session["url"] == "wss://api.openai.com/v1/realtime?model=gpt-realtime"
    assert session["request_headers"] == {"authorization": "[redacted]"}


def test_a_compressed_file_of_mitmproxy(imported: Callable[..., list[Imported]]) -> None:
    ((_, messages),) = imported(zlib.compress(json.dumps(har(mitmproxy_entry(*SAID))).encode(), 9), "session.zhar")
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("close", "code", "reason", "keys"),
    [
        ({"code": 1000, "reason": "bye", "timestamp": T0 + 5}, 1000, "bye", []),
        (
            {"code": 1011, "reason": "keepalive ping timeout"},
            1011,
            "keepalive ping timeout",
            ["close||1011|keepalive ping timeout"],
        ),
        # Nobody knows which side let go.
        ("aborted", 1006, None, []),
    ],
    ids=["bye", "keepalive", "aborted"],
)
def test_the_close_that_http_toolkit_tells(
    imported: Callable[..., list[Imported]], close: Json | str, code: int, reason: str | None, keys: list[str]
) -> None:
    ((session, _),) = imported(json.dumps(har(http_toolkit_entry(*SAID, close=close))), "session.har")
    assert (session["close_code"], session["close_reason"], session["closed_by"]) == (code, reason, None)
    assert (session["failure_keys"], session["complete"]) == (keys, True)


def test_frames_of_every_kind(imported: Callable[..., list[Imported]]) -> None:
    close = base64.b64encode(b"\x03\xe9Going away").decode()
    entry = chrome_entry(
        *SAID,
        message("send", 0.1, base64.b64encode(b"\x00\xff").decode(), opcode=2),
        message("receive", 0.2, "", opcode=9),
        message("send", 0.2, "cGluZw==", opcode=10),
        message("receive", 0.3, close, opcode=8),
    )
    ((session, messages),) = imported(json.dumps(har(entry)), "session.har")
    assert [each.kind for each in messages[2:]] == ["binary", "ping", "pong", "close"]
    assert contents(messages[2:]) == [b"\x00\xff", b"", b"ping", b"\x03\xe9Going away"]
    assert (session["closed_by"], session["close_code"]) == ("server", 1001)
    assert session["failure_keys"] == ["close|server|1001|Going away"]


def test_an_error_that_chrome_tells_is_no_message(imported: Callable[..., list[Imported]]) -> None:
    error = {"type": "error", "time": T0 + 1, "opcode": -1, "data": "WebSocket opening handshake was canceled"}
    ((session, messages),) = imported(json.dumps(har(chrome_entry(*SAID, error))), "session.har")
    assert len(messages) == 2
    assert session["end_reason"] == "WebSocket opening handshake was canceled"
    assert session["duration_ms"] == 1050.0


def test_a_refused_upgrade(imported: Callable[..., list[Imported]]) -> None:
    entry = chrome_entry()
    entry["response"] |= {"status": 401, "content": {"text": '{"error":{"code":"401","message":"Access denied"}}'}}
    ((session, messages),) = imported(json.dumps(har(entry)), "session.har")
    assert (session["handshake_status"], session["outcome"]) == (401, "failed")
    assert session["failure_keys"] == ["handshake|401|401|Access denied"]
    assert [each.kind for each in messages] == ["http"]
    # The file says when it began, and of the end nothing.
    assert (session["started_at"].isoformat(), session["ended_at"]) == ("2026-02-12T08:30:55.200000+00:00", None)
    assert messages[0].row["wire_bytes"] is None


def test_a_refused_upgrade_is_not_said_to_lack_the_times_of_messages(import_text: Callable[..., FileImport]) -> None:
    entry = chrome_entry()
    entry["response"]["status"] = 401
    done = import_text(json.dumps(har(entry)), "session.har")
    assert (len(done.sessions), done.notes) == (1, [])


def test_an_address_of_ipv6_stands_without_the_brackets_that_a_har_may_give_it(
    imported: Callable[..., list[Imported]],
) -> None:
    entry = chrome_entry(*SAID) | {"serverIPAddress": "[2606:4700::6810:1]"}
    ((session, _),) = imported(json.dumps(har(entry)), "session.har")
    assert session["remote_ip"] == "2606:4700::6810:1"


def test_a_websocket_over_http_2(imported: Callable[..., list[Imported]]) -> None:
    entry = chrome_entry(*SAID)
    entry["request"]["method"], entry["response"]["status"] = "CONNECT", 200
    ((session, messages),) = imported(json.dumps(har(entry)), "session.har")
    assert (session["handshake_status"], session["outcome"], len(messages)) == (200, "ok", 2)
    assert session["input_format"] == "audio/pcm"


def test_each_websocket_is_a_session(imported: Callable[..., list[Imported]]) -> None:
    found = imported(json.dumps(har(chrome_entry(*SAID), chrome_entry(*SAID))), "session.har")
    assert len({session["session_id"] for session, _ in found}) == 2


def test_a_socket_whose_messages_are_elsewhere_is_named(import_text: Callable[..., FileImport]) -> None:
    entry = playwright_entry()
    del entry["_webSocketMessages"]
    done = import_text(json.dumps(har(entry)), "session.har")
    assert done.unreadable == [
        Unreadable("entry 1", "it is a WebSocket, and the file holds none of its messages", is_lost=False)
    ]
    assert done.problem is not None


def test_of_a_file_that_is_cut_off_all_before_the_cut_is_there(imported: Callable[..., list[Imported]]) -> None:
    text = json.dumps(har(mitmproxy_entry(*SAID, message("receive", 1, dumped(DONE)))))
    ((session, messages),) = imported(text[: text.index("response.done")], "session.har")
    assert contents(messages) == [dumped(CREATED), dumped(UPDATE)]
    assert (session["url"], session["handshake_status"]) == (
        "wss://api.openai.com/v1/realtime?model=gpt-realtime",
        101,
    )
    (gap,) = session["gaps"]
    assert gap["reason"] == "entry 1, message 3 of the file: it is no JSON object that can be read"
    assert (session["complete"], session["outcome"]) == (False, "incomplete")


def test_a_damaged_message_costs_no_other(import_text: Callable[..., FileImport]) -> None:
    broken = dumped(har(chrome_entry(*SAID, message("receive", 1, "x")))).replace('"data":"x"', '"data":@@')
    done = import_text(broken, "session.har")
    assert [(part.place, part.is_lost) for part in done.unreadable] == [
        ("entry 1", False),
        ("entry 1, message 3", True),
    ]
    assert done.sessions[0].events_received == 1


def test_messages_that_make_no_sense_are_named(import_text: Callable[..., FileImport]) -> None:
    odd: list[Any] = [
        {"type": "other", "data": "x"},
        {"type": "send", "opcode": 7, "data": "x"},
        {"type": "send", "data": 1},
        5,
    ]
    done = import_text(json.dumps(har(chrome_entry(*SAID, *odd))), "session.har")
    assert [part.place for part in done.unreadable] == [f"entry 1, message {number}" for number in (3, 4, 5, 6)]


def test_what_is_no_har_is_said(import_text: Callable[..., FileImport]) -> None:
    done = import_text('{"log": {"version": "1.2"}}', "session.har")
    assert done.problem == (
        "it holds no WebSocket session that can be read: of a HAR only entries with _webSocketMessages are imported"
    )
    assert [part.reason for part in done.unreadable] == ["it has no log with entries"]


def test_a_har_is_known_by_its_beginning() -> None:
    assert is_har(b' {\n "log" : {')
    assert not is_har(b'{"dir": "sent"}')


@given(st.data())
def test_reading_a_file_that_is_cut_off_anywhere_never_raises(data: st.DataObject) -> None:
    text = json.dumps(har(chrome_entry(*SAID), mitmproxy_entry(*SAID)), indent=data.draw(st.sampled_from([None, 2])))
    cut = text.encode()[: data.draw(st.integers(0, len(text)))]
    for found in read_har(cut):
        if isinstance(found, SourceSession):
            assert all(isinstance(item, SourceMessage | Unreadable) for item in found.items())


@given(st.data())
def test_reading_damage_never_raises(data: st.DataObject) -> None:
    text = bytearray(json.dumps(har(chrome_entry(*SAID))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    for found in read_har(bytes(text)):
        if isinstance(found, SourceSession):
            list(found.items())
