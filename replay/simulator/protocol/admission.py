"""The handshake: which session a connection gets, or how the endpoint turns it away. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from replay.simulator.protocol.addresses import Address, Shape

DEFAULT_MODEL = "gpt-realtime"
AZURE_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
OPENAI_DENIED = (
    "Incorrect API key provided: ****. You can find your API key at https://platform.openai.com/account/api-keys."
)

_AZURE_GA_PATH = "/openai/v1/realtime"
_AZURE_PREVIEW_PATH = re.compile(r"/openai(?:/deployments/(?P<deployment>[^/]+))?/realtime")
_NO_REALTIME_MODEL = re.compile(r"whisper|transcribe|translate|tts|embedding", re.IGNORECASE)
"""Catalogue names that are certainly not realtime models; anything else may be a deployment's name."""

SessionType = Literal["realtime", "transcription"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """The connection gets a session."""

    region: str
    model: str
    """What the URL names; of a transcription session the model that transcribes, or nothing."""
    shape: Shape = "azure"
    dialect: Literal["ga", "beta"] = "ga"
    session_type: SessionType = "realtime"


@dataclass(frozen=True, slots=True)
class Refused:
    """The upgrade is answered with an HTTP error."""

    region: str
    status: HTTPStatus
    body: str
    """JSON."""
    shape: Shape = "azure"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of every answer."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The upgrade succeeds, then one `error` event comes, and the close: how OpenAI refuses what a URL asks for."""

    region: str
    code: str
    message: str
    close_code: int = 4000
    shape: Shape = "openai"

    @property
    def close_reason(self) -> str:
        """Reason of the close: the error's type and code."""
        return f"invalid_request_error.{self.code}"


Admission = Admitted | Refused | TurnedAway


def admit(address: Address, keys: Collection[str] = ()) -> Admission:
    """Decide about a handshake; with `keys`, one of them must be shown."""
    return _admit_azure(address, keys) if address.shape == "azure" else _admit_openai(address, keys)


def _admit_azure(address: Address, keys: Collection[str]) -> Admission:
    preview = _AZURE_PREVIEW_PATH.fullmatch(address.path)
    if address.path != _AZURE_GA_PATH and (preview is None or "api-version" not in address.query):
        return refuse(address, HTTPStatus.NOT_FOUND, "404", "Resource not found")
    # The GA path takes no api-version, and says so as it says that a key is wrong.
    if not address.is_let_in(keys) or (preview is None and "api-version" in address.query):
        return refuse(address, HTTPStatus.UNAUTHORIZED, "401", AZURE_DENIED)
    deployment = preview.group("deployment") if preview is not None else None
    model = deployment or address.query.get("deployment") or address.query.get("model") or ""
    transcribes = bool(_NO_REALTIME_MODEL.search(model))
    dialect: Literal["ga", "beta"] = "ga" if preview is None else "beta"
    if address.query.get("intent") == "transcription" and (dialect == "ga" or not transcribes):
        # A realtime deployment in the URL opens the session; the client names what transcribes in it.
        return Admitted(address.region, model if transcribes else "", "azure", dialect, "transcription")
    if transcribes:
        message = "The realtime operation does not work with the specified model."
        return refuse(address, HTTPStatus.BAD_REQUEST, "OpperationNotSupported", message)
    return Admitted(address.region, model or DEFAULT_MODEL, "azure", dialect)


def _admit_openai(address: Address, keys: Collection[str]) -> Admission:
    region, model = address.region, address.query.get("model")
    if not address.path.endswith("/realtime") or address.path.startswith("/openai/"):
        return refuse(address, HTTPStatus.NOT_FOUND, "404", "Resource not found")
    if not address.is_let_in(keys):
        return TurnedAway(region, "invalid_api_key", OPENAI_DENIED, close_code=3000)
    if _asks_for_beta(address):
        message = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
        return TurnedAway(region, "beta_api_shape_disabled", message)
    if address.query.get("intent") == "transcription":
        if model:
            message = "You must not provide a model parameter for transcription sessions."
            return TurnedAway(region, "invalid_model", message)
        return Admitted(region, "", "openai", session_type="transcription")
    if not model:
        message = "You must provide a model parameter, for example wss://api.openai.com/v1/realtime?model="
        return TurnedAway(region, "missing_model", f"{message}{DEFAULT_MODEL}")
    if _NO_REALTIME_MODEL.search(model):
        return TurnedAway(region, "invalid_model", f'Model "{model}" is not supported in realtime mode.')
    return Admitted(region, model, "openai")


def _asks_for_beta(address: Address) -> bool:
    return (
        "api-version" in address.query
        or "realtime=v1" in address.headers.get("openai-beta", "")
        or "openai-beta.realtime-v1" in address.subprotocols
    )


def refuse(
    asked: Address | Admitted, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Refused:
    """Answer a handshake with an HTTP error."""
    body = json.dumps({"error": {"code": code, "message": message}})
    return Refused(asked.region, status, body, asked.shape, headers or {})
