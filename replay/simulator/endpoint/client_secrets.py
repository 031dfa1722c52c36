"""Mint a client secret: `POST …/realtime/client_secrets`, which browsers get their short-lived key from. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from capture.realtime.configuration import get_path
from replay.simulator.clock import NS_PER_S
from replay.simulator.endpoint.plain_http import HttpAnswer, HttpRequest, answer_json
from replay.simulator.ids import IdSource
from replay.simulator.protocol.addresses import Address
from replay.simulator.protocol.admission import AZURE_DENIED, DEFAULT_MODEL, OPENAI_DENIED
from replay.simulator.protocol.configuration import default_session, default_transcription_session, update_session
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.protocol.shapes import Anything, Choice, Nullable, Shape, Table, Whole
from replay.simulator.scenario import Server

_PATHS = ("/v1/realtime/client_secrets", "/openai/v1/realtime/client_secrets")
_DEFAULT_LIFETIME_S = 600
_LIFETIME = Table({"anchor": Choice(("created_at",)), "seconds": Whole(10, 7200)})
_REQUEST: Shape = Table({"session": Nullable(Anything()), "expires_after": Nullable(_LIFETIME)})


def answer_request(request: HttpRequest, address: Address, server: Server, ids: IdSource, now_ns: int) -> HttpAnswer:
    """Answer a plain HTTP request: with a made-up `ek_…` value, or with what is wrong with it."""
    paths = _PATHS[1:] if address.shape == "azure" else _PATHS[:1]
    if address.path not in paths:
        return _refuse(address, 404, "404", "Resource not found")
    if request.method != "POST":
        return _refuse(address, 405, "method_not_allowed", f"Not allowed to {request.method} on {address.path}.")
    if not address.is_let_in(() if server.api_key is None else (server.api_key,)):
        if address.shape == "azure":
            return _refuse(address, 401, "401", AZURE_DENIED)
        return _refuse(address, 401, "invalid_api_key", OPENAI_DENIED)
    try:
        return answer_json(200, _mint(request.body, server, ids, now_ns))
    except ClientMistake as mistake:
        return _refuse(address, 400, mistake.code, mistake.message, mistake.param)


def named_models(body: bytes) -> tuple[str | None, str | None]:
    """Read the realtime and the transcription model that a request names; None where it names none."""
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None, None
    named = (get_path(asked, f"session.{path}") for path in ("model", "audio.input.transcription.model"))
    model, transcription_model = (name if isinstance(name, str) else None for name in named)
    return model, transcription_model


def _mint(body: bytes, server: Server, ids: IdSource, now_ns: int) -> dict[str, Any]:
    asked = _parse(body)
    _REQUEST.check(asked, "")
    wanted = asked.get("session") or {"type": "realtime"}
    lifetime = asked.get("expires_after") or {}
    session_end_s = now_ns // NS_PER_S + round(server.session_max_duration_s)
    if isinstance(wanted, dict) and wanted.get("type") == "transcription":
        session = default_transcription_session(ids.make("sess"), "", session_end_s)
    else:
        model = wanted.get("model") if isinstance(wanted, dict) else None
        session = default_session(ids.make("sess"), model if isinstance(model, str) else DEFAULT_MODEL, session_end_s)
    return {
        "value": ids.make("ek"),
        "expires_at": now_ns // NS_PER_S + lifetime.get("seconds", _DEFAULT_LIFETIME_S),
        "session": update_session(session, wanted, assistant_spoke=False),
    }


def _parse(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        message = "We could not parse the JSON body of your request."
        raise ClientMistake("invalid_json", message) from error


def _refuse(address: Address, status: int, code: str, message: str, param: str | None = None) -> HttpAnswer:
    error: dict[str, str | None] = {"code": code, "message": message}
    if address.shape == "openai" or status == 400:
        error |= {"type": "invalid_request_error", "param": param}
    return answer_json(status, {"error": error})
