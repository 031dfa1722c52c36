import json
from collections.abc import Mapping
from http import HTTPStatus

import pytest

from replay.simulator.protocol.addresses import Shape, read_address
from replay.simulator.protocol.admission import Admission, Admitted, Refused, TurnedAway, admit

REGIONS = ("eastus2", "swedencentral")
PREVIEW = "api-version=2025-04-01-preview"


def knock(
    path: str, headers: Mapping[str, str] | None = None, *, shape: Shape | None = None, key: str | None = None
) -> Admission:
    return admit(read_address(path, headers or {}, REGIONS, shape), () if key is None else (key,))


@pytest.mark.parametrize(
    ("path", "admitted"),
    [
        ("/eastus2/openai/v1/realtime?model=gpt-realtime", Admitted("eastus2", "gpt-realtime")),
        ("/swedencentral/openai/v1/realtime?model=my-voice", Admitted("swedencentral", "my-voice")),
        ("/swedencentral/openai/v1/realtime?deployment=my-voice", Admitted("swedencentral", "my-voice")),
        ("/openai/v1/realtime", Admitted("eastus2", "gpt-realtime")),
        ("/v1/realtime?model=gpt-realtime-mini", Admitted("eastus2", "gpt-realtime-mini", "openai")),
        ("/swedencentral/v1/realtime?model=gpt-realtime", Admitted("swedencentral", "gpt-realtime", "openai")),
        ("/realtime?model=gpt-realtime", Admitted("eastus2", "gpt-realtime", "openai")),
        (f"/openai/realtime?{PREVIEW}&deployment=my-voice", Admitted("eastus2", "my-voice", "azure", "beta")),
        (f"/openai/deployments/my-voice/realtime?{PREVIEW}", Admitted("eastus2", "my-voice", "azure", "beta")),
    ],
)
def test_the_path_picks_region_shape_and_dialect_and_the_query_the_model(path: str, admitted: Admitted) -> None:
    assert knock(path) == admitted


@pytest.mark.parametrize(
    ("path", "admitted"),
    [
        ("/v1/realtime?intent=transcription", Admitted("eastus2", "", "openai", "ga", "transcription")),
        ("/openai/v1/realtime?intent=transcription", Admitted("eastus2", "", "azure", "ga", "transcription")),
        (
            "/openai/v1/realtime?intent=transcription&deployment=my-transcribe",
            Admitted("eastus2", "my-transcribe", "azure", "ga", "transcription"),
        ),
        (
            f"/openai/realtime?{PREVIEW}&intent=transcription&deployment=gpt-realtime",
            Admitted("eastus2", "", "azure", "beta", "transcription"),
        ),
    ],
)
def test_the_intent_opens_a_session_that_only_transcribes(path: str, admitted: Admitted) -> None:
    assert knock(path) == admitted


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/", HTTPStatus.NOT_FOUND, "404"),
        ("/eastus2/openai/v1/chat/completions", HTTPStatus.NOT_FOUND, "404"),
        ("/westus/openai/v1/realtimes?model=gpt-realtime", HTTPStatus.NOT_FOUND, "404"),
        ("/openai/realtime?deployment=gpt-realtime", HTTPStatus.NOT_FOUND, "404"),
        ("/openai/v1/realtime?model=gpt-realtime-whisper", HTTPStatus.BAD_REQUEST, "OpperationNotSupported"),
        (
            f"/openai/realtime?{PREVIEW}&intent=transcription&deployment=my-transcribe",
            HTTPStatus.BAD_REQUEST,
            "OpperationNotSupported",
        ),
        (f"/openai/v1/realtime?model=gpt-realtime&{PREVIEW}", HTTPStatus.UNAUTHORIZED, "401"),
    ],
)
def test_refuses_with_a_status_and_a_json_body(path: str, status: HTTPStatus, code: str) -> None:
    refused = knock(path)

    assert isinstance(refused, Refused)
    assert refused.status is status
    assert json.loads(refused.body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/realtime?model=gpt-realtime", {"OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled"),
        ("/v1/realtime?model=gpt-realtime&api-version=2024-10-01-preview", {}, "beta_api_shape_disabled"),
        (
            "/v1/realtime?model=gpt-realtime",
            {"Sec-WebSocket-Protocol": "realtime, openai-beta.realtime-v1"},
            "beta_api_shape_disabled",
        ),
        ("/v1/realtime", {}, "missing_model"),
        ("/v1/realtime?model=gpt-4o-transcribe", {}, "invalid_model"),
        ("/v1/realtime?model=gpt-realtime&intent=transcription", {}, "invalid_model"),
    ],
)
def test_turns_away_after_the_upgrade_what_openai_does(path: str, headers: dict[str, str], code: str) -> None:
    turned_away = knock(path, headers)

    assert isinstance(turned_away, TurnedAway)
    assert turned_away.code == code
    assert (turned_away.close_code, turned_away.close_reason) == (4000, f"invalid_request_error.{code}")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"api-key": "right"}])
def test_openai_takes_the_upgrade_with_a_bad_key_and_closes_3000(headers: dict[str, str]) -> None:
    turned_away = knock("/v1/realtime?model=gpt-realtime", headers, key="right")

    assert isinstance(turned_away, TurnedAway)
    assert (turned_away.close_code, turned_away.close_reason) == (3000, "invalid_request_error.invalid_api_key")


@pytest.mark.parametrize("path", ["/openai/v1/realtime", f"/openai/realtime?{PREVIEW}"])
def test_azure_refuses_a_bad_key_before_the_upgrade(path: str) -> None:
    refused = knock(path, {"api-key": "wrong"}, key="right")

    assert isinstance(refused, Refused)
    assert refused.status is HTTPStatus.UNAUTHORIZED
    assert isinstance(knock(path, {"api-key": "right"}, key="right"), Admitted)


def test_a_shape_that_is_set_has_its_own_paths_only() -> None:
    assert isinstance(knock("/openai/v1/realtime", shape="azure"), Admitted)
    assert isinstance(knock("/v1/realtime?model=gpt-realtime", shape="azure"), Refused)
    assert isinstance(knock("/v1/realtime?model=gpt-realtime", shape="openai"), Admitted)
    assert isinstance(knock("/openai/v1/realtime?model=gpt-realtime", shape="openai"), Refused)
