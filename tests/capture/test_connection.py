from __future__ import annotations

from typing import Any

import pytest

from capture.connection import ConnectionSummary
from capture.recording.facts import ClosedBy, Fact, HandshakeRequest, HandshakeResponse, SessionEnd, SessionFacts

URL = "wss://contoso-eastus2.openai.azure.com/openai/v1/realtime?model=gpt-realtime"


def session(**fields: Any) -> SessionFacts:
    return SessionFacts(session_id="20260212T083055-4f3a9c12", started_at_us=0, **fields)


def request(*headers: tuple[str, str], method: str = "GET", remote_ip: str | None = None) -> HandshakeRequest:
    return HandshakeRequest(offset_ns=0, method=method, path="/", headers=list(headers), remote_ip=remote_ip)


def response(status: int = 101, *headers: tuple[str, str], remote_ip: str | None = None) -> HandshakeResponse:
    return HandshakeResponse(offset_ns=0, status=status, headers=list(headers), remote_ip=remote_ip)


def end(closed_by: ClosedBy | None = None) -> SessionEnd:
    return SessionEnd(offset_ns=1, closed_by=closed_by, end_reason="because")


def summary(*facts: Fact) -> ConnectionSummary:
    connection = ConnectionSummary(session())
    for fact in facts:
        connection.take_fact(fact)
    return connection


def close_frame(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


# --- the peer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("contoso.openai.azure.com", "azure"),
        ("contoso.services.ai.azure.com", "azure"),
        ("contoso.openai.azure.us", "azure"),
        ("contoso.openai.azure.cn", "azure"),
        ("api.openai.com", "openai"),
        ("API.OpenAI.com", "openai"),
        ("api.x.ai", "other"),
        ("notazure.com", "other"),
        ("azure.com.evil.example", "other"),
    ],
)
def test_the_host_tells_the_provider(host: str, provider: str) -> None:
    assert summary(session(url=f"wss://{host}/v1/realtime")).peer()["provider"] == provider


def test_the_simulator_says_what_it_is() -> None:
    connection = summary(session(url=URL), response(101, ("X-Wiretape-Simulator", "1")))
    assert connection.peer()["provider"] == "simulator"


def test_what_the_recorder_knows_goes_before_what_the_endpoint_says() -> None:
    said = response(101, ("x-ms-region", "East US 2"), remote_ip="10.0.0.1")
    told = session(url=URL, provider="other", region="swedencentral", host="proxy.example", remote_ip="10.9.9.9")
    assert summary(session(url=URL), said).peer() == {
        "target": None,
        "provider": "azure",
        "region": "eastus2",
        "host": "contoso-eastus2.openai.azure.com",
        "remote_ip": "10.0.0.1",
        "url": URL,
    }
    peer = summary(told, said).peer()
    assert [peer[name] for name in ("provider", "region", "host", "remote_ip")] == [
        "other",
        "swedencentral",
        "proxy.example",
        "10.9.9.9",
    ]


def test_nothing_known_is_null() -> None:
    peer = summary(session()).peer()
    assert {name for name, value in peer.items() if value is not None} == {"provider"}


@pytest.mark.parametrize(
    ("query", "model"),
    [("model=gpt-realtime", "gpt-realtime"), ("api-version=1&deployment=prod", "prod"), ("intent=transcription", None)],
)
def test_the_url_names_model_or_deployment(query: str, model: str | None) -> None:
    assert summary(session(url=f"wss://host/realtime?{query}")).asked_model == model


def test_an_url_that_is_none_does_no_harm() -> None:
    connection = summary(session(url="wss://[::1/realtime?model=a"))
    assert connection.asked_model is None
    assert connection.peer()["host"] is None


# --- the handshake --------------------------------------------------------------------------------------------


def test_headers_are_kept_by_lower_case_name() -> None:
    row = summary(
        request(("User-Agent", "openai-python"), ("X-Tag", "a"), ("x-tag", "b")),
        response(
            101,
            ("X-Request-Id", "req_1"),
            ("apim-request-id", "a-1"),
            ("x-ms-client-request-id", "c-1"),
            ("Date", "now"),
        ),
    ).handshake()
    assert row["request_headers"] == {"user-agent": "openai-python", "x-tag": "a, b"}
    assert row["request_ids"] == {"x-request-id": "req_1", "apim-request-id": "a-1", "x-ms-client-request-id": "c-1"}
    assert row["response_headers"]["date"] == "now"
    assert row["user_agent"] == "openai-python"
    assert row["handshake_status"] == 101


def test_an_upgrade_that_was_refused_is_told_from_a_plain_exchange() -> None:
    upgrade = request(("Upgrade", "websocket"))
    plain = request(method="POST")
    assert summary(plain, response(200)).is_answered_exchange
    assert not summary(plain, response(500)).is_answered_exchange
    assert not summary(plain).is_answered_exchange
    assert not summary(upgrade, response(200)).is_answered_exchange
    assert not summary(upgrade, response(401)).is_upgraded
    assert summary(upgrade, response(101)).is_upgraded
    assert summary(plain).http_method == "POST"


# --- the close ------------------------------------------------------------------------------------------------


def test_the_first_close_frame_tells_who_closed_and_why() -> None:
    connection = summary(response(), end())
    connection.observe_close("server", close_frame(1001, "maximum duration"))
    connection.observe_close("client", close_frame(1001))
    connection.observe_close("server", close_frame(4000, "too late"))
    assert connection.close() == {
        "closed_by": "server",
        "close_code": 1001,
        "close_reason": "maximum duration",
        "end_reason": "because",
    }


def test_the_first_close_frame_tells_more_than_who_let_go_of_the_connection() -> None:
    connection = summary(response(), end("client"))
    connection.observe_close("server", close_frame(1011, "internal error"))
    connection.observe_close("client", close_frame(1000, "bye"))
    row = connection.close()
    assert (row["closed_by"], row["close_code"], row["close_reason"]) == ("server", 1011, "internal error")


def test_a_recorder_that_stopped_says_so_whatever_the_frames_say() -> None:
    connection = summary(response(), end("recorder"))
    connection.observe_close("client", close_frame(1000, "bye"))
    assert connection.close()["closed_by"] == "recorder"


def test_what_a_recorder_said_that_stopped_is_how_it_closed() -> None:
    goodbye = SessionEnd(offset_ns=1, closed_by="recorder", close_code=1001, close_reason="the recorder stops")
    row = summary(response(), goodbye).close()
    assert (row["closed_by"], row["close_code"], row["close_reason"]) == ("recorder", 1001, "the recorder stops")


def test_a_client_that_hangs_up_without_a_close_frame() -> None:
    row = summary(response(), end("client")).close()
    assert (row["closed_by"], row["close_code"]) == ("client", 1006)


def test_a_side_that_leaves_without_a_close_frame() -> None:
    connection = summary(response(), end("network"))
    assert connection.close()["close_code"] == 1006
    row = summary(response(), end()).close()
    assert (row["closed_by"], row["close_code"], row["close_reason"]) == ("network", 1006, None)


@pytest.mark.parametrize("content", [b"", b"\x03"])
def test_a_close_frame_without_a_code(content: bytes) -> None:
    connection = summary(response(), end())
    connection.observe_close("client", content)
    assert connection.close()["close_code"] == 1005


def test_a_reason_that_is_no_text_does_no_harm() -> None:
    connection = summary(response(), end())
    connection.observe_close("client", close_frame(1000) + b"\xff")
    assert connection.close()["close_reason"] == "\ufffd"


@pytest.mark.parametrize("facts", [[response()], [response(401)], []])
def test_a_journal_that_stops_without_a_word_is_the_recorders_end_and_says_so(facts: list[Fact]) -> None:
    close = summary(*facts).close()
    assert close["closed_by"] == "recorder"
    assert close["end_reason"] == "the recorder died, or could write no more, before the session's end"


def test_who_said_goodbye_before_the_recorder_died_closed_it_all_the_same() -> None:
    connection = summary(response())
    connection.observe_close("server", close_frame(1011, "internal error"))
    assert (connection.close()["closed_by"], connection.close()["close_code"]) == ("server", 1011)


def test_what_never_stood_has_no_close_code() -> None:
    row = summary(response(401), end()).close()
    assert (row["closed_by"], row["close_code"]) == (None, None)
