"""The promise of the recording: every message that was not redacted comes back byte for byte.

Messages -> frames (by websockets, not by us) -> bytes in pieces of any size -> journal -> Parquet -> messages.
"""

from __future__ import annotations

import base64
import itertools
import json
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from capture.journal import Direction, JournalWriter
from capture.recording.facts import (
    Fact,
    HandshakeRequest,
    HandshakeResponse,
    Sender,
    SessionEnd,
    SessionFacts,
    encode_fact,
)
from capture.recording.reader import open_recording
from capture.recording.root import Root
from capture.redaction import redact_bytes, redact_message
from capture.sealing import SealedSession, seal
from tests.noise import noise

pytestmark = pytest.mark.codec

SESSION_ID = "20260212T083055-4f3a9c12"
STARTED_AT_US = 1_770_885_055_000_000
DIRECTIONS: dict[Sender, Direction] = {"client": Direction.CLIENT, "server": Direction.SERVER}
Seen = tuple[Sender, str, bytes]
"""Sender, kind, content."""


@dataclass(frozen=True)
class Message:
    """One message as its sender has it."""

    sender: Sender
    opcode: Opcode
    content: bytes
    cuts: tuple[float, ...] = ()
    """Where to cut it into fragments, as parts of its length."""
    control_between: bytes | None = None
    """Content of a ping that goes out after its first fragment."""
    compress: bool = True

    @property
    def seen(self) -> Seen:
        return self.sender, _kind(self.opcode, self.content), self.content


@dataclass(frozen=True)
class Script:
    """A session: what was said, how it was compressed, and how the bytes arrived."""

    messages: Sequence[Message]
    extensions: str | None = None
    seed: int = 0
    """Of the sizes of the pieces in which the bytes arrive."""


def _kind(opcode: Opcode, content: bytes) -> str:
    if opcode is not Opcode.TEXT:
        return opcode.name.lower()
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        return "text"
    return "event"


# --- messages -------------------------------------------------------------------------------------------------


def event(sender: Sender, **fields: object) -> Message:
    return Message(sender, Opcode.TEXT, json.dumps(fields).encode())


def append(audio: bytes) -> Message:
    return event("client", type="input_audio_buffer.append", audio=base64.b64encode(audio).decode())


def delta(audio: bytes) -> Message:
    return event("server", type="response.output_audio.delta", item_id="item_1", delta=base64.b64encode(audio).decode())


def set_format(name: str, rate: int) -> Message:
    both = {"format": {"type": name, "rate": rate}}
    return event("client", type="session.update", session={"audio": {"input": both, "output": both}})


def item(audio: Sequence[bytes]) -> Message:
    parts = [{"type": "input_audio", "audio": base64.b64encode(part).decode()} for part in audio]
    return event("server", type="conversation.item.retrieved", item={"id": "item_1", "content": parts})


SENDERS: st.SearchStrategy[Sender] = st.sampled_from(("client", "server"))
# Speech-like: neighbouring samples are alike, so FLAC wins; the rest is noise, where it may not.
WAVES = st.builds(
    lambda count, step: b"".join((n * step % 4001 - 2000).to_bytes(2, "little", signed=True) for n in range(count)),
    st.integers(1, 3000),
    st.integers(0, 90),
)
AUDIO = st.one_of(st.binary(max_size=400), WAVES, st.builds(lambda wave: wave + b"\x7f", WAVES), st.just(b"\0" * 960))
FORMATS = st.tuples(
    st.sampled_from(("audio/pcm", "audio/pcmu", "audio/pcma", "audio/opus")),
    st.sampled_from((1000, 8000, 16000, 24000, 44100, 384_000, 0, -1)),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from(
    (
        "error",
        "response.created",
        "response.done",
        "session.created",
        "session.updated",
        "input_audio_buffer.committed",
        "conversation.item.create",
        "conversation.item.input_audio_transcription.failed",
        "vendor.future_event",
    )
)
EVENT_FIELDS = st.sampled_from(
    ("item", "response", "session", "error", "event_id", "item_id", "content_index", "delta")
)
ODD_TEXTS = st.sampled_from(
    (
        "",
        "{",
        "[]",
        "null",
        '{"type":7}',
        '{"type":"error","error":NaN}',
        '{"type":"error","error":{"message":"\\ud800","code":"\\udc00\\ud800"}}',
        '{"type":"session.created","session":{"id":"\\ud800","model":"\\udfff"}}',
        '{"type":"response.output_audio.delta","content_index":99999999999999999999,"delta":"AAA="}',
        '{"type":"input_audio_buffer.append","audio":"AAAA\\/AAA"}',
        '{"type":"input_audio_buffer.append","audio":"\\u0041AAA"}',
        '{"type":"input_audio_buffer.append","audio":"AA=="}{"type":"error"}',
        '{"type":"input_audio_buffer.append","audio":"AAA"}',
        '{"type":"input_audio_buffer.append","audio":"AAA=="}',
        '{"type":"input_audio_buffer.append","audio":"AB=="}',
        '{"type":"input_audio_buffer.append","audio":"AA\\nAA"}',
        '{"type":"input_audio_buffer.append","audio":"ÄÄÄÄ"}',
        '{"type":"input_audio_buffer.append","audio":""}',
        '{"type":"input_audio_buffer.append","audio":null}',
        '{"type":"input_audio_buffer.append","audio":"type","type":"input_audio_buffer.append"}',
        '{"audio" : "AAAA", "AAAA":"AAAA", "type":"input_audio_buffer.append"}',
        '{"𝄞":"𝄞é","type":"input_audio_buffer.append","audio":"AAAAAAAA"}',
        '\ufeff{"type":"error"}',
        "\0",
        '{"type":"a\\u0000b","event_id":"\\u0000"}',
        "[" * 100_000,
        "1" * 5000,
    )
)


@st.composite
def _events(draw: st.DrawFn) -> Message:
    fields = draw(st.dictionaries(EVENT_FIELDS, TREES, max_size=4))
    return event(draw(SENDERS), **fields | {"type": draw(TYPES)})


def _text(sender: Sender, text: str) -> Message:
    return Message(sender, Opcode.TEXT, text.encode())


MESSAGES = st.one_of(
    st.builds(append, AUDIO),
    st.builds(delta, AUDIO),
    st.builds(item, st.lists(AUDIO, max_size=3)),
    st.builds(lambda chosen: set_format(*chosen), FORMATS),
    _events(),
    st.builds(_text, SENDERS, ODD_TEXTS),
    st.builds(_text, SENDERS, st.text(max_size=100)),
    st.builds(Message, SENDERS, st.just(Opcode.TEXT), st.binary(max_size=100)),
    st.builds(Message, SENDERS, st.just(Opcode.BINARY), st.binary(max_size=5000)),
    st.builds(Message, SENDERS, st.sampled_from((Opcode.PING, Opcode.PONG)), st.binary(max_size=125)),
)
EXTENSIONS = st.sampled_from(
    (
        None,
        "permessage-deflate",
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=12",
    )
)


@st.composite
def _sent(draw: st.DrawFn) -> Message:
    message: Message = draw(MESSAGES)
    if message.opcode in (Opcode.PING, Opcode.PONG):
        return message
    cuts = draw(st.just(()) | st.lists(st.floats(0, 1), max_size=4).map(lambda parts: tuple(sorted(parts))))
    return replace(
        message,
        cuts=cuts,
        control_between=draw(st.none() | st.binary(max_size=5)) if cuts else None,
        compress=draw(st.booleans()),
    )


@st.composite
def _scripts(draw: st.DrawFn) -> Script:
    messages = draw(st.lists(_sent(), max_size=25))
    closes = draw(st.lists(SENDERS, unique=True, max_size=2))
    # Nothing may follow a sender's close frame.
    codes = st.just(b"") | st.builds(
        lambda code, reason: code.to_bytes(2, "big") + reason, st.integers(1000, 4999), st.binary(max_size=50)
    )
    messages += [Message(sender, Opcode.CLOSE, draw(codes)) for sender in closes]
    return Script(messages, draw(EXTENSIONS), draw(st.integers(0, 2**32)))


# --- bytes on the wire ----------------------------------------------------------------------------------------


@dataclass
class Wire:
    """One sender's bytes, and where in them each message ends."""

    sender: Sender
    extensions: Sequence[Extension]
    sent: bytearray = field(default_factory=bytearray)
    ends: deque[tuple[int, Seen]] = field(default_factory=deque)
    arrived: int = 0

    def send(self, message: Message) -> None:
        content, at = message.content, [int(cut * len(message.content)) for cut in message.cuts]
        pieces = [content[start:end] for start, end in zip([0, *at], [*at, len(content)], strict=True)]
        extensions = self.extensions if message.compress else ()
        for number, piece in enumerate(pieces):
            opcode = message.opcode if number == 0 else Opcode.CONT
            self._write(Frame(opcode, piece, fin=number == len(pieces) - 1), extensions)
            if number == 0 and message.control_between is not None:
                self._write(Frame(Opcode.PING, message.control_between), ())
                self.ends.append((len(self.sent), (self.sender, "ping", message.control_between)))
        self.ends.append((len(self.sent), message.seen))

    def take(self, count: int) -> tuple[bytes, list[Seen]]:
        """Give the next bytes that arrive, and the messages that end in them."""
        chunk = bytes(self.sent[self.arrived : self.arrived + count])
        self.arrived += len(chunk)
        completed = []
        while self.ends and self.ends[0][0] <= self.arrived:
            completed.append(self.ends.popleft()[1])
        return chunk, completed

    def _write(self, frame: Frame, extensions: Sequence[Extension]) -> None:
        self.sent += frame.serialize(mask=self.sender == "client", extensions=extensions)


def _deflate(sender: Sender, extensions: str | None) -> list[Extension]:
    if extensions is None:
        return []
    bits = 15
    for parameter in extensions.split("; "):
        if parameter.startswith(f"{sender}_max_window_bits="):
            bits = int(parameter.partition("=")[2])
    no_takeover = f"{sender}_no_context_takeover" in extensions
    return [PerMessageDeflate(no_takeover, no_takeover, bits, bits)]


def record(script: Script, root: Root) -> list[Seen]:
    """Write the journal of a session that goes by the script; return its messages in the order they ended."""
    wires = {sender: Wire(sender, _deflate(sender, script.extensions)) for sender in DIRECTIONS}
    journals = JournalWriter(root.journal, tick_s=0.001, buffer_limit_bytes=1 << 30)
    journal = journals.open(SESSION_ID)
    headers = [("Sec-WebSocket-Extensions", script.extensions)] if script.extensions else []
    opening: list[Fact] = [
        SessionFacts(session_id=SESSION_ID, started_at_us=STARTED_AT_US),
        HandshakeRequest(offset_ns=0, method="GET", path="/v1/realtime", headers=[("Upgrade", "websocket")]),
        HandshakeResponse(offset_ns=0, status=101, headers=headers),
    ]
    for fact in opening:
        journal.append(Direction.FACT, 0, encode_fact(fact))
    seen: list[Seen] = []
    random = Random(script.seed)
    # Each sender's bytes wait until a few messages share a chunk, or leave at once, or in pieces.
    for number, message in enumerate([*script.messages, None]):
        if message is not None:
            wires[message.sender].send(message)
        for wire in wires.values():
            while wire.arrived < len(wire.sent) and (message is None or random.random() < 0.7):
                limit = random.choice((1, 7, 1000, 1 << 16, 1 << 25))
                chunk, completed = wire.take(random.randint(1, limit))
                journal.append(DIRECTIONS[wire.sender], 1000 * number, chunk)
                seen += completed
    journal.append(Direction.FACT, 10**9, encode_fact(SessionEnd(offset_ns=10**9)))
    journal.close()
    journals.close()
    return seen


def restore(root: Root) -> list[Seen]:
    """Read the recording's messages."""
    return [
        (
            message.sender,
            message.kind,
            message.content if isinstance(message.content, bytes) else message.content.encode(),
        )
        for message in open_recording(root, SESSION_ID).messages()
    ]


def without_secrets(seen: Seen) -> Seen:
    """Take out of a message what redaction is told to, by its own account."""
    sender, kind, content = seen
    try:
        text = redact_message(content.decode())
    except UnicodeDecodeError:
        redacted = redact_bytes(content)
    else:
        redacted = text.encode() if text is not None else None
    assert redacted is not None
    return sender, kind, redacted


# --- the promise ----------------------------------------------------------------------------------------------


def assert_comes_back(script: Script) -> SealedSession:
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        seen = record(script, root)
        sealed = seal(root.path, SESSION_ID)
        restored = restore(root)
        messages = list(open_recording(root, SESSION_ID).messages())
        assert list(root.journal.iterdir()) == []
    # Random text may look like a key.
    expected = [without_secrets(one) if m.redacted else one for one, m in zip(seen, messages, strict=True)]
    assert restored == expected
    assert [message.seq for message in messages] == list(range(len(seen)))
    assert sealed.complete
    return sealed


# Hypothesis says so where it prints a failing example; that is when one is glad of it.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(script=_scripts())
@example(Script([]))
@example(Script([append(b"\x01"), append(b"\x02\x03"), set_format("audio/pcmu", 8000), append(b"\x7f" * 3)]))
@example(Script([Message("server", Opcode.TEXT, b'"""APIKey":\x00')]))
@example(Script([Message("server", Opcode.CLOSE, b""), append(b"\0\0"), Message("client", Opcode.CLOSE, b"\x03\xe8")]))
def test_every_message_comes_back_byte_for_byte(script: Script) -> None:
    assert_comes_back(script)


@pytest.mark.parametrize(
    ("size", "extensions"),
    [
        *itertools.product([1, 125, 126, 65_535, 65_536, 1 << 20], [None, "permessage-deflate"]),
        (17 << 20, "permessage-deflate"),
    ],
)
def test_messages_of_any_size_come_back(size: int, extensions: str | None) -> None:
    content = noise(size, seed=size)
    sealed = assert_comes_back(
        Script(
            [
                append(content),
                Message("server", Opcode.BINARY, content, cuts=(0.3, 0.9), control_between=b"still there?"),
                Message("client", Opcode.TEXT, b'"' + b"x" * size + b'"'),
                delta(content[: size // 2]),
            ],
            extensions,
        )
    )
    assert sealed.events_sent == 2


def test_thousands_of_messages_come_back_across_row_groups_and_blocks() -> None:
    random = Random(1)
    chunks = [random.randbytes(random.choice((960, 961, 1920))) for _ in range(4000)]
    messages = [make(chunk) for chunk in chunks for make in (append, delta)]
    sealed = assert_comes_back(Script(messages, "permessage-deflate", seed=2))
    assert sealed.events_sent == sealed.events_received == 4000
