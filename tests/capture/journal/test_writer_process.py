"""The process that empties a spool: what a dead recorder has left is written, by it or by who comes after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.journal import Direction, is_locked, read_journal, write_what_was_left
from capture.journal.shared_memory import SHARED_MEMORY, names_for
from capture.journal.writer_process import next_tick_s

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")
_REPOSITORY = Path(__file__).parents[3]
NAME = "20260212T083055-4f3a9c12"

RECORDER = """
    import sys, time
    from pathlib import Path
    from capture.journal import Direction
    from capture.journal.spooled import SpooledJournals

    journals = SpooledJournals(Path(sys.argv[1]))
    journal = journals.open(sys.argv[2])
    print(journals._process._process.pid, flush=True)
    for line in sys.stdin:
        journal.append(Direction.CLIENT, 0, line.encode())
        print("taken", flush=True)
"""


class Recorder:
    """A process with one session."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RECORDER), str(folder), NAME],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.writer = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def take(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        assert self._line() == "taken\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def eventually(is_so: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def left_in_memory(folder: Path) -> list[Path]:
    return names_for(folder, "spool") + names_for(folder, "counters")


def taken(folder: Path) -> bytes:
    records = read_journal(folder / f"{NAME}.journal")
    return b"".join(record.content for record in records if record.direction is Direction.CLIENT)


def test_it_writes_what_a_dead_recorder_has_left_and_leaves_nothing_behind(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.take("one\n")
    recorder.kill()
    eventually(lambda: not left_in_memory(tmp_path))
    assert taken(tmp_path) == b"one\n"
    assert not is_locked(tmp_path / f"{NAME}.journal")


def test_where_it_was_killed_too_who_comes_after_writes_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.take("one\n")
    eventually(lambda: (tmp_path / f"{NAME}.journal").exists())
    os.kill(recorder.writer, signal.SIGSTOP)
    recorder.take("two\n")
    os.kill(recorder.writer, signal.SIGKILL)
    recorder.kill()
    eventually(lambda: not Path(f"/proc/{recorder.writer}").exists())
    write_what_was_left(tmp_path)
    assert taken(tmp_path) == b"one\ntwo\n"
    assert names_for(tmp_path, "spool") == []
    write_what_was_left(tmp_path)
    assert taken(tmp_path) == b"one\ntwo\n"


def test_who_comes_after_waits_while_it_is_at_work(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.take("one\n")
    eventually(lambda: (tmp_path / f"{NAME}.journal").exists())
    os.kill(recorder.writer, signal.SIGSTOP)
    recorder.take("two\n")
    recorder.kill()
    program = "import sys; from pathlib import Path; from capture.journal import write_what_was_left as write; "
    program += "print('waits', flush=True); write(Path(sys.argv[1]))"
    waiting = subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=_REPOSITORY, stdout=subprocess.PIPE)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == b"waits\n"
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.3)
    os.kill(recorder.writer, signal.SIGCONT)
    assert waiting.wait(30) == 0
    assert taken(tmp_path) == b"one\ntwo\n"
    waiting.stdout.close()


def test_of_a_living_recorder_nothing_is_touched(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.take("one\n")
    write_what_was_left(tmp_path)
    assert len(names_for(tmp_path, "spool")) == 1
    recorder.take("two\n")
    recorder.kill()
    eventually(lambda: not left_in_memory(tmp_path))
    assert taken(tmp_path) == b"one\ntwo\n"


def test_it_is_deaf_to_the_signals_that_end_a_service(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(recorder.writer, number)
    recorder.take("one\n")
    eventually(lambda: (tmp_path / f"{NAME}.journal").exists() and taken(tmp_path))
    recorder.kill()
    eventually(lambda: not left_in_memory(tmp_path))


def test_what_is_no_spool_is_left_alone(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    [path] = names_for(tmp_path, "spool")
    recorder.kill()
    eventually(lambda: not left_in_memory(tmp_path))
    path.write_bytes(bytes(1 << 20))
    try:
        write_what_was_left(tmp_path)
        assert path.exists()
    finally:
        path.unlink()


@pytest.mark.parametrize("bytes_a_second", [10e6, 30e6, 75e6, 120e6])
def test_ticks_settle_where_about_a_portion_comes_in_each(bytes_a_second: float) -> None:
    portion_bytes = 128 << 10
    tick_s, waiting_bytes = 0.025, 0.0
    seen: list[tuple[float, float]] = []
    for _ in range(200):
        waiting_bytes += bytes_a_second * tick_s
        seen.append((tick_s, waiting_bytes))
        waiting_bytes = max(waiting_bytes - portion_bytes, 0)
        tick_s = next_tick_s(tick_s, int(waiting_bytes))
    settled = seen[100:]
    assert sum(tick_s for tick_s, _ in settled) / 100 == pytest.approx(portion_bytes / bytes_a_second, rel=0.1)
    assert max(waiting_bytes for _, waiting_bytes in settled) < 1 << 20


def test_a_tick_is_as_long_as_little_comes_and_there_is_none_for_who_is_behind() -> None:
    tick_s = 0.001
    for _ in range(20):
        tick_s = next_tick_s(tick_s, 0)
    assert tick_s == 0.025
    assert next_tick_s(tick_s, 10 << 20) == 0
    assert next_tick_s(0, 500 << 10) == 0.001
