"""What a recorder knows of a session besides its bytes; written into the journal as JSON records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

import msgspec

Sender = Literal["client", "server"]
Role = Literal["captured", "replayed", "imported"]
TrialKind = Literal["baseline", "variation", "control"]
ClosedBy = Literal["client", "server", "network", "recorder"]


class ReplayFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which trial of which run a replayed session is."""

    run_id: str
    replay_of: str
    cell: str
    trial: int
    block: int = 0
    trial_kind: TrialKind = "variation"
    overrides: str = "{}"
    """JSON object: configuration path -> value put in its place."""
    expected_failure_keys: list[str] = []
    """Failure keys of the replayed recording; sealing derives `trial_outcome` from them."""


class KeepRule(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What sealing keeps of a session; it stands in the journal, so that a recovery keeps the same."""

    keep: Literal["all", "failed", "sample"] = "all"
    """`failed` and `sample` drop sessions that went well, `sample` all but a share of them."""
    sample: float = 1.0
    """Share of the sessions that went well which `sample` keeps, 0 to 1."""
    pre_s: float | None = None
    """Seconds kept before each failure; None, as in `post_s`, keeps sessions whole."""
    post_s: float | None = None


class SessionFacts(msgspec.Struct, kw_only=True, omit_defaults=True, tag="session"):
    """Identity and destination of a session; the first record of its journal."""

    session_id: str
    started_at_us: int | None
    """UTC, microseconds since the epoch; every offset_ns counts from here. None: an imported session's is not known."""
    recorder_id: str = ""
    role: Role = "captured"
    target: str | None = None
    """Name of the target, or its redacted URL."""
    provider: str | None = None
    region: str | None = None
    host: str | None = None
    remote_ip: str | None = None
    url: str | None = None
    """URL asked of the endpoint, redacted."""
    conversation_key: str | None = None
    tags: dict[str, str] = {}
    replay: ReplayFacts | None = None
    keep_rule: KeepRule | None = None
    redact: list[str] = []
    """What else must not be kept, as `--redact` names it."""


class HandshakeRequest(msgspec.Struct, kw_only=True, omit_defaults=True, tag="request"):
    """The HTTP request head that went to the endpoint, redacted."""

    offset_ns: int
    method: str
    path: str
    headers: list[tuple[str, str]]
    remote_ip: str | None = None


class HandshakeResponse(msgspec.Struct, kw_only=True, omit_defaults=True, tag="response"):
    """The HTTP response head that came back, redacted; 101 opens the WebSocket."""

    offset_ns: int
    status: int
    headers: list[tuple[str, str]]
    remote_ip: str | None = None
    redact: list[str] = []
    """What the session's own record says of it, once more: damage to one of them must not uncover everything."""


class Divergence(msgspec.Struct, kw_only=True, omit_defaults=True, tag="divergence"):
    """Where a replay went another way than its recording."""

    offset_ns: int
    step: int
    kind: str
    expected: str
    seen: str
    action: str


class Rewrite(msgspec.Struct, kw_only=True, omit_defaults=True, tag="rewrite"):
    """What a replay changed in a message before it sent it."""

    offset_ns: int
    step: int
    kind: str
    path: str
    before: str
    after: str


class SessionEnd(msgspec.Struct, kw_only=True, omit_defaults=True, tag="end"):
    """How a session ended, and how the recorder itself behaved; the last record of its journal."""

    offset_ns: int
    closed_by: ClosedBy | None = None
    """Who ended the connection; None lets sealing read it off the close frames."""
    end_reason: str | None = None
    close_code: int | None = None
    """What a recorder said that ended the session; what another tool told of an imported one without close frames."""
    close_reason: str | None = None
    relay_lag_p50_us: float | None = None
    relay_lag_p99_us: float | None = None
    relay_lag_max_us: float | None = None
    backpressure_client_ms: float | None = None
    backpressure_server_ms: float | None = None
    buffer_high_water: int | None = None
    pacing_p50_us: float | None = None
    pacing_p99_us: float | None = None
    drift_us: float | None = None
    clock_shift_p50_ms: float | None = None
    clock_shift_max_ms: float | None = None


Fact = SessionFacts | HandshakeRequest | HandshakeResponse | Divergence | Rewrite | SessionEnd

_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)


def encode_fact(fact: Fact) -> bytes:
    """Encode a fact as the JSON of a journal record; lone surrogates, which UTF-8 cannot hold, become `?`."""
    try:
        return msgspec.json.encode(fact)
    except UnicodeEncodeError:
        # A rewrite or a divergence may quote a message that holds one.
        return json.dumps(msgspec.to_builtins(fact), ensure_ascii=False).encode("utf-8", "replace")


def decode_fact(record: bytes) -> Fact:
    """Decode a journal record's JSON.

    Raises `msgspec.DecodeError` where it is no fact of this version.
    """
    return _decoder.decode(record)


def answer_words(status: int, headers: Mapping[str, str]) -> str:
    """Say how an endpoint answered: its status by number and name, and where a redirect leads.

    The names of `headers` are in small letters.
    """
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    named, location = f"HTTP {status} {phrase}".rstrip(), headers.get("location")
    return f"{named}, and sends to {location}" if location and 300 <= status < 400 else named
