"""A scripted client of a pure session, and the oracle that every event it hears must pass."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from capture.audio import PCM16_24K, AudioFormat
from replay.simulator.ids import IdSource
from replay.simulator.protocol.admission import Admitted, SessionType
from replay.simulator.protocol.server_events import WIRE_EVENTS
from replay.simulator.scenario import combine, load_scenario
from replay.simulator.session.session import Close, Drop, Output, Session

Event = dict[str, Any]
Check = Callable[[Event], None]

_SHARED = Path(__file__).parents[4] / "shared"
_SDK_EVENTS: dict[str, TypeAdapter[Any]] = {
    "ga": TypeAdapter(RealtimeServerEvent),
    "beta": TypeAdapter(BetaServerEvent),
}
# On the wire, but not in the SDK's types (protocol section 0.3).
_UNTYPED = {
    "ga": {"session.id", "session.object", "session.expires_at"},
    "beta": {
        "session.id",
        "session.object",
        "session.expires_at",
        "session.client_secret",
        "session.include",
        "session.input_audio_noise_reduction",
    },
}


@cache
def _field_trees(dialect: str) -> dict[str, Any]:
    path = _SHARED / "protocol" / f"events_{dialect}.json"
    if not path.is_file():
        return {}
    trees: dict[str, Any] = json.loads(path.read_text())["server"]
    return trees


def _fits(tree: dict[str, Any], value: object, path: str, untyped: set[str]) -> bool:
    if value is None:
        return bool(tree.get("nullable_or_optional"))
    if "anyOf" in tree:
        return any(_fits(option, value, path, untyped) for option in tree["anyOf"])
    kind = tree["type"]
    if kind == "any":
        return True
    if "enum" in tree:
        return value in tree["enum"]
    if kind == "array":
        return isinstance(value, list) and all(_fits(tree["items"], entry, path, untyped) for entry in value)
    if kind == "object":
        return isinstance(value, dict) and (
            bool(tree.get("additional")) or _fields_fit(tree["fields"], value, path, untyped)
        )
    expected: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    return isinstance(value, expected[kind])


def _fields_fit(fields: dict[str, Any], value: Event, path: str, untyped: set[str]) -> bool:
    known = {f"{path}{name}" for name in fields} | untyped
    return (
        all(f"{path}{name}" in known for name in value)
        and all(name in value for name, field in fields.items() if field["required"])
        and all(
            _fits(fields[name], entry, f"{path}{name}.", untyped) for name, entry in value.items() if name in fields
        )
    )


def _check(event: Event, dialect: str = "ga") -> None:
    if event["type"].startswith("transcription_session."):
        # On the wire `…created` comes too, and over WebSocket the secret that the types require is null.
        secret = {"value": "ek_", "expires_at": 0}
        session = {**event["session"], "client_secret": event["session"]["client_secret"] or secret}
        event = {**event, "type": "transcription_session.updated", "session": session}
    _SDK_EVENTS[dialect].validate_python(event, strict=True)
    trees = _field_trees(dialect)
    if trees:
        fields = trees[event["type"]]["fields"]
        fit = _fields_fit(fields, event, "", _UNTYPED[dialect])
        assert fit, f"{event['type']} has other fields than the protocol: {event}"


@pytest.fixture
def check_event() -> Check:
    """Asserts that an event is what the SDK parses and, strictly, what the protocol's field trees hold."""
    return _check


class Talk:
    """One session and its client; time passes only where the script says so."""

    def __init__(
        self,
        scenario: str = "healthy",
        *,
        region: str = "eastus2",
        model: str = "gpt-realtime",
        seed: int = 0,
        connection: int = 1,
        dialect: Literal["ga", "beta"] = "ga",
        session_type: SessionType = "realtime",
        **settings: Any,
    ) -> None:
        server = msgspec.structs.replace(combine([load_scenario(scenario)]), **settings)
        self.now_ns = 1_700_000_000_000_000_000
        self.closed: Close | Drop | None = None
        self.heard: list[Event] = []
        self._dialect = dialect
        admitted = Admitted(region, model, "azure", dialect, session_type)
        self.session = Session(server, admitted, IdSource(seed, connection), self.now_ns)
        self._hear(self.session.open())

    def send(self, message: Event | str | bytes) -> list[Event]:
        """Send one message; give what is answered at once."""
        encoded = json.dumps(message) if isinstance(message, dict) else message
        return self._hear(self.session.receive(encoded, self.now_ns))

    def ask(self, event_type: str, **fields: Any) -> list[Event]:
        """Send one event."""
        return self.send({"type": event_type, **fields})

    def configure(self, **session: Any) -> list[Event]:
        """Send session.update with these fields."""
        return self.ask("session.update", session={"type": "realtime", **session})

    def refused(self, message: Event | str | bytes) -> Event:
        """Send a message that must be answered with one error event; give its `error`."""
        (event,) = self.send(message)
        assert event["type"] == "error", event
        error: Event = event["error"]
        return error

    def wait(self, ms: float) -> list[Event]:
        """Let time pass; give what happens in it."""
        end_ns = self.now_ns + round(ms * 1e6)
        events: list[Event] = []
        while self.closed is None and self.session.next_due_ns <= end_ns:
            self.now_ns = self.session.next_due_ns
            events += self._hear(self.session.tick(self.now_ns))
        self.now_ns = end_ns
        return events

    def append(self, audio: bytes) -> list[Event]:
        """Send audio as one message."""
        return self.ask("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    def say(self, audio: bytes, audio_format: AudioFormat = PCM16_24K, *, chunk_ms: int = 20) -> list[Event]:
        """Send audio in chunks at real time."""
        events: list[Event] = []
        size = int(chunk_ms * audio_format.bytes_per_ms)
        for start in range(0, len(audio), size):
            events += self.append(audio[start : start + size]) + self.wait(chunk_ms)
        return events

    def _hear(self, outputs: list[Output]) -> list[Event]:
        events = []
        for output in outputs:
            if isinstance(output, Close | Drop):
                self.closed = output
                continue
            _check(output, self._dialect)
            assert output["type"] in WIRE_EVENTS
            events.append(output)
        self.heard += events
        return events


@pytest.fixture
def talk() -> Iterator[Talk]:
    """A client in a healthy session."""
    yield Talk()


@pytest.fixture
def start_talk() -> Callable[..., Talk]:
    """Starts sessions of other scenarios, regions and seeds."""
    return Talk
