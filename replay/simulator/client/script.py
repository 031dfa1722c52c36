"""The client's side of a scenario file: which sessions are played, step by step, and when.

docs/simulator.md describes every step. `script_client` plays them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from replay.simulator.clips import check_clip
from replay.simulator.protocol.server_events import WIRE_EVENTS, check_event_name
from replay.simulator.quantities import Decibels, NotNegative, Ordinal, Plural, Positive, check_close

CLOSED = "close"
"""What `await` takes for the end of the connection, whoever ends it."""

_AWAITED = (*WIRE_EVENTS, CLOSED)
_ABNORMAL = 1006
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"/[!-~]*")
_HEADER_VALUE = re.compile(r"[\t -~]*")
_Rate = Annotated[int, msgspec.Meta(ge=1000, le=384_000)]

_MANNERS: Mapping[str, frozenset[str]] = {
    "update": frozenset({"dialect"}),
    "speak": frozenset(
        {"from_ms", "ms", "pace", "gain_db", "swap_bytes", "captured_rate", "format", "repeat_every", "skip_every"}
    ),
    "silence_ms": frozenset({"pace"}),
    "noise_dbfs": frozenset({"ms", "pace"}),
    "commit": frozenset(),
    "respond": frozenset(),
    "cancel": frozenset(),
    "send": frozenset(),
    "await": frozenset({"timeout_s", "optional"}),
    "skip_s": frozenset(),
    "stall_s": frozenset(),
    "http": frozenset(),
    "close": frozenset({"reason"}),
}
"""Everything that a step can do, and what may be said beside it."""


class HttpRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plain request, without a WebSocket."""

    path: str
    method: str = "POST"
    json: dict[str, Any] | None = None
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse what no request can hold."""
        if not _TOKEN.fullmatch(self.method):
            raise ValueError(f"{self.method!r} is no HTTP method")
        _check_head(self.path, self.headers)


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the client does, and how."""

    update: dict[str, Any] | None = None
    """The session object of a `session.update`."""
    dialect: Literal["ga", "beta"] | None = None
    """`ga` (where nothing is said) completes the object with `type`, `beta` sends it as it is."""
    speak: str | None = None
    """Name of the clip that is said."""
    from_ms: NotNegative | None = None
    """Where in the clip to begin."""
    ms: NotNegative | None = None
    """How much of the clip, or of noise."""
    silence_ms: NotNegative | None = None
    noise_dbfs: Decibels | None = None
    """Level (RMS) of white noise."""
    pace: Positive | None = None
    """How many times faster than it plays audio is sent."""
    gain_db: Decibels | None = None
    """By how much the clip is made louder; what does not fit is clipped."""
    swap_bytes: Literal[True] | None = None
    """Samples are sent most significant byte first."""
    captured_rate: _Rate | None = None
    """Samples a second of what is sent, whatever the session declares."""
    format: Literal["audio/pcmu", "audio/pcma"] | None = None
    """G.711 is sent, whatever the session declares."""
    repeat_every: Plural | None = None
    """Every such chunk is sent twice."""
    skip_every: Plural | None = None
    """Every such chunk is not sent; its time passes."""
    commit: Literal[True] | None = None
    respond: dict[str, Any] | None = None
    """The `response` of a `response.create`; empty: without one."""
    cancel: Literal[True] | None = None
    send: dict[str, Any] | None = None
    """Any client event."""
    awaited: str | tuple[str, ...] | None = msgspec.field(name="await", default=None)
    """Type of the event to wait for, or several of which one suffices; `close` is the end of the connection."""
    timeout_s: NotNegative | None = None
    optional: bool | None = None
    """Whether the script goes on where what it waits for does not come."""
    skip_s: NotNegative | None = None
    """By how much the clock is moved forward."""
    stall_s: NotNegative | None = None
    """How long the client neither reads nor answers pings."""
    http: HttpRequest | None = None
    close: int | None = None
    """Close code; 1006 drops the TCP connection instead."""
    reason: str | None = None

    def __post_init__(self) -> None:
        """Refuse a step that does nothing, or several things at once, and what does not belong to it."""
        given = {
            name
            for field, name in zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
            if getattr(self, field) is not None
        }
        actions = given & _MANNERS.keys()
        if len(actions) != 1:
            raise ValueError(f"a step does exactly one of {', '.join(_MANNERS)}")
        [action] = actions
        if odd := sorted(given - _MANNERS[action] - actions):
            raise ValueError(f"`{odd[0]}` does not go with `{action}`")
        self._check_values(action)

    def _check_values(self, action: str) -> None:
        if self.speak is not None:
            check_clip(self.speak)
        if action == "noise_dbfs" and self.ms is None:
            raise ValueError("`noise_dbfs` needs `ms`: how long it lasts")
        if self.send is not None and not isinstance(self.send.get("type"), str):
            raise ValueError("`send` takes a client event, with a `type`")
        for name in self.awaited_types:
            check_event_name("await", name, _AWAITED)
        if self.close is not None and self.close != _ABNORMAL:
            check_close(self.close, self.reason or "")

    @property
    def action(self) -> str:
        """What it does, as the file has it: `speak`, `await` and so on."""
        fields = zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
        return next(name for field, name in fields if name in _MANNERS and getattr(self, field) is not None)

    @property
    def awaited_types(self) -> tuple[str, ...]:
        """Types of which `await` takes the first that comes."""
        return (self.awaited,) if isinstance(self.awaited, str) else self.awaited or ()

    @property
    def title(self) -> str:
        """What it does, in a few words, for messages."""
        if self.awaited is not None:
            return f"await {' or '.join(self.awaited_types)}"
        if self.send is not None:
            return f"send {self.send['type']}"
        return self.action


def _ask_and_listen() -> tuple[Step, ...]:
    hears = "conversation.item.input_audio_transcription"
    return (
        Step(update={"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}),
        Step(awaited="session.updated"),
        Step(speak="question_weather"),
        Step(silence_ms=800),
        Step(awaited=(f"{hears}.completed", f"{hears}.failed")),
        Step(awaited="response.done"),
        Step(close=1000),
    )


class ClientSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One connection of the client, or several alike; without steps it asks one question and hears the answer."""

    region: str = "eastus2"
    model: str = "gpt-realtime"
    """On Azure the deployment's name."""
    path: str = "/openai/v1/realtime"
    query: dict[str, str] | None = None
    """Left out: `model` alone."""
    headers: dict[str, str] = {}
    subprotocols: tuple[str, ...] = ()
    count: Ordinal = 1
    """How many times it is played."""
    start_after_s: NotNegative = 0
    """By how much the clock is moved forward before each."""
    steps: tuple[Step, ...] = msgspec.field(default_factory=_ask_and_listen)

    def __post_init__(self) -> None:
        """Refuse what no upgrade can hold."""
        _check_head(self.path, self.headers)
        if "?" in self.path or "#" in self.path:
            raise ValueError("`path` has no query: give that as `query = { … }`")
        for name in self.subprotocols:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is no subprotocol")

    @property
    def has_socket(self) -> bool:
        """Whether it opens a WebSocket: not where all it does are plain requests."""
        return not self.steps or any(step.http is None for step in self.steps)


def _check_head(path: str, headers: Mapping[str, str]) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(f"`path` begins with `/` and has no blanks, and only ASCII, not {path!r}")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"{name!r} is no header that can be sent: take printable ASCII, no blanks in its name")


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the client of a scenario does; the default is one healthy session."""

    sessions: tuple[ClientSession, ...] = (ClientSession(),)
    """Played one after the other."""

    def __post_init__(self) -> None:
        """Refuse a client that does nothing."""
        if not self.sessions:
            raise ValueError("[client] has no sessions: leave the table out for a healthy one")


class ScenarioClock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a scenario takes place."""

    starts_at: str | None = None
    """In ISO 8601 with a time zone, such as `2026-03-02T06:00:00Z`; left out: now."""

    def __post_init__(self) -> None:
        """Refuse what is no time, or a time without its zone."""
        if self.starts_at is not None and datetime.fromisoformat(self.starts_at).tzinfo is None:
            raise ValueError("`starts_at` needs a time zone, such as 2026-03-02T06:00:00Z")

    @property
    def starts_at_ns(self) -> int | None:
        """The start in nanoseconds since 1970."""
        if self.starts_at is None:
            return None
        return round(datetime.fromisoformat(self.starts_at).timestamp() * 1_000_000) * 1000
