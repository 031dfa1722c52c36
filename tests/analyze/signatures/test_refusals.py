"""What endpoints refuse: upgrades, keys, dialects, configurations, and sessions that have hardly begun."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from analyze.findings import Finding
from tests.analyze.signatures.conftest import Line, Record, answer, healthy_turn, opening, speech

Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

AZURE = "wss://contoso.openai.azure.com/openai"
OPENAI: dict[str, Any] = {"provider": "openai", "url": "wss://api.openai.com/v1/realtime?model=gpt-realtime"}
CREATED: Line = (0, "server", {"type": "session.created", "session": {"id": "sess_1", "model": "gpt-realtime"}})
BETA_SESSION = {"modalities": ["audio", "text"], "voice": "alloy", "input_audio_format": "pcm16"}


def error(at_ms: float, **told: object) -> Line:
    usual = {"type": "invalid_request_error", "code": None, "message": "No.", "param": None}
    return (at_ms, "server", {"type": "error", "event_id": "event_e", "error": usual | told})


def update(at_ms: float, session: dict[str, Any]) -> Line:
    return (at_ms, "client", {"type": "session.update", "session": session})


def said(code: str | None, message: str) -> str:
    return json.dumps({"error": {"code": code, "message": message}})


def unknown(at_ms: float, field: str) -> Line:
    return error(at_ms, code="unknown_parameter", message=f"Unknown parameter: '{field}'.", param=field)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503, 302])
def test_a_refused_upgrade_tells_its_status(record: Record, findings: Findings, status: int) -> None:
    session = record([], status=status, body=said(None, "Not you."))

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, "handshake_refused", "certain")
    assert finding.numbers == {"handshake_status": status}
    assert finding.evidence == (0,)
    assert finding.explains == (f"handshake||{status}|Not you.",)


def test_a_refusal_without_a_body_has_the_handshake_as_evidence(record: Record, findings: Findings) -> None:
    record([], status=403)

    (finding,) = findings()

    assert (finding.name, finding.evidence) == ("handshake_refused", ())
    assert finding.first_at is not None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, said("OpperationNotSupported", "The operation is unsupported.")),
        (400, '{"code": "OpperationNotSupported"}'),
    ],
)
def test_a_model_that_cannot_be_called_so_is_no_plain_refusal(
    record: Record, names: Names, status: int, body: str
) -> None:
    session = record([], status=status, body=body)

    assert names() == {session: ["session_type_mismatch"]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "openai/v1/realtime/client_secrets", 500),
        ("POST", "openai/v1/chat/completions", 429),
        # A load balancer, or a browser, that looks whether the proxy is there.
        ("GET", "", 404),
    ],
)
def test_a_plain_request_is_no_upgrade(record: Record, names: Names, method: str, path: str, status: int) -> None:
    url = f"https://contoso.openai.azure.com/{path}"
    record([], status=status, url=url, method=method, upgrade=False, body=said(None, "No."))

    assert names() == {}


def test_a_throttled_upgrade_is_no_failure_of_an_answer(record: Record, names: Names) -> None:
    session = record([], status=429, body=said("rate_limit_exceeded", "Too many requests."))

    assert names() == {session: ["handshake_refused"]}


@pytest.mark.parametrize(
    ("url", "status", "asked_headers"),
    [
        (f"{AZURE}/v1/realtime?api-version=2025-04-01-preview&model=gpt-realtime", 401, {}),
        (f"{AZURE}/v1/realtime?model=gpt-realtime&api-version=2025-04-01-preview", 404, {}),
        (f"{AZURE}/realtime?model=gpt-realtime", 404, {}),
        (f"{AZURE}/v1/realtime?model=gpt-realtime", 400, {"OpenAI-Beta": "realtime=v1"}),
    ],
)
def test_urls_of_both_dialects_mixed(
    record: Record, findings: Findings, url: str, status: int, asked_headers: dict[str, str]
) -> None:
    record([], status=status, url=url, asked_headers=asked_headers, body=said(None, "No such thing."))

    assert [(finding.name, finding.confidence) for finding in findings()] == [("beta_ga_shape_mismatch", "likely")]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        (f"{AZURE}/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime", 404),
        (f"{AZURE}/v1/realtime?model=gpt-realtime&api-version=2025-04-01-preview", 429),
    ],
)
def test_a_whole_url_or_another_status_is_a_plain_refusal(record: Record, names: Names, url: str, status: int) -> None:
    session = record([], status=status, url=url)

    assert names() == {session: ["handshake_refused"]}


@pytest.mark.parametrize("field", ["session.modalities", "session.input_audio_format", "response.modalities"])
def test_a_beta_field_at_a_ga_endpoint(record: Record, findings: Findings, field: str) -> None:
    lines = [CREATED, update(5, BETA_SESSION), unknown(20, field), *speech(100), *answer(600)]
    record(lines)

    (finding,) = findings()

    assert (finding.name, finding.confidence, finding.evidence) == ("beta_ga_shape_mismatch", "certain", (2,))
    assert finding.numbers == {"errors": 1, "updates_taken": 0, "handshake_status": 101}
    assert len(finding.explains) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        error(20, code="missing_required_parameter", message="Missing required parameter: 'session.type'.",
              param="session.type"),
        error(20, code="missing_required_parameter", message="Missing required parameter: 'session.type'."),
        error(20, code="invalid_value", message="Invalid value: 'transcription_session.update'.", param="type"),
        unknown(20, "session.audio"),
    ],
)  # fmt: skip
def test_other_signs_of_two_dialects(record: Record, findings: Findings, refusal: Line) -> None:
    record([CREATED, update(5, BETA_SESSION), refusal, *speech(100), *answer(600)])

    (finding,) = findings()

    assert finding.name == "beta_ga_shape_mismatch"
    assert len(finding.explains) == 1


@pytest.mark.parametrize(
    ("refusal", "confidence"),
    [
        (error(20, code="invalid_value", message="Invalid value: 'x'.", param="session.audio.output.voice"), "certain"),
        (unknown(20, "session.audio.input.loudness"), "certain"),
        (error(20, message="Something in it is wrong."), "likely"),
    ],
)
def test_a_refused_configuration_leaves_the_defaults(
    record: Record, findings: Findings, refusal: Line, confidence: str
) -> None:
    record([*opening()[:2], refusal, *speech(100), *answer(600)])

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("config_rejected_session_runs_default", confidence)
    assert finding.evidence == (1, 2)
    assert finding.numbers == {"refused_updates": 1, "answers_on_defaults": 1}
    assert len(finding.explains) == 1


def test_a_configuration_that_was_mended_is_in_force(record: Record, names: Names) -> None:
    refusal = error(20, code="invalid_value", message="Invalid value: 'x'.", param="session.audio.output.voice")
    record([*opening()[:2], refusal, *opening(at_ms=30)[1:], *healthy_turn(100)])

    assert names() == {}


def test_a_client_that_leaves_after_the_refusal_ran_on_nothing(record: Record, names: Names) -> None:
    record([*opening()[:2], error(20, code="invalid_value", param="session.audio.output.voice")])

    assert names() == {}


def test_a_later_error_of_another_request_is_no_refused_configuration(record: Record, names: Names) -> None:
    lines = [*opening()[:2], *speech(100), (500, "client", {"type": "response.cancel"}), error(510), *answer(600)]
    session = record(lines)

    assert "config_rejected_session_runs_default" not in names().get(session, [])


def test_a_transcription_update_to_a_realtime_session_has_another_name(record: Record, names: Names) -> None:
    words = "Passing a transcription session update event to a realtime session is not allowed."
    refusal = error(20, code="invalid_parameter", message=words, param="session.type")
    session = record([*opening()[:2], refusal, *speech(100), *answer(600)])

    assert names() == {session: ["session_type_mismatch"]}


def test_the_beta_is_switched_off(record: Record, findings: Findings) -> None:
    words = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
    record(
        [error(20, code="beta_api_shape_disabled", message=words)],
        closed=("server", 4000, "invalid_request_error.beta_api_shape_disabled"),
        **OPENAI,
    )

    (finding,) = findings()

    assert (finding.name, finding.confidence, finding.evidence) == ("beta_api_disabled", "certain", (0, 1))
    assert len(finding.explains) == 2


def test_a_key_that_is_refused_after_the_upgrade(record: Record, findings: Findings) -> None:
    record(
        [error(20, code="invalid_api_key", message="Incorrect API key provided.")],
        closed=("server", 3000, "invalid_request_error.invalid_api_key"),
        **OPENAI,
    )

    (finding,) = findings()

    assert (finding.name, finding.confidence, finding.evidence) == ("invalid_key_close_3000", "certain", (0, 1))
    assert len(finding.explains) == 2


@pytest.mark.parametrize("pending", [False, True], ids=["nothing asked", "configuration asked"])
def test_an_error_that_nobody_called_for(record: Record, findings: Findings, pending: bool) -> None:
    words = "The server had an error while processing your request."
    asked = opening()[1:2] if pending else []
    record([CREATED, *asked, error(300, type="server_error", message=words)], closed=("server", 1011, ""))

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("error_right_after_session_created", "likely")
    assert finding.numbers == {"after_created_ms": 300, "errors": 1}
    assert len(finding.explains) == 2


@pytest.mark.parametrize(
    "lines",
    [
        [*opening(), error(1500, type="server_error")],
        [*opening(), *speech(100), error(600, type="server_error")],
    ],
    ids=["later", "after speech"],
)
def test_an_error_later_on_is_not_right_after(record: Record, names: Names, lines: list[Line]) -> None:
    session = record(lines)

    assert "error_right_after_session_created" not in names().get(session, [])


def test_an_endpoint_that_is_out_of_quota_says_so(record: Record, names: Names) -> None:
    refusal = error(300, type="server_error", code="rate_limit_exceeded", message="Too many requests.")
    session = record([*opening(), refusal])

    assert names() == {session: ["inference_rate_limited"]}
