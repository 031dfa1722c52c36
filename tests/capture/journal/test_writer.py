from __future__ import annotations

import errno
import itertools
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.journal import (
    Direction,
    Gap,
    Journal,
    JournalWriter,
    decode_gap,
    forget_counts,
    is_locked,
    read_journal,
    taken_bytes,
)
from capture.journal.shared_memory import SHARED_MEMORY

CLIENT, SERVER, FACT, GAP = Direction
_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[JournalWriter]:
    writer = JournalWriter(tmp_path / "journal", tick_s=0.001)
    yield writer
    writer.close()


def close(journal: Journal) -> None:
    """Close the journal and wait until the writer is done with it."""
    done = threading.Event()
    journal.close(done.set)
    assert done.wait(30)


def catch_up(writer: JournalWriter) -> None:
    """Wait until the writer has tried to write all that was appended so far."""
    close(writer.open(f"clock-{time.monotonic_ns()}"))


def told(path: Path) -> list[tuple[Direction, bytes | Gap]]:
    return [
        (record.direction, decode_gap(record.content) if record.direction is GAP else record.content)
        for record in read_journal(path)
    ]


class Disk:
    """Stands between the journal and the real `os.writev`."""

    def __init__(self) -> None:
        self.write = os.writev
        self.works = True
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.is_waiting = threading.Event()

    def writev(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        self.is_waiting.set()
        assert self.goes_on.wait(30)
        if not self.works:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.write(descriptor, buffers)

    def stall(self) -> None:
        self.goes_on.clear()
        self.is_waiting.clear()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(os, "writev", disk.writev)
    yield disk
    disk.goes_on.set()


def run_script(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a script in a process of its own, with the repository on its path."""
    code = "import sys\nfrom pathlib import Path\nfrom capture.journal import *\n" + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=_REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_records_stand_in_the_journal_in_their_order(writer: JournalWriter) -> None:
    journal = writer.open("20260212T083055-4f3a9c12")
    journal.append(FACT, 0, b'{"type":"session"}')
    journal.append(CLIENT, 10, b"sent")
    journal.append(SERVER, 20, b"received")

    close(journal)

    assert journal.path == writer.folder / "20260212T083055-4f3a9c12.journal"
    assert list(read_journal(journal.path)) == [
        (FACT, 0, b'{"type":"session"}'),
        (CLIENT, 10, b"sent"),
        (SERVER, 20, b"received"),
    ]
    assert (journal.lost_bytes, journal.failure) == (0, None)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([CLIENT, SERVER]), st.binary(max_size=99))))
def test_many_journals_share_one_writer(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[int, Direction, bytes]]
) -> None:
    writer = JournalWriter(tmp_path_factory.mktemp("root") / "journal", tick_s=0.0001)
    journals = [writer.open(f"session-{number}") for number in range(5)]
    for at, (number, direction, content) in enumerate(chunks):
        journals[number].append(direction, at, content)
    writer.close()

    for number, journal in enumerate(journals):
        assert list(read_journal(journal.path)) == [
            (direction, at, content) for at, (of, direction, content) in enumerate(chunks) if of == number
        ]


def test_a_journal_is_locked_until_it_is_done(writer: JournalWriter) -> None:
    journal = writer.open("session")
    catch_up(writer)
    assert is_locked(journal.path)

    locks: queue.SimpleQueue[bool] = queue.SimpleQueue()
    journal.close(lambda: locks.put(is_locked(journal.path)))
    assert locks.get(timeout=30) is False


def test_closing_the_writer_writes_and_closes_everything(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, tick_s=60)
    journal = writer.open("session")
    journal.append(CLIENT, 1, b"at the last moment")
    closed: list[str] = []

    writer.close()
    writer.close()
    journal.close(lambda: closed.append("at once"))

    assert told(journal.path) == [(CLIENT, b"at the last moment")]
    assert not is_locked(journal.path)
    assert closed == ["at once"]


def test_a_journal_that_is_closed_and_sealed_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path, tick_s=0.2)
    first, second = writer.open("first"), writer.open("second")
    sealed = threading.Event()
    writev = os.writev

    def seal() -> None:
        second.path.unlink()
        sealed.set()

    def end_the_second_while_the_first_is_written(descriptor: int, buffers: Sequence[bytes]) -> int:
        monkeypatch.setattr(os, "writev", writev)
        second.append(CLIENT, 1, b"the last words")
        second.close(seal)
        return writev(descriptor, buffers)

    monkeypatch.setattr(os, "writev", end_the_second_while_the_first_is_written)
    assert sealed.wait(10)
    first.append(CLIENT, 2, b"the call goes on")
    writer.close()

    assert [path.name for path in tmp_path.iterdir()] == ["first.journal"]
    assert second.failure is None


def test_what_comes_after_the_close_is_counted(writer: JournalWriter) -> None:
    journal = writer.open("session")
    close(journal)
    journal.append(SERVER, 1, b"late")
    journal.append(FACT, 1, b"{}")

    assert (journal.lost_bytes, journal.failure) == (6, "the journal was closed")
    assert told(journal.path) == []


def test_a_closed_writer_opens_journals_that_lose_everything(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "journal")
    writer.close()

    journal = writer.open("session")
    journal.append(CLIENT, 0, b"lost")
    close(journal)

    assert journal.lost_bytes == 4
    assert not writer.folder.exists()


def test_what_follows_a_close_may_fail_without_harm(writer: JournalWriter, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("no sealer")

    writer.open("first").close(fail)
    second = writer.open("second")
    second.append(CLIENT, 0, b"still recorded")
    close(second)

    assert told(second.path) == [(CLIENT, b"still recorded")]
    assert "what waited for it failed" in caplog.text


def test_a_resting_writer_wakes_up(writer: JournalWriter) -> None:
    journal = writer.open("session")
    deadline = time.monotonic() + 30
    while not writer._is_resting and time.monotonic() < deadline:
        time.sleep(0.001)
    assert writer._is_resting

    journal.append(CLIENT, 0, b"woken")
    while told(journal.path) != [(CLIENT, b"woken")] and time.monotonic() < deadline:
        time.sleep(0.001)
    assert told(journal.path) == [(CLIENT, b"woken")]


def test_while_the_disk_stalls_nobody_waits_and_a_gap_stands_for_what_was_dropped(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    writer = JournalWriter(tmp_path, tick_s=0.001, buffer_limit_bytes=10_000)
    journal = writer.open("session")
    disk.stall()
    journal.append(CLIENT, 1, b"before")
    assert disk.is_waiting.wait(30)

    for at in range(2, 22):
        journal.append(CLIENT if at % 2 else SERVER, at, bytes(1_000))
    journal.append(FACT, 22, b"facts get in")
    accepted = [at for at in range(2, 22) if at < 10]
    disk.goes_on.set()
    writer.close()

    stored = list(read_journal(journal.path))
    assert [record.offset_ns for record in stored if record.direction in (CLIENT, SERVER)] == [1, *accepted]
    assert [record.direction.name for record in stored[-3:]] == ["FACT", "GAP", "GAP"]
    assert {decode_gap(record.content) for record in stored[-2:]} == {
        Gap("server", 10, 20, 6_000, "the buffer was full: the disk was too slow"),
        Gap("client", 11, 21, 6_000, "the buffer was full: the disk was too slow"),
    }
    assert journal.lost_bytes == 12_000
    assert "12000 bytes were not recorded: the buffer was full" in caplog.text
    assert writer.high_water_bytes <= 10_000 + 12 + 3 * 1_000
    assert writer._buffered_bytes == 0


def test_a_gap_ends_at_the_next_frame_of_its_sender_and_no_other_is_hit(tmp_path: Path, disk: Disk) -> None:
    writer = JournalWriter(tmp_path, tick_s=0.001, buffer_limit_bytes=2_000)
    hit, spared = writer.open("hit"), writer.open("spared")
    disk.stall()
    spared.append(CLIENT, 1, b"spared")
    assert disk.is_waiting.wait(30)
    hit.append(CLIENT, 2, bytes(5_000))
    disk.goes_on.set()
    close(spared)

    hit.append(SERVER, 3, b"accepted again")
    hit.append(CLIENT, 4, b"the rest of the frame", frame_at=-1)
    hit.append(CLIENT, 5, b"its end|and the next", frame_at=8)
    close(hit)
    writer.close()

    lost = Gap("client", 2, 5, 5_000 + 21 + 8, "the buffer was full: the disk was too slow", ends_at_frame=True)
    assert told(hit.path) == [(SERVER, b"accepted again"), (GAP, lost), (CLIENT, b"and the next")]
    assert hit.lost_bytes == lost.bytes
    assert told(spared.path) == [(CLIENT, b"spared")]


def test_what_is_dropped_at_the_very_end_leaves_its_gap(tmp_path: Path, disk: Disk) -> None:
    writer = JournalWriter(tmp_path, tick_s=0.001, buffer_limit_bytes=2_000)
    journal = writer.open("session")
    journal.append(CLIENT, 1, b"kept")
    journal.append(SERVER, 2, bytes(5_000))
    writer.close()

    lost = Gap("server", 2, 2, 5_000, "the buffer was full: the disk was too slow")
    assert told(journal.path) == [(CLIENT, b"kept"), (GAP, lost)]


def test_a_flood_of_tiny_chunks_fills_the_buffer_too(tmp_path: Path, disk: Disk) -> None:
    writer = JournalWriter(tmp_path, tick_s=0.001, buffer_limit_bytes=100_000)
    journal = writer.open("session")
    disk.stall()
    for at in range(10_000):
        journal.append(CLIENT, at, b"x")
    disk.goes_on.set()
    writer.close()

    assert journal.lost_bytes > 9_000
    assert writer._buffered_bytes == 0


def test_on_a_full_disk_content_is_lost_and_facts_and_gaps_are_written_later(
    writer: JournalWriter, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    journal = writer.open("session")
    journal.append(FACT, 0, b"who")
    journal.append(CLIENT, 1, b"kept")
    catch_up(writer)
    disk.works = False
    for at in (2, 3, 4):
        journal.append(CLIENT, at, b"lost")
        catch_up(writer)
    journal.append(FACT, 5, b"what")
    catch_up(writer)
    disk.works = True
    journal.append(CLIENT, 6, b"kept")
    close(journal)

    assert told(journal.path) == [
        (FACT, b"who"),
        (CLIENT, b"kept"),
        (FACT, b"what"),
        (GAP, Gap("client", 2, 4, 12, "No space left on device", ends_at_frame=True)),
        (CLIENT, b"kept"),
    ]
    assert journal.lost_bytes == 12
    assert "recording falters, the call goes on: No space left on device" in caplog.text
    assert writer._buffered_bytes == 0


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory to count in")
def test_what_a_full_disk_could_not_be_told_is_counted_still_when_the_writer_is_closed_twice(
    writer: JournalWriter, disk: Disk
) -> None:
    journal = writer.open("session")
    journal.append(CLIENT, 1, b"kept")
    catch_up(writer)
    disk.works = False
    journal.append(CLIENT, 2, b"lost")
    close(journal)
    # At the end of a program: once as its exit function, and once with the recorder.
    writer.close()
    writer.close()
    assert taken_bytes(journal.path) == {CLIENT: 8, SERVER: 0}
    forget_counts(journal.path)


def test_a_log_that_stalls_holds_up_no_call(writer: JournalWriter, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled, call_went_on = threading.Event(), threading.Event()
    waited: list[bool] = []

    class StalledLog(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - the signature of a handler
            stalled.set()
            waited.append(call_went_on.wait(10))

    monkeypatch.setattr(logging.getLogger("capture"), "handlers", [StalledLog()])
    journal, other = writer.open("session"), writer.open("other")
    disk.works = False
    journal.append(CLIENT, 1, b"lost")
    stalled.wait()
    other.append(CLIENT, 1, b"of another call")
    call_went_on.set()
    close(journal)
    assert waited[0]


def test_after_a_failed_write_recording_goes_on_at_the_start_of_a_frame(writer: JournalWriter, disk: Disk) -> None:
    losses: list[str] = []
    journal = writer.open("session", on_loss=losses.append)
    disk.works = False
    journal.append(CLIENT, 1, b"lost")
    catch_up(writer)
    disk.works = True
    journal.append(CLIENT, 2, b"rest of a frame", frame_at=-1)
    catch_up(writer)
    journal.append(CLIENT, 3, b"rest|frame", frame_at=5)
    close(journal)

    lost = Gap("client", 1, 3, 4 + 15 + 5, "No space left on device", ends_at_frame=True)
    assert told(journal.path) == [(GAP, lost), (CLIENT, b"frame")]
    assert journal.lost_bytes == lost.bytes
    assert losses == ["No space left on device"]
    assert writer.faltered == 1
    assert writer._buffered_bytes == 0


def test_a_full_buffer_is_told_at_once(tmp_path: Path, disk: Disk) -> None:
    writer = JournalWriter(tmp_path, tick_s=0.001, buffer_limit_bytes=2_000)
    losses: list[str] = []
    journal = writer.open("session", on_loss=losses.append)
    disk.stall()
    journal.append(CLIENT, 1, b"waits")
    assert disk.is_waiting.wait(30)
    for at in range(2, 5):
        journal.append(CLIENT, at, bytes(1_000))
    assert losses == ["the buffer was full: the disk was too slow"]
    disk.goes_on.set()
    writer.close()


def test_a_disk_that_stays_full_does_not_hold_up_the_close(writer: JournalWriter, disk: Disk) -> None:
    disk.works = False
    journal = writer.open("session")
    journal.append(FACT, 0, b"who")
    journal.append(CLIENT, 1, b"lost")

    close(journal)

    assert not journal.path.exists()
    assert (journal.lost_bytes, journal.failure) == (4, "No space left on device")
    assert writer._buffered_bytes == 0


def test_a_disk_that_has_stalled_holds_up_the_close_no_longer_than_is_said(
    writer: JournalWriter, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    journal, closed = writer.open("call"), threading.Event()
    disk.stall()
    journal.append(CLIENT, 0, b"hello")
    assert disk.is_waiting.wait(30)
    writer.close(0.01)
    assert "the disk has stalled" in caplog.text
    journal.close(closed.set)
    assert not closed.is_set()
    disk.goes_on.set()
    assert closed.wait(30)
    assert told(journal.path) == [(CLIENT, b"hello")]


def test_where_there_was_no_room_for_the_thread_the_next_session_starts_it(
    writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has_no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", has_no_room)
        with pytest.raises(RuntimeError):
            writer.open("first")
    journal = writer.open("second")
    journal.append(CLIENT, 0, b"hello")
    close(journal)
    assert told(journal.path) == [(CLIENT, b"hello")]
    assert [path.name for path in writer.folder.iterdir()] == ["second.journal"]


def test_a_folder_that_cannot_be_made_costs_the_recording_and_not_the_call(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where a folder should be")
    writer = JournalWriter(tmp_path / "root" / "journal", tick_s=0.001)
    journal = writer.open("session")
    journal.append(CLIENT, 0, b"lost")
    close(journal)
    writer.close()

    assert (journal.lost_bytes, journal.failure) == (4, "Not a directory")


def test_a_journal_that_was_removed_is_counted_whole(writer: JournalWriter) -> None:
    journal = writer.open("session")
    journal.append(CLIENT, 0, b"written")
    catch_up(writer)
    shutil.rmtree(writer.folder)
    journal.append(CLIENT, 1, b"into nowhere")

    close(journal)

    assert (journal.lost_bytes, journal.failure) == (len("writteninto nowhere"), "the journal was removed")


def test_a_bug_in_the_recorder_ends_one_journal_and_leaves_what_it_holds(
    writer: JournalWriter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = writer.open("broken"), writer.open("sound")
    broken.append(CLIENT, 0, b"whole")
    catch_up(writer)

    def stumble(records: Sequence[tuple[Direction, int, bytes]]) -> None:
        f"s3cr3t \ud800 {len(records)}".encode()

    monkeypatch.setattr(broken._file, "append", stumble)
    for journal in (broken, sound):
        journal.append(CLIENT, 1, b"next")
    close(sound)
    monkeypatch.undo()
    broken.append(CLIENT, 2, b"after")
    close(broken)

    assert told(sound.path) == [(CLIENT, b"next")]
    assert told(broken.path) == [(CLIENT, b"whole")]
    assert broken.lost_bytes == len("nextafter")
    faults = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage().partition(" at ")[0] for record in faults] == [
        "broken.journal: the recorder failed: UnicodeEncodeError"
    ]
    # The error's repr, and with it what was being written, is nowhere.
    assert "s3cr3t" not in caplog.text + str(broken.failure)
    assert b"s3cr3t" not in broken.path.read_bytes()
    assert writer._buffered_bytes == 0


def test_a_quiet_recording_logs_nothing(writer: JournalWriter, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        journal = writer.open("session")
        journal.append(CLIENT, 0, b"fine")
        close(journal)

    assert caplog.records == []


# A promise in milliseconds: what else runs must not keep the child's writer from the processor.
@pytest.mark.alone
@pytest.mark.parametrize("lived_ms", [150, 250, 400])
def test_after_a_kill_all_but_the_last_100_ms_is_there(tmp_path: Path, lived_ms: int) -> None:
    child = run_script(
        """
        import time
        journal = JournalWriter(Path(sys.argv[1])).open("session")
        for number in range(1_000_000):
            journal.append(Direction(number % 2), number, b"%06d" % number * 200)
            print(number, time.monotonic_ns(), flush=True)
            time.sleep(0.001)
        """,
        tmp_path,
    )
    assert child.stdout
    lines = [child.stdout.readline().split() for _ in range(lived_ms)]
    child.kill()
    killed_ns = time.monotonic_ns()
    appended = lines + [line.split() for line in child.communicate()[0].splitlines(keepends=True) if "\n" in line]

    stamps = [int(at_ns) for _, at_ns in appended]
    # What the machine kept the child waiting for is not the recorder's.
    stall_ns = max(later - earlier for earlier, later in itertools.pairwise(stamps))
    owed = sum(at_ns < killed_ns - 100_000_000 - stall_ns for at_ns in stamps)
    stored = list(read_journal(tmp_path / "session.journal"))
    assert len(stored) >= owed > 0
    assert stored == [(n % 2, n, b"%06d" % n * 200) for n in range(len(stored))]
    assert not is_locked(tmp_path / "session.journal")


def test_a_full_disk_in_earnest(tmp_path: Path) -> None:
    child = run_script(
        """
        import resource, threading
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        writer = JournalWriter(Path(sys.argv[1]), tick_s=0.001)
        journal = writer.open("session")
        number = 0
        while journal.failure is None:
            journal.append(Direction.CLIENT, number, b"%06d" % number * 500)
            number += 1
            caught_up = threading.Event()
            writer.open(f"clock-{number}").close(caught_up.set)
            caught_up.wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        journal.append(Direction.SERVER, number, b"there is room again")
        writer.close()
        print(number, journal.lost_bytes, journal.failure)
        """,
        tmp_path,
    )
    appended, lost_bytes, *failure = child.communicate()[0].split()
    assert child.returncode == 0
    assert " ".join(failure) == "File too large"

    *kept, after, gap = told(tmp_path / "session.journal")
    assert kept == [(CLIENT, b"%06d" % number * 500) for number in range(len(kept))]
    assert after == (SERVER, b"there is room again")
    assert isinstance(gap[1], Gap)
    assert gap[1].bytes == int(lost_bytes) == (int(appended) - len(kept)) * 3_000


def test_a_forked_child_has_no_part_in_the_journals_of_its_parent(tmp_path: Path) -> None:
    parent = run_script(
        """
        import os
        writer = JournalWriter(Path(sys.argv[1]), tick_s=0.001)
        journal = writer.open("session")
        journal.append(Direction.CLIENT, 0, b"before")
        child = os.fork()
        journal.append(Direction.SERVER, 1, b"of the child" if child == 0 else b"of the parent")
        writer.close()
        if child == 0:
            assert journal.lost_bytes == len(b"of the child")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status))
        """,
        tmp_path,
    )

    assert parent.communicate()[0] == "0\n"
    assert told(tmp_path / "session.journal") == [(CLIENT, b"before"), (SERVER, b"of the parent")]


def test_a_forked_child_does_not_keep_the_lock_of_a_parent_that_died(tmp_path: Path) -> None:
    parent = run_script(
        """
        import os, time
        writer = JournalWriter(Path(sys.argv[1]), tick_s=0.001)
        journal = writer.open("session")
        while not is_locked(journal.path):
            time.sleep(0.001)
        if os.fork() == 0:
            print("child", flush=True)
            sys.stdin.read()
            os._exit(0)
        time.sleep(3600)
        """,
        tmp_path,
    )
    assert parent.stdout
    assert parent.stdin
    assert parent.stdout.readline() == "child\n"

    assert is_locked(tmp_path / "session.journal")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert not is_locked(tmp_path / "session.journal")
    parent.communicate()


def test_a_process_that_just_exits_has_written_everything(tmp_path: Path) -> None:
    script = 'JournalWriter(Path(sys.argv[1]), tick_s=60).open("session").append(Direction.FACT, 0, b"{}")'

    child = run_script(script, tmp_path)
    child.communicate()
    assert child.returncode == 0

    assert told(tmp_path / "session.journal") == [(FACT, b"{}")]
