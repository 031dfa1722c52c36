"""Everything that can go wrong around a recorder: the call goes on unharmed, what is lost is counted and said,
no recording holds a wrong message, and the next start mends what can be mended."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import capture.recorder
from capture.clock import NS_PER_S, Clock
from capture.journal import JournalWriter
from capture.journal.shared_memory import names_for
from capture.journal.spool import open_spool
from capture.live import LiveJournals
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.facts import Sender
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.recording.root import Root
from capture.recovery import quarantined
from capture.sealing import Sealer, leftover_journals, seal
from capture.targets import Target
from tests.proxy_process import (
    FULL_DISK,
    PROJECT,
    Call,
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

SENDERS: tuple[Sender, Sender] = ("client", "server")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc and sets their limits")


def assert_holds_nothing_wrong(recording: Recording, call: Call) -> None:
    """Assert that what is recorded was sent, in this order: messages may be missing, none is wrong."""
    for sender in SENDERS:
        sent: Iterator[str | bytes] = iter(call.sent[sender])
        assert all(event in sent for event in recorded(recording, sender)), f"a wrong message of the {sender}"


def assert_holds_everything(recording: Recording, call: Call) -> None:
    for sender in SENDERS:
        assert recorded(recording, sender) == call.sent[sender]
    assert (recording.session["complete"], recording.session["outcome"]) == (True, "ok")


def assert_loss_is_counted(recording: Recording) -> None:
    session = recording.session
    assert session["lost_bytes"] > 0
    assert session["gaps"]
    assert (session["complete"], session["outcome"]) == (False, "incomplete")


@asynccontextmanager
async def proxy_here(root: Root, served: Endpoint, clock: Clock | None = None) -> AsyncIterator[str]:
    """Serve the proxy in this process; leaving the block seals all sessions."""
    with Recorder(root, sealer=Sealer(root, in_process=True), clock=clock) as recorder:
        async with serve_proxy(Target("endpoint", served.url), recorder, listen="127.0.0.1:0") as origin:
            yield origin


# --- the disk is full -----------------------------------------------------------------------------------------


def allow_file_bytes(pid: int, limit_bytes: int) -> None:
    """Let a process's files grow to this size; -1: as they like."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if limit_bytes < 0 else limit_bytes, hard))


@on_linux
@pytest.mark.slow
async def test_a_disk_that_is_full_for_a_while_costs_what_came_meanwhile(root: Root) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        async with calling(proxy.origin, served, "call") as call:
            await call.say()
            await eventually(lambda: [each.events for each in LiveJournals(root).refresh()] == [2])
            writer = await proxy.journal_writer()
            allow_file_bytes(writer, 20_000)
            for _ in range(20):
                await call.say()
            await proxy.says(f"recording falters, the call goes on: {FULL_DISK}")
            await call.say()
            allow_file_bytes(writer, -1)
            await call.say()
        assert call.call.is_unharmed
        assert await proxy.stop() == 0
        recording = recordings_by_call(root)["call"]
        assert_holds_nothing_wrong(recording, call.call)
        assert_loss_is_counted(recording)
        assert f"bytes were not recorded: {FULL_DISK}" in proxy.said


@on_linux
@pytest.mark.slow
async def test_a_disk_that_stays_full_is_counted_in_the_recording_too(root: Root) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        async with calling(proxy.origin, served, "call") as call:
            await call.say()
            await eventually(lambda: [each.events for each in LiveJournals(root).refresh()] == [2])
            [journal] = root.journal.glob("*.journal")
            writer = await proxy.journal_writer()
            allow_file_bytes(writer, journal.stat().st_size)
            for _ in range(20):
                await call.say()
        assert call.call.is_unharmed
        await proxy.says(f"bytes were not recorded: {FULL_DISK}")
        allow_file_bytes(writer, -1)
        assert await proxy.stop() == 0
    await run_capture(root, "recover")
    recording = recordings_by_call(root)["call"]
    assert_holds_nothing_wrong(recording, call.call)
    assert_loss_is_counted(recording)


@pytest.fixture
def small_disk(root: Root) -> Iterator[Path]:
    """Give a disk of 16 MB, mounted where the root will be."""
    root.path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(root.path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield root.path
    subprocess.run(["umount", "--lazy", str(root.path)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    return ballast


async def start_sealer(root: Root, origin: str, served: Endpoint) -> None:
    """Have one short session sealed: its sealer's process then waits for the next."""
    async with calling(origin, served, "first") as call:
        await call.say()
    await eventually(lambda: "first" in recordings_by_call(root) and not list(root.journal.glob("*.journal")))


@on_linux
@pytest.mark.slow
async def test_a_disk_that_is_full_at_sealing_keeps_the_journal_for_recover(root: Root, small_disk: Path) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        await start_sealer(root, proxy.origin, served)
        sealer = await proxy.sealer()
        os.kill(sealer, signal.SIGSTOP)
        async with calling(proxy.origin, served, "call") as call:
            await call.say(200_000)
        await eventually(lambda: leftover_journals(root))
        ballast = fill(small_disk)
        os.kill(sealer, signal.SIGCONT)
        await proxy.says("No space left on device; its journal is kept in")
        ballast.unlink()
        assert not list(root.path.rglob(".*")), "half a table must not fill a full disk"
        assert await proxy.stop() == 0
    status, stdout, _ = await run_capture(root, "recover")
    assert (status, stdout.count("\n")) == (0, 1)
    assert_holds_everything(recordings_by_call(root)["call"], call.call)


# --- the disk is slow -----------------------------------------------------------------------------------------


class Disk:
    """Stands between the journal and the real `os.writev`."""

    def __init__(self) -> None:
        self._writev = os.writev
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.is_waiting = threading.Event()

    def writev(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        if not self.goes_on.is_set():
            self.is_waiting.set()
        assert self.goes_on.wait(60)
        return self._writev(descriptor, buffers)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(os, "writev", disk.writev)
    yield disk
    disk.goes_on.set()


def limit_buffer(monkeypatch: pytest.MonkeyPatch, limit_bytes: int) -> None:
    monkeypatch.setattr(capture.recorder, "JournalWriter", partial(JournalWriter, buffer_limit_bytes=limit_bytes))


async def call_on_a_stalled_disk(origin: str, served: Endpoint, disk: Disk, **options: Any) -> Call:
    """Call while the disk writes, stalls and writes again."""
    async with calling(origin, served, "call", **options) as call:
        await call.say()
        disk.goes_on.clear()
        await call.say()
        await asyncio.to_thread(disk.is_waiting.wait)
        for _ in range(30):
            # Each is heard before the next is said: the call goes on while the disk stands still.
            await call.say()
        assert not disk.goes_on.is_set()
        assert call.call.is_unharmed
        disk.goes_on.set()
        for _ in range(5):
            await asyncio.sleep(0.05)
            await call.say()
    return call.call


async def test_a_slow_disk_delays_no_call_and_loses_nothing_while_the_buffer_lasts(root: Root, disk: Disk) -> None:
    async with endpoint() as served, proxy_here(root, served) as origin:
        call = await call_on_a_stalled_disk(origin, served, disk)
    assert call.is_unharmed
    assert_holds_everything(recordings_by_call(root)["call"], call)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_disk_too_slow_for_the_buffer_costs_recording_and_no_call(
    root: Root,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    compression: str | None,
) -> None:
    limit_buffer(monkeypatch, 20_000)
    async with endpoint() as served:
        with caplog.at_level(logging.WARNING):
            async with proxy_here(root, served) as origin:
                call = await call_on_a_stalled_disk(origin, served, disk, compression=compression)
    assert call.is_unharmed
    recording = recordings_by_call(root)["call"]
    assert_holds_nothing_wrong(recording, call)
    assert_loss_is_counted(recording)
    assert "the buffer was full: the disk was too slow" in caplog.text
    assert sum(gap["bytes"] for gap in recording.session["gaps"]) <= recording.session["lost_bytes"]


@on_linux
@pytest.mark.slow
async def test_a_writer_that_stands_still_or_dies_costs_no_call_and_no_recording(root: Root) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        async with calling(proxy.origin, served, "call") as call:
            for signal_number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP, signal.SIGKILL):
                await call.say()
                os.kill(await proxy.journal_writer(), signal_number)
                await call.say()
                await asyncio.sleep(0.1)
            await proxy.says("the process that writes the journals died (-9): it is replaced")
            await call.say()
        assert await proxy.stop() == 0
    assert_holds_everything(recordings_by_call(root)["call"], call.call)


# --- a gap in a stream ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes_context", [None, False], ids=["plain", "deflate without context"])
async def test_behind_a_gap_messages_that_need_no_context_are_decoded_again(
    root: Root, disk: Disk, monkeypatch: pytest.MonkeyPatch, takes_context: bool | None
) -> None:
    limit_buffer(monkeypatch, 20_000)
    factory = ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    extensions = None if takes_context is None else [factory]
    async with endpoint() as served, proxy_here(root, served) as origin:
        call = await call_on_a_stalled_disk(origin, served, disk, extensions=extensions)
    recording = recordings_by_call(root)["call"]
    assert_loss_is_counted(recording)
    for sender in SENDERS:
        events = recorded(recording, sender)
        assert call.sent[sender][0] == events[0]
        assert call.sent[sender][-1] == events[-1]


async def test_behind_a_gap_messages_that_need_the_lost_context_stay_compressed(
    root: Root, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_buffer(monkeypatch, 20_000)
    async with endpoint() as served, proxy_here(root, served) as origin:
        call = await call_on_a_stalled_disk(origin, served, disk, compression="deflate")
    recording = recordings_by_call(root)["call"]
    assert_true(recording, call)
    raw = [each for each in recording.messages() if each.kind == "raw"]
    assert {each.sender for each in raw} == {"client", "server"}
    assert recording.session["undecodable_bytes"] == sum(len(each.content) for each in raw)


# --- the root goes away ---------------------------------------------------------------------------------------


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("removed", ["journal", "."])
async def test_a_folder_removed_under_a_call_costs_this_recording_and_not_the_next(root: Root, removed: str) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        async with calling(proxy.origin, served, "call") as call:
            await call.say()
            await eventually(lambda: list(root.journal.glob("*.journal")))
            shutil.rmtree(root.path / removed)
            await call.say()
        assert call.call.is_unharmed
        await proxy.says("bytes were not recorded: the journal was removed")
        await proxy.says("could not be sealed: it has no journal")
        async with calling(proxy.origin, served, "next") as following:
            await following.say()
        assert await proxy.stop() == 0
    assert_holds_everything(recordings_by_call(root)["next"], following.call)


@on_linux
@pytest.mark.slow
async def test_a_root_that_can_no_longer_be_written_costs_no_call_and_is_mended_by_the_next_start(root: Root) -> None:
    """A file stands where the root was: this stops the superuser too, whom permissions and read-only bits do not."""
    aside = root.path.with_name("aside")
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        async with calling(proxy.origin, served, "before") as call:
            await call.say()
            await eventually(lambda: list(root.journal.glob("*.journal")))
            root.path.rename(aside)
            root.path.touch()
            await call.say()
            async with calling(proxy.origin, served, "meanwhile") as meanwhile:
                await meanwhile.say()
            await proxy.says("bytes were not recorded: ")
        assert call.call.is_unharmed
        assert meanwhile.call.is_unharmed
        await proxy.says("could not be sealed")
        root.path.unlink()
        aside.rename(root.path)
        assert await proxy.stop() == 0
        async with proxy_process(root, served.url) as again:
            await eventually(lambda: not list(root.journal.glob("*.journal")))
            assert await again.stop() == 0
    assert_holds_everything(recordings_by_call(root)["before"], call.call)


def set_immutable(folder: Path, change: str) -> bool:
    """Set or take away the attribute that stops even the superuser; False where that cannot be done."""
    if shutil.which("chattr") is None:
        return False
    return subprocess.run(["chattr", change, folder], capture_output=True, check=False).returncode == 0


def has_tried_to_write_all(root: Root) -> bool:
    """Tell whether all that was taken has left the spool."""
    [path] = names_for(root.journal, "spool")
    spool = open_spool(path)
    is_tried = spool.backlog_bytes == 0
    spool.close()
    return is_tried


@on_linux
@pytest.mark.slow
async def test_a_journal_folder_that_becomes_immutable_costs_no_call(root: Root) -> None:
    root.journal.mkdir(parents=True)
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        if not set_immutable(root.journal, "+i"):
            pytest.skip("nothing can be made immutable here")
        try:
            async with calling(proxy.origin, served, "call") as call:
                await call.say()
                await proxy.says("recording falters, the call goes on: Operation not permitted")
                await call.say()
                # Facts are tried again; what was said is lost once it was tried.
                await eventually(lambda: has_tried_to_write_all(root))
                assert set_immutable(root.journal, "-i")
                await call.say()
        finally:
            set_immutable(root.journal, "-i")
        assert call.call.is_unharmed
        assert await proxy.stop() == 0
    [session_id] = list_session_ids(root)
    assert_loss_is_counted(open_recording(root, session_id))


# --- the sealer -----------------------------------------------------------------------------------------------


@on_linux
@pytest.mark.slow
async def test_no_signal_to_the_sealer_delays_a_call(root: Root) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        await start_sealer(root, proxy.origin, served)
        sealer = await proxy.sealer()
        os.kill(sealer, signal.SIGSTOP)
        async with calling(proxy.origin, served, "stopped") as call:
            await call.say()
        async with calling(proxy.origin, served, "after it") as following:
            # What a service manager sends to every process of a service.
            os.kill(sealer, signal.SIGTERM)
            os.kill(sealer, signal.SIGINT)
            await following.say()
            assert list_session_ids(root) == [recordings_by_call(root)["first"].session_id]
            os.kill(sealer, signal.SIGCONT)
            await eventually(lambda: "stopped" in recordings_by_call(root))
            assert await proxy.sealer() == sealer, "it is deaf to both"
        assert await proxy.stop() == 0
    found = recordings_by_call(root)
    assert_holds_everything(found["stopped"], call.call)
    assert_holds_everything(found["after it"], following.call)


@on_linux
@pytest.mark.slow
async def test_a_sealer_that_is_killed_at_its_work_is_replaced(root: Root) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as proxy:
        await start_sealer(root, proxy.origin, served)
        sealer = await proxy.sealer()
        os.kill(sealer, signal.SIGSTOP)
        async with calling(proxy.origin, served, "call") as call:
            await call.say()
        await eventually(lambda: leftover_journals(root))
        os.kill(sealer, signal.SIGKILL)
        await eventually(lambda: "call" in recordings_by_call(root))
        assert await proxy.stop() == 0
        assert "failed (attempt 1)" in proxy.said
    assert_holds_everything(recordings_by_call(root)["call"], call.call)


# Python runs sitecustomize in every process it starts: so one session can be made to kill whoever seals it.
POISONOUS = """
    import os
    from pathlib import Path
    import capture.sealing

    harmless = capture.sealing._write_recording

    def write_recording(root, session_id, journal):
        if session_id in Path(os.environ["POISONED"]).read_text():
            os._exit(1)
        return harmless(root, session_id, journal)

    capture.sealing._write_recording = write_recording
"""


@on_linux
@pytest.mark.slow
async def test_a_session_that_kills_its_sealer_twice_is_put_aside_and_the_others_are_sealed(root: Root) -> None:
    hooks, poisoned = root.path.parent / "hooks", root.path.parent / "poisoned"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(textwrap.dedent(POISONOUS))
    poisoned.touch()
    environment = {"PYTHONPATH": f"{hooks}{os.pathsep}{PROJECT}", "POISONED": str(poisoned)}
    async with endpoint() as served, proxy_process(root, served.url, **environment) as proxy:
        async with calling(proxy.origin, served, "poisonous") as call:
            await call.say()
            [journal] = await eventually(lambda: list(root.journal.glob("*.journal")))
            poisoned.write_text(journal.stem)
        async with calling(proxy.origin, served, "harmless") as harmless:
            await harmless.say()
        await proxy.says(f"session {journal.stem} could not be sealed: the sealer died, twice; its journal is kept in")
        await eventually(lambda: "harmless" in recordings_by_call(root))
        assert await proxy.stop() == 0
    assert call.call.is_unharmed
    assert_holds_everything(recordings_by_call(root)["harmless"], harmless.call)

    assert quarantined(root) == [root.quarantine / journal.name]
    status, stdout, stderr = await run_capture(root, "recover")
    assert (status, stdout) == (0, "")
    assert "in quarantine: 1" in stderr
    assert f"move them from {root.quarantine} to {root.journal}" in " ".join(stderr.split())
    (root.quarantine / journal.name).rename(journal)
    assert (await run_capture(root, "recover"))[:2] == (0, f"{journal.stem}\n")
    assert_holds_everything(recordings_by_call(root)["poisonous"], call.call)


# --- two at once ----------------------------------------------------------------------------------------------


@on_linux
@pytest.mark.slow
async def test_two_proxies_and_a_recovery_on_one_root_leave_each_other_alone(root: Root) -> None:
    async with endpoint() as served, proxy_process(root, served.url) as one:
        async with calling(one.origin, served, "one") as call:
            await call.say()
            [journal] = await eventually(lambda: list(root.journal.glob("*.journal")))
            async with (
                proxy_process(root, served.url, "--drain", "0") as other,
                calling(other.origin, served, "other") as second,
            ):
                await second.say()
                await eventually(lambda: [each.events for each in LiveJournals(root).refresh()] == [2, 2])
                listed = await run_capture(root, "list")
                assert [line.split("  ")[3].split(" · ")[0] for line in listed[1].splitlines()] == ["live", "live"]
                status, stdout, stderr = await run_capture(root, "recover")
                assert (status, stdout) == (0, "")
                assert "left alone: 2" in stderr
                await second.say()
                assert await other.stop() == 0
                assert journal.stem not in other.said
            assert journal.exists()
            await call.say()
        assert await one.stop() == 0
        assert "left behind" not in one.said + other.said
    found = recordings_by_call(root)
    assert_holds_everything(found["one"], call.call)
    assert_true(found["other"], second.call)
    assert len(found) == len(list_session_ids(root)) == 2


# --- a damaged journal ----------------------------------------------------------------------------------------


async def journal_of_a_call(root: Root, served: Endpoint, compression: str | None) -> tuple[Call, bytes, str]:
    """Give a call, the journal that a proxy wrote of it, and the session's id."""
    async with proxy_here(root, served) as origin, calling(origin, served, "call", compression=compression) as call:
        for _ in range(10):
            await call.say(300, answer_bytes=300)
        await eventually(lambda: [each.events for each in LiveJournals(root).refresh()] == [20])
        [path] = root.journal.glob("*.journal")
        content = path.read_bytes()
    return call.call, content, path.stem


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_journal_torn_anywhere_gives_back_what_stands_before(
    tmp_path: Path, root: Root, compression: str | None
) -> None:
    async with endpoint() as served:
        call, content, session_id = await journal_of_a_call(root, served, compression)
    seeded = random.Random(1)
    for number in range(25):
        torn = Root(tmp_path / f"torn-{number}")
        torn.journal.mkdir(parents=True)
        cut = seeded.randrange(len(content))
        torn.journal_of(session_id).write_bytes(content[:cut])
        sealed = seal(torn.path, session_id)
        recording = open_recording(torn, session_id)
        assert_true(recording, call)
        assert sum(len(recorded(recording, sender)) for sender in SENDERS) >= 20 * cut // len(content) - 4
        assert (sealed.complete, sealed.has_loss, sealed.outcome) == (False, False, "incomplete")


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_journal_with_flipped_bits_gives_back_nothing_wrong_and_counts_the_loss(
    tmp_path: Path, root: Root, compression: str | None
) -> None:
    async with endpoint() as served:
        call, content, session_id = await journal_of_a_call(root, served, compression)
    seeded = random.Random(2)
    for number in range(25):
        flipped = Root(tmp_path / f"flipped-{number}")
        flipped.journal.mkdir(parents=True)
        damaged = bytearray(content)
        # Behind the file's head and before the last record: damage there is a torn end.
        for _ in range(seeded.choice([1, 1, 3])):
            damaged[seeded.randrange(12, len(content) - 800)] ^= 1 << seeded.randrange(8)
        flipped.journal_of(session_id).write_bytes(damaged)
        [live] = LiveJournals(flipped).refresh()
        assert live.events <= 20
        sealed = seal(flipped.path, session_id)
        assert_holds_nothing_wrong(open_recording(flipped, session_id), call)
        assert sealed.has_loss
        assert sealed.damages
        assert not sealed.complete


# --- the clock ------------------------------------------------------------------------------------------------


async def test_a_clock_that_steps_back_costs_no_recording(root: Root) -> None:
    told: list[datetime] = []

    class SteppingClock:
        """Steps back an hour with every second reading, and stands still in between."""

        monotonic_ns = staticmethod(time.monotonic_ns)

        def now_ns(self) -> int:
            told.append(datetime(2026, 10, 25, 2, 59, 59, tzinfo=UTC) - timedelta(hours=len(told) // 2))
            return int(told[-1].timestamp()) * NS_PER_S

    async with endpoint() as served, proxy_here(root, served, SteppingClock()) as origin:
        for number in range(6):
            async with calling(origin, served, f"call-{number}") as call:
                await call.say()
                await call.say()
    found = recordings_by_call(root)
    assert len(set(list_session_ids(root))) == len(found) == len(told) == 6
    for number, started_at in enumerate(told):
        recording = found[f"call-{number}"]
        assert_holds_everything(recording, served.calls[f"call-{number}"])
        assert recording.session["started_at"] == started_at
        assert recording.session_id.startswith(f"{started_at:%Y%m%dT%H%M%S}-")
        messages = list(recording.messages())
        offsets = [each.offset_ns for each in messages]
        assert offsets == sorted(offsets)
        assert all(each.row["at"] == started_at + timedelta(microseconds=each.offset_ns // 1000) for each in messages)
    # The same second twice: told apart by what is random in the id.
    assert list_session_ids(root) == sorted(list_session_ids(root))
