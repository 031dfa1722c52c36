import json
from http import HTTPStatus

import pytest

from replay.simulator.admission import Admitted, Refused, TurnedAway, admit

REGIONS = ("eastus2", "swedencentral")


@pytest.mark.parametrize(
    ("path", "region", "model"),
    [
        ("/eastus2/openai/v1/realtime?model=gpt-realtime", "eastus2", "gpt-realtime"),
        ("/swedencentral/openai/v1/realtime?model=my-voice", "swedencentral", "my-voice"),
        ("/swedencentral/openai/v1/realtime?deployment=my-voice", "swedencentral", "my-voice"),
        ("/openai/v1/realtime?model=gpt-realtime", "eastus2", "gpt-realtime"),
        ("/openai/v1/realtime", "eastus2", "gpt-realtime"),
        ("/v1/realtime?model=gpt-realtime-mini", "eastus2", "gpt-realtime-mini"),
        ("/swedencentral/v1/realtime?model=gpt-realtime", "swedencentral", "gpt-realtime"),
        ("/realtime?model=gpt-realtime", "eastus2", "gpt-realtime"),
    ],
)
def test_the_path_picks_the_region_and_the_query_the_model(path: str, region: str, model: str) -> None:
    assert admit(path, {}, REGIONS) == Admitted(region, model)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/", HTTPStatus.NOT_FOUND, "404"),
        ("/eastus2/openai/v1/chat/completions", HTTPStatus.NOT_FOUND, "404"),
        ("/westus/openai/v1/realtimes?model=gpt-realtime", HTTPStatus.NOT_FOUND, "404"),
        ("/openai/v1/realtime?model=whisper-1", HTTPStatus.BAD_REQUEST, "OpperationNotSupported"),
        ("/v1/realtime?model=gpt-4o-transcribe", HTTPStatus.BAD_REQUEST, "OpperationNotSupported"),
        ("/openai/v1/realtime?model=gpt-realtime&api-version=2025-04-01-preview", HTTPStatus.UNAUTHORIZED, "401"),
    ],
)
def test_refuses_with_a_status_and_a_json_body(path: str, status: HTTPStatus, code: str) -> None:
    refused = admit(path, {}, REGIONS)

    assert isinstance(refused, Refused)
    assert refused.status is status
    assert json.loads(refused.body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/realtime?model=gpt-realtime", {"OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled"),
        ("/v1/realtime?model=gpt-realtime&api-version=2024-10-01-preview", {}, "beta_api_shape_disabled"),
        ("/openai/realtime?api-version=2025-04-01-preview&deployment=x", {}, "beta_api_shape_disabled"),
        (
            "/v1/realtime?model=gpt-realtime",
            {"Sec-WebSocket-Protocol": "realtime, openai-beta.realtime-v1"},
            "beta_api_shape_disabled",
        ),
        ("/v1/realtime", {}, "missing_model"),
    ],
)
def test_turns_away_after_the_upgrade_what_openai_does(path: str, headers: dict[str, str], code: str) -> None:
    turned_away = admit(path, headers, REGIONS)

    assert isinstance(turned_away, TurnedAway)
    assert turned_away.code == code
    assert turned_away.close_reason == f"invalid_request_error.{code}"
