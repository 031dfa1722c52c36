import json
from typing import Any

import pytest
from openai.types.realtime import ClientSecretCreateResponse

from replay.simulator.clock import NS_PER_S
from replay.simulator.endpoint.client_secrets import answer_request, named_models
from replay.simulator.endpoint.plain_http import HttpAnswer, HttpRequest
from replay.simulator.ids import IdSource
from replay.simulator.protocol.addresses import read_address
from replay.simulator.scenario import Server

OPENAI, AZURE = "/v1/realtime/client_secrets", "/swedencentral/openai/v1/realtime/client_secrets"
NOW_S = 1_700_000_000


def post(
    body: Any,
    path: str = OPENAI,
    *,
    method: str = "POST",
    key: str | None = None,
    headers: dict[str, str] | None = None,
) -> HttpAnswer:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HttpRequest(method, path, headers or {}, sent)
    address = read_address(path, request.headers, ("eastus2", "swedencentral"))
    return answer_request(request, address, Server(api_key=key), IdSource(0, 1), NOW_S * NS_PER_S)


@pytest.mark.parametrize("path", [OPENAI, AZURE])
def test_a_secret_is_made_up_and_the_session_echoed(path: str) -> None:
    session = {"type": "realtime", "model": "gpt-realtime-mini", "audio": {"output": {"voice": "marin"}}}
    answer = post({"session": session, "expires_after": {"anchor": "created_at", "seconds": 60}}, path)

    minted = json.loads(answer.body)
    ClientSecretCreateResponse.model_validate(minted, strict=True)
    assert answer.status == 200
    assert minted["value"].startswith("ek_")
    assert minted["expires_at"] == NOW_S + 60
    assert minted["session"]["model"] == "gpt-realtime-mini"
    assert minted["session"]["audio"]["output"]["voice"] == "marin"


def test_a_secret_may_be_for_a_transcription_session() -> None:
    transcription = {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}
    minted = json.loads(post({"session": {"type": "transcription", "audio": transcription}}).body)

    ClientSecretCreateResponse.model_validate(minted, strict=True)
    assert minted["session"]["object"] == "realtime.transcription_session"
    assert minted["session"]["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"


def test_without_a_body_it_is_for_a_session_of_defaults() -> None:
    minted = json.loads(post(b"").body)

    assert minted["expires_at"] == NOW_S + 600
    assert minted["session"]["model"] == "gpt-realtime"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        ([], "invalid_type", ""),
        ({"sessions": {}}, "unknown_parameter", "sessions"),
        ({"session": {"type": "realtime", "voice": "marin"}}, "unknown_parameter", "session.voice"),
        ({"session": 3}, "invalid_type", "session"),
        ({"session": {"model": 3}}, "missing_required_parameter", "session.type"),
        ({"expires_after": {"seconds": 5}}, "integer_below_min_value", "expires_after.seconds"),
    ],
)
def test_a_mistake_is_a_400_that_names_it(body: Any, code: str, param: str | None) -> None:
    answer = post(body)

    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["param"]) == (400, code, param)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [(OPENAI, "PUT", 405), ("/v1/realtime/sessions", "POST", 404), ("/openai/realtime/client_secrets", "POST", 404)],
)
def test_other_paths_and_methods_are_refused(path: str, method: str, status: int) -> None:
    assert post({}, path, method=method).status == status


def test_a_key_that_is_asked_for_must_be_right() -> None:
    assert json.loads(post({}, key="right").body)["error"]["code"] == "invalid_api_key"
    assert post({}, AZURE, key="right", headers={"api-key": "wrong"}).status == 401
    assert post({}, AZURE, key="right", headers={"api-key": "right"}).status == 200
    assert post({}, key="right", headers={"authorization": "Bearer right"}).status == 200


@pytest.mark.parametrize(
    ("body", "models"),
    [
        (b'{"session": {"model": "m", "audio": {"input": {"transcription": {"model": "t"}}}}}', ("m", "t")),
        (b'{"session": {"model": 7, "audio": "loud"}}', (None, None)),
        (b"{}", (None, None)),
        (b"[]", (None, None)),
        (b"", (None, None)),
        (b"\xff", (None, None)),
    ],
)
def test_the_models_of_a_request_are_read_whatever_it_is(body: bytes, models: tuple[str | None, str | None]) -> None:
    assert named_models(body) == models
