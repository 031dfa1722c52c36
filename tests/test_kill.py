"""kill -9 of the real proxy under load: what was forwarded more than 100 ms before is in the recovered recording."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterable

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException

from capture.journal.counters import KILLED
from capture.recording.facts import Sender
from capture.recording.root import Root
from capture.recovery import journals_in_use
from capture.sealing import leftover_journals
from tests.proxy_process import (
    Call,
    CallInProgress,
    Endpoint,
    assert_true,
    calling,
    endpoint,
    eventually,
    proxy_process,
    recorded,
    recordings_by_call,
    run_capture,
)

pytestmark = [
    pytest.mark.slow,
    # A promise in milliseconds: what else runs must not keep the proxy from the processor.
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the sealer's process in /proc"),
]

VOICES = 6
CHUNK_S = 0.02
PROMISE_NS = 100_000_000
SENDERS: tuple[Sender, Sender] = ("client", "server")


class Heartbeat:
    """Notes how late a timer of this machine was lately: what it kept everybody waiting is not the recorder's."""

    def __init__(self) -> None:
        self.late_ns = 0

    async def beat(self) -> None:
        while True:
            due_ns = time.monotonic_ns() + 10_000_000
            await asyncio.sleep(0.01)
            self.late_ns = max(self.late_ns, time.monotonic_ns() - due_ns)

    def owed(self, killed_ns: int) -> int:
        """Tell up to when all that was forwarded must be there after a kill."""
        return killed_ns - PROMISE_NS - self.late_ns


async def speak(origin: str, served: Endpoint, name: str, compression: str | None) -> None:
    """Talk at voice pace, and be answered in bursts, until the line is cut."""
    with contextlib.suppress(WebSocketException, OSError):
        async with calling(origin, served, name, compression=compression) as call, asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(call))
            await talk(call)


async def talk(call: CallInProgress) -> None:
    with contextlib.suppress(ConnectionClosed):
        for number in range(10_000):
            await call.send(answers=10 if number % 10 == 0 else 0)
            await asyncio.sleep(CHUNK_S)


async def flood(origin: str, served: Endpoint, name: str) -> None:
    """Send and be sent megabytes a second, in messages of every size."""
    with contextlib.suppress(WebSocketException, OSError):
        async with calling(origin, served, name) as call:
            for _ in range(10_000):
                await call.say(random.randrange(100_000), answer_bytes=random.randrange(20_000))
                await asyncio.sleep(CHUNK_S / 2)


async def hang_up(origin: str, served: Endpoint, name: str) -> None:
    """Call and be done soon: so the sealer is at work when the kill comes."""
    with contextlib.suppress(WebSocketException, OSError):
        async with calling(origin, served, name) as call:
            for _ in range(5):
                await call.say()


async def listen(call: CallInProgress) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await call.hear()


async def live_and_die(
    root: Root, served: Endpoint, seed: str, lived_s: float, *, least_owed: int = 0, with_writer: bool = False
) -> dict[str, int]:
    """Load a proxy with calls and kill it, alone or with who writes its journals.

    Gives, by call, up to when all that was forwarded must be there: so many messages at least, for which the calls
    live longer on a machine that keeps everybody waiting.
    """
    before = set(served.calls)
    heartbeat = Heartbeat()
    async with proxy_process(root, served.url) as proxy, asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(heartbeat.beat())
        for number in range(VOICES):
            compression = "deflate" if number % 2 else None
            tasks.create_task(speak(proxy.origin, served, f"{seed}-voice-{number}", compression))
        tasks.create_task(flood(proxy.origin, served, f"{seed}-flood"))
        tasks.create_task(hang_up(proxy.origin, served, f"{seed}-short"))
        await asyncio.sleep(lived_s)
        await eventually(
            lambda: owed_in_all(served, heartbeat.owed(time.monotonic_ns()), served.calls.keys() - before) >= least_owed
        )
        killed_ns = await proxy.kill(with_writer=with_writer)
        beating.cancel()
    return dict.fromkeys(served.calls.keys() - before, heartbeat.owed(killed_ns))


def owed_in_all(served: Endpoint, at_ns: int, names: Iterable[str]) -> int:
    return sum(sum(owed_of(served.calls[name], at_ns).values()) for name in names)


def owed_of(call: Call, at_ns: int) -> dict[Sender, int]:
    return {sender: call.forwarded_by(sender, at_ns) for sender in SENDERS}


def assert_promise_kept(root: Root, served: Endpoint, owed_ns: dict[str, int]) -> int:
    """Assert that all owed messages are there, and no wrong one; give how many were owed."""
    found, total = recordings_by_call(root), 0
    for name, at_ns in owed_ns.items():
        call = served.calls[name]
        owed = owed_of(call, at_ns)
        if not any(owed.values()):
            continue
        recording = found[name]
        assert_true(recording, call)
        for sender in SENDERS:
            assert len(recorded(recording, sender)) >= owed[sender], f"{name}: the {sender}'s messages are lost"
        total += sum(owed.values())
    return total


def assert_nothing_is_held(root: Root) -> None:
    assert journals_in_use(root) == []
    assert not list(root.path.rglob(".*"))


@pytest.mark.parametrize("seed", range(4))
async def test_recover_gives_back_what_was_forwarded_before_a_kill(root: Root, seed: int) -> None:
    random.seed(seed)
    async with endpoint() as served:
        lived_s = random.uniform(0.4, 1.2)
        owed_ns = await live_and_die(root, served, str(seed), lived_s, least_owed=100, with_writer=seed % 2 == 1)
        assert journals_in_use(root) == []
        left_behind = leftover_journals(root)
        assert len(left_behind) >= VOICES

        status, stdout, stderr = await run_capture(root, "recover", "--json")
        told = json.loads(stdout)
        assert sorted(one["session_id"] for one in told["recovered"]) == left_behind
        # What came in the last moment before the kill is counted by a page of memory that outlives it.
        is_lossy = any(one["lost_bytes"] for one in told["recovered"])
        assert (status, told["failed"]) == (3 if is_lossy else 0, []), stderr

        assert assert_promise_kept(root, served, owed_ns) > 50
        assert_nothing_is_held(root)
        assert_says_how_it_ended(root, served.calls[f"{seed}-voice-0"])
        assert await run_capture(root, "recover", "--json") == (0, '{\n  "recovered": [],\n  "failed": []\n}\n', "")


def assert_says_how_it_ended(root: Root, call: Call) -> None:
    session = recordings_by_call(root)[call.name].session
    assert (session["closed_by"], session["complete"]) == ("recorder", False)
    assert session["end_reason"].startswith("the recorder died")
    assert (session["outcome"], session["undecodable_bytes"]) == ("incomplete", 0)
    assert {gap["reason"] for gap in session["gaps"]} <= {KILLED}


async def test_each_start_recovers_what_the_last_kill_left_while_it_serves(root: Root) -> None:
    """Ten kills, each of which may hit the recovery from the one before."""
    random.seed(7)
    owed_ns: dict[str, int] = {}
    async with endpoint() as served:
        for kill in range(10):
            owed_ns |= await live_and_die(
                root,
                served,
                f"kill-{kill}",
                random.uniform(0.1, 1.3),
                least_owed=150 if kill % 2 else 0,
                with_writer=kill % 3 == 2,
            )
        async with proxy_process(root, served.url) as proxy, calling(proxy.origin, served, "after") as call:
            # The last start has the leftovers of ten kills to seal, and serves at once.
            await call.say()
            assert call.call.is_unharmed
            assert leftover_journals(root)
            while leftover_journals(root):
                await asyncio.sleep(0.05)
                await call.say()
            assert await proxy.stop() == 0
        assert assert_promise_kept(root, served, owed_ns) > 500
    assert_nothing_is_held(root)
