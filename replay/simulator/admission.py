"""The handshake: which region and model a connection gets, or how the endpoint turns it away. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DEFAULT_MODEL = "gpt-realtime"

_AZURE_GA_PATH = "/openai/v1/realtime"
_NO_REALTIME_MODEL = re.compile(r"whisper|transcribe|translate|tts|embedding", re.IGNORECASE)
"""Catalogue names that are certainly not realtime models; anything else may be a deployment's name."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The connection gets a session."""

    region: str
    model: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The upgrade is answered with an HTTP error."""

    region: str
    status: HTTPStatus
    body: str
    """JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The upgrade succeeds, then one `error` event comes, and the close: how OpenAI refuses what a URL asks for."""

    region: str
    code: str
    message: str

    @property
    def close_reason(self) -> str:
        """Reason of the close: the error's type and code."""
        return f"invalid_request_error.{self.code}"


Admission = Admitted | Refused | TurnedAway


def admit(path_and_query: str, headers: Mapping[str, str], regions: Sequence[str]) -> Admission:
    """Decide about a handshake. The first path segment picks the region; without one the first region answers.

    No credential is needed. Paths with `/openai/` behave like Azure's, all others like OpenAI's.
    """
    parts = urlsplit(path_and_query)
    query = {name.lower(): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    region, path = _split_region(parts.path, regions)
    if not path.endswith("/realtime"):
        return refuse(region, HTTPStatus.NOT_FOUND, "404", "Resource not found")
    if path == _AZURE_GA_PATH:
        return _admit_azure(region, query)
    return _admit_openai(region, query, headers)


def _split_region(path: str, regions: Sequence[str]) -> tuple[str, str]:
    first, _, rest = path.lstrip("/").partition("/")
    return (first, f"/{rest}") if first in regions else (regions[0], path)


def _admit_azure(region: str, query: Mapping[str, str]) -> Admission:
    if "api-version" in query:
        return refuse(
            region,
            HTTPStatus.UNAUTHORIZED,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. The GA path takes no api-version.",
        )
    model = query.get("model") or query.get("deployment") or DEFAULT_MODEL
    return _admit_model(region, model)


def _admit_openai(region: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Admission:
    if _asks_for_beta(query, headers):
        return TurnedAway(
            region,
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        )
    model = query.get("model")
    if not model:
        return TurnedAway(
            region,
            "missing_model",
            f"You must provide a model parameter, for example wss://api.openai.com/v1/realtime?model={DEFAULT_MODEL}",
        )
    return _admit_model(region, model)


def _asks_for_beta(query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    return (
        "api-version" in query
        or "realtime=v1" in headers.get("OpenAI-Beta", "")
        or "openai-beta.realtime-v1" in headers.get("Sec-WebSocket-Protocol", "")
    )


def _admit_model(region: str, model: str) -> Admission:
    if _NO_REALTIME_MODEL.search(model):
        return refuse(
            region,
            HTTPStatus.BAD_REQUEST,
            "OpperationNotSupported",
            "The realtime operation does not work with the specified model.",
        )
    return Admitted(region, model)


def refuse(
    region: str, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Refused:
    """Make the answer to a handshake that is refused."""
    body: dict[str, Any] = {"error": {"code": code, "message": message}}
    return Refused(region, status, json.dumps(body), headers or {})
