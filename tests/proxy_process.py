"""The real program as a process of its own, an endpoint that notes what reaches it, and calls between them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from capture.recording.facts import Sender
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.recording.root import Root

T = TypeVar("T")
PROJECT = Path(__file__).parents[1]
SAID, HEARD = "input_audio_buffer.append", "response.output_audio.delta"
FULL_DISK = "File too large"
"""What the system calls a disk that is full by RLIMIT_FSIZE."""


@dataclass
class Call:
    """One call as its two ends saw it: what each sent, and when what arrived at the other (monotonic, ns)."""

    name: str
    sent: dict[Sender, list[str]] = field(default_factory=lambda: {"client": [], "server": []})
    received: dict[Sender, list[str]] = field(default_factory=lambda: {"client": [], "server": []})
    """By who sent it, as it came out at the other end."""
    arrived_ns: dict[Sender, list[int]] = field(default_factory=lambda: {"client": [], "server": []})

    def send(self, sender: Sender, text: str) -> str:
        """Note a message before it is on its way."""
        self.sent[sender].append(text)
        return text

    def arrive(self, sender: Sender, text: str) -> None:
        """Note a message that came out at the other end."""
        self.received[sender].append(text)
        self.arrived_ns[sender].append(time.monotonic_ns())

    def forwarded_by(self, sender: Sender, at_ns: int) -> int:
        """Count the messages that had reached the other end by then."""
        return sum(arrived_ns <= at_ns for arrived_ns in self.arrived_ns[sender])

    @property
    def is_unharmed(self) -> bool:
        """Whether all that either end sent came out at the other."""
        return self.received == self.sent and all(self.sent.values())


class Endpoint:
    """Answers what it is told to answer, and knows every call by the name in its first message."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.url = ""

    async def handle(self, connection: ServerConnection) -> None:
        """Serve one call."""
        call: Call | None = None
        try:
            async for message in connection:
                text = message if isinstance(message, str) else message.decode()
                told = json.loads(text)
                call = call or self.calls[told["name"]]
                call.arrive("client", text)
                for number in range(told["answers"]):
                    await connection.send(call.send("server", event(HEARD, number, told["answer_bytes"])))
        except ConnectionClosed:
            return


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    """Serve an endpoint on loopback."""
    served = Endpoint()
    async with serve(served.handle, "127.0.0.1", 0, max_size=None) as server:
        served.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield served


def event(event_type: str, number: int, audio_bytes: int, **told: Any) -> str:
    """Make an event whose audio nobody can guess."""
    audio = base64.b64encode(random.randbytes(audio_bytes)).decode()
    return json.dumps({"type": event_type, "number": number, **told, "audio": audio})


class CallInProgress:
    """The client's side of a call."""

    def __init__(self, call: Call, connection: ClientConnection) -> None:
        self.call = call
        self._connection = connection
        self._number = 0

    async def say(self, audio_bytes: int = 960, *, answers: int = 1, answer_bytes: int = 2400) -> None:
        """Send one message, and hear all that it is answered."""
        await self.send(audio_bytes, answers=answers, answer_bytes=answer_bytes)
        while len(self.call.received["server"]) < self._answers_due:
            await self.hear()

    async def send(self, audio_bytes: int = 960, *, answers: int = 0, answer_bytes: int = 2400) -> None:
        """Send one message."""
        told = {"name": self.call.name, "answers": answers, "answer_bytes": answer_bytes}
        self._number += 1
        self._answers_due = len(self.call.received["server"]) + answers
        await self._connection.send(self.call.send("client", event(SAID, self._number, audio_bytes, **told)))

    async def hear(self) -> None:
        """Take in one message."""
        message = await self._connection.recv()
        self.call.arrive("server", message if isinstance(message, str) else message.decode())


@asynccontextmanager
async def calling(
    origin: str, served: Endpoint, name: str, *, compression: str | None = None, **options: Any
) -> AsyncIterator[CallInProgress]:
    """Call an endpoint through the proxy at `origin`."""
    call = served.calls[name] = Call(name)
    async with connect(
        f"{origin}/v1/realtime?model=m", max_size=None, compression=compression, **options
    ) as connection:
        yield CallInProgress(call, connection)


class ProxyProcess:
    """`wiretape capture proxy`, as its operator starts it."""

    def __init__(self, process: asyncio.subprocess.Process, origin: str, log: Path) -> None:
        self.process = process
        self.origin = origin
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def said(self) -> str:
        """All it has told its operator so far."""
        return self._log.read_text()

    async def sealer(self) -> int:
        """Wait for the sealer's process; multiprocessing's tracker is no sealer."""
        return (await eventually(lambda: [*filter(_is_sealer, self.descendants())]))[0]

    async def journal_writer(self) -> int:
        """Wait for the process that writes the journals."""
        return (await eventually(lambda: [*filter(_is_journal_writer, self.descendants())]))[0]

    def descendants(self) -> list[int]:
        """Give the processes it has started, by any of its threads."""
        found: list[int] = []
        for children in Path(f"/proc/{self.pid}/task").glob("*/children"):
            found += map(int, children.read_text().split())
        return found

    async def kill(self, *, with_writer: bool = False) -> int:
        """Kill it without a word, and wait until what it started is gone too; give the moment before the kill (ns)."""
        writers = [*filter(_is_journal_writer, self.descendants())] if with_writer else []
        watched = [os.pidfd_open(pid) for pid in self.descendants()]
        at_ns = time.monotonic_ns()
        for writer in writers:
            os.kill(writer, signal.SIGKILL)
        self.process.kill()
        await self.process.wait()
        for descriptor in watched:
            await eventually(partial(_has_ended, descriptor))
            os.close(descriptor)
        return at_ns

    async def says(self, words: str) -> None:
        """Wait until it has said so."""
        await eventually(lambda: words in self.said)

    async def stop(self) -> int:
        """Stop it as its operator does; give its exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            return await self.process.wait()


def _is_sealer(pid: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _is_journal_writer(pid: int) -> bool:
    return b"capture.journal.writer_process" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _has_ended(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


async def eventually(what: Callable[[], T]) -> T:
    """Wait until another process has come so far; give what it then is."""
    async with asyncio.timeout(30):
        while not (found := what()):  # noqa: ASYNC110 - nothing tells when another process comes so far
            await asyncio.sleep(0.01)
    return found


@asynccontextmanager
async def proxy_process(root: Root, to: str, *options: str, **environment: str) -> AsyncIterator[ProxyProcess]:
    """Run the proxy on a free port; leaving the block kills it where it still runs."""
    log = root.path.parent / f"proxy-{time.monotonic_ns()}.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *program("proxy", "--to", to, "--listen", "127.0.0.1:0", *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env=_environment(root) | environment,
            cwd=PROJECT,
        )
    assert process.stdout is not None
    origin = (await process.stdout.readline()).decode().strip()
    assert origin, log.read_text()
    proxy = ProxyProcess(process, origin, log)
    try:
        yield proxy
    finally:
        if process.returncode is None:
            await proxy.kill()
        # What multiprocessing started beside the sealer has the output open a moment longer: left unread, its pipe
        # would be found open when a later test's garbage is collected.
        async with asyncio.timeout(30):
            await process.communicate()


async def run_capture(root: Root, *arguments: str) -> tuple[int, str, str]:
    """Run a command of `wiretape capture`; give its exit status, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *program(*arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(root),
        cwd=PROJECT,
    )
    async with asyncio.timeout(120):
        stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode(), stderr.decode()


def program(*arguments: str) -> list[str]:
    """Give the command line of `wiretape capture ARGUMENTS`."""
    return [sys.executable, "-c", f"from capture.cli import app; app({list(arguments)!r})"]


def _environment(root: Root) -> dict[str, str]:
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"WIRETAPE_RECORDINGS": str(root.path), "PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1"}


def recorded(recording: Recording, sender: Sender) -> list[str | bytes]:
    """Give the events of one sender, as recorded."""
    return [each.content for each in recording.messages() if each.sender == sender and each.kind == "event"]


def recordings_by_call(root: Root) -> dict[str, Recording]:
    """Give a root's recordings by the name in each one's first message; those without a message are left out."""
    found = {}
    for session_id in list_session_ids(root):
        recording = open_recording(root, session_id)
        first = next((each.content for each in recording.messages() if each.kind == "event"), None)
        if first is not None:
            name = json.loads(first)["name"]
            assert name not in found, f"{name} is recorded twice"
            found[name] = recording
    return found


def assert_true(recording: Recording, call: Call) -> None:
    """Assert that every message recorded is one that was sent, at its place: the recording is a prefix."""
    for sender in call.sent:
        events = recorded(recording, sender)
        assert events == call.sent[sender][: len(events)], f"{call.name}: wrong messages of the {sender}"
