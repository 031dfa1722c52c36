from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from typer.testing import CliRunner
from websockets.frames import Frame, Opcode

from capture.journal import Direction, JournalWriter
from capture.recorder import Recorder
from capture.recording.facts import (
    Fact,
    HandshakeRequest,
    HandshakeResponse,
    Sender,
    SessionEnd,
    SessionFacts,
    encode_fact,
)
from capture.recording.root import Root
from capture.sealing import Sealer

SESSION_ID = "20260212T083055-4f3a9c12"
STARTED_AT_US = 1_770_885_055_000_000  # 2026-02-12 08:30:55 UTC
CHUNK_NS = 20_000_000

ON_BOTH_LOOPS = frozenset(
    {
        "test_certificate_renewal",
        "test_event_loop",
        "test_proxy",
        "test_relay",
        "test_splice",
        "test_tls",
        "test_tls_accept",
        "test_upstream",
    }
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what carries calls on uvloop too, where it is installed; everything else on asyncio's own loop."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.stem in ON_BOTH_LOOPS and importlib.util.find_spec("uvloop"):
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture
def recorder(root: Root) -> Iterator[Recorder]:
    """Give a recorder that seals in a thread: starting a process takes longer than all else in most tests."""
    with Recorder(root, sealer=Sealer(root, in_process=True)) as running:
        yield running


@pytest.fixture
def write_journal(root: Root) -> Callable[..., str]:
    """Give `write_session_journal` for this test's root."""
    return partial(write_session_journal, root)


def write_session_journal(
    root: Root,
    said: Sequence[tuple[Sender, str | bytes]] = (),
    *,
    at_ns: Sequence[int] | None = None,
    session_id: str = SESSION_ID,
    status: int = 101,
    end: SessionEnd | None = None,
    **facts_of_session: Any,
) -> str:
    """Write a journal as a recorder would.

    It takes (sender, text of a message, or bytes as they go over the wire) pairs, 20 ms apart where `at_ns` does not
    say when.
    """
    facts: list[Fact] = [
        SessionFacts(
            session_id=session_id,
            started_at_us=STARTED_AT_US,
            url="wss://example.azure.com/openai/v1/realtime",
            **facts_of_session,
        ),
        HandshakeRequest(offset_ns=0, method="GET", path="/openai/v1/realtime", headers=[("Upgrade", "websocket")]),
        HandshakeResponse(offset_ns=0, status=status, headers=[("x-ms-region", "East US 2")]),
    ]
    offsets_ns = [number * CHUNK_NS for number in range(len(said))] if at_ns is None else at_ns
    ended_ns = len(said) * CHUNK_NS if at_ns is None else at_ns[-1]
    writer = JournalWriter(root.journal, tick_s=0.001)
    journal = writer.open(session_id)
    for fact in facts:
        journal.append(Direction.FACT, 0, encode_fact(fact))
    for offset_ns, (sender, content) in zip(offsets_ns, said, strict=True):
        direction = Direction.CLIENT if sender == "client" else Direction.SERVER
        on_wire = content if isinstance(content, bytes) else _frame(sender, content)
        journal.append(direction, offset_ns, on_wire)
    journal.append(Direction.FACT, ended_ns, encode_fact(end or SessionEnd(offset_ns=ended_ns, closed_by="client")))
    journal.close()
    writer.close()
    return session_id


def _frame(sender: Sender, text: str) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=sender == "client")


@pytest.fixture
def run(root: Root, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(root.path))
    # What a terminal would be told in colour is not the matter here.
    monkeypatch.setenv("NO_COLOR", "1")
    return CliRunner()
