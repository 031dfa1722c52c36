"""Other ways to send a recording's appends on time, beside which Wiretape's replays are measured; they record nothing.

`python -m bench.traffic.senders --way WAY --recordings ROOT --session ID --to URL --sessions N --folder FOLDER`.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from bench.traffic.lateness import report
from capture.event_loop import choose_loop
from capture.realtime.answering import UPDATES
from capture.recording.reader import open_recording
from capture.recording.root import Root
from replay.plan import Plan
from replay.planning import make_plan

Steps = Sequence[tuple[int, str]]
"""When each append is due, in nanoseconds from the first, and its text."""
Way = Callable[[ClientConnection, Steps], Awaitable["array[float]"]]
_SLEEP_NS = 1_000_000
"""The pacing thread looks again after so long at most, for a deadline that came meanwhile."""


async def sleep_between(connection: ClientConnection, steps: Steps) -> array[float]:
    """Sleep from one send to the next: what everybody writes first."""
    late_us, begun_ns = array("d"), time.monotonic_ns()
    for (due_ns, text), (next_ns, _) in zip(steps, [*steps[1:], steps[-1]], strict=True):
        late_us.append((time.monotonic_ns() - begun_ns - due_ns) / 1000)
        await connection.send(text)
        await asyncio.sleep((next_ns - due_ns) / 1e9)
    return late_us


async def sleep_until(connection: ClientConnection, steps: Steps) -> array[float]:
    """Sleep until the absolute time of each send, on the loop's own timer."""
    late_us, begun_ns = array("d"), time.monotonic_ns()
    for due_ns, text in steps:
        await asyncio.sleep(max(0.0, (begun_ns + due_ns - time.monotonic_ns()) / 1e9))
        late_us.append((time.monotonic_ns() - begun_ns - due_ns) / 1000)
        await connection.send(text)
    return late_us


class PacingThread:
    """One thread that sleeps until the next deadline of all sessions, and wakes the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    async def send_all(self, connection: ClientConnection, steps: Steps) -> array[float]:
        """Send when the thread says so."""
        late_us, begun_ns = array("d"), time.monotonic_ns()
        for due_ns, text in steps:
            self._count += 1
            met = self._loop.create_future()
            heapq.heappush(self._heap, (begun_ns + due_ns, self._count, met))
            await met
            late_us.append((time.monotonic_ns() - begun_ns - due_ns) / 1000)
            await connection.send(text)
        return late_us

    def close(self) -> None:
        """End the thread."""
        self._ends = True
        self._thread.join()

    def _run(self) -> None:
        while not self._ends:
            now_ns = time.monotonic_ns()
            # The loop may push meanwhile, and each step of heapq is one of the interpreter's.
            while self._heap and self._heap[0][0] <= now_ns:
                self._loop.call_soon_threadsafe(heapq.heappop(self._heap)[2].set_result, None)
            left_ns = self._heap[0][0] - time.monotonic_ns() if self._heap else _SLEEP_NS
            time.sleep(max(0, min(left_ns, _SLEEP_NS)) / 1e9)


async def send(way: str, url: str, plan: Plan, sessions: int) -> list[array[float]]:
    """Send a plan's appends so many times at once."""
    timed = [(step.not_before_ns, str(step.content)) for step in plan.steps]
    steps = [(due_ns, text) for due_ns, text in timed if due_ns is not None]
    [update] = [str(step.content) for step in plan.steps if step.type in UPDATES]
    thread = PacingThread() if way == "thread" else None
    by_name: dict[str, Way] = {"naive": sleep_between, "asyncio": sleep_until, "uvloop": sleep_until}

    async def send_one() -> array[float]:
        async with connect(url, compression=None, proxy=None, ping_interval=None) as connection:
            await connection.recv()
            await connection.send(update)
            await connection.recv()
            return await (thread.send_all if thread else by_name[way])(connection, steps)

    async with asyncio.TaskGroup() as tasks:
        sending = [tasks.create_task(send_one(), name=f"{number}") for number in range(sessions)]
    if thread:
        thread.close()
    return [task.result() for task in sending]


def main() -> None:
    """Send, then tell the parent what it took."""
    options = argparse.ArgumentParser()
    for name in ("--way", "--recordings", "--session", "--to", "--folder"):
        options.add_argument(name, required=True)
    options.add_argument("--sessions", type=int, required=True)
    chosen = options.parse_args()
    plan = make_plan(open_recording(Root(Path(chosen.recordings)), chosen.session).messages())
    on_uvloop = chosen.way in ("uvloop", "thread")
    with asyncio.Runner(loop_factory=choose_loop() if on_uvloop else None) as runner:
        begun_ns = time.process_time_ns()
        sessions = runner.run(send(chosen.way, chosen.to, plan, chosen.sessions))
        report(chosen.folder, sessions, time.process_time_ns() - begun_ns)


if __name__ == "__main__":
    main()
