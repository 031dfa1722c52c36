"""Output that nobody reads holds up nobody who prints."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from capture.queued_output import QueuedStream, Writer, queued_output
from tests.unread_pipe import UnreadPipe, unread_pipe

PROJECT = Path(__file__).parents[2]
LINE = "20261128T113000-c0ffee ok · 1 turn · 3.0 s\n"
LEFT_OUT = re.compile(r"\(([0-9,]+) lines of the log are left out here: it was not read in time\)\n")
BAR = "\r\x1b[2Kreplaying ━━━━ "


@contextmanager
def full_pipe() -> Iterator[tuple[UnreadPipe, TextIO]]:
    with unread_pipe() as pipe, os.fdopen(pipe.writing, "w", encoding="utf-8", closefd=False) as file:
        yield pipe, file


def lines_of(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n", text)


def gaps(lines: list[str]) -> list[int]:
    return [int(found[1].replace(",", "")) for found in map(LEFT_OUT.fullmatch, lines) if found]


def test_what_is_written_is_read_in_its_order() -> None:
    with full_pipe() as (pipe, file):
        writer = Writer()
        stream = QueuedStream(file, writer, may_lose=True)
        for line in ("one\n", "two · é\n", "a lone surrogate: \udc80\n"):
            stream.write(line)
        read = pipe.read_until("surrogate: \\udc80\n")
        assert writer.end(within_s=60)
    assert read == "one\ntwo · é\na lone surrogate: \\udc80\n"


def test_a_reader_that_stalls_learns_what_it_missed_and_what_came_last() -> None:
    with full_pipe() as (pipe, file):
        writer = Writer(room_chars=1000 * len(LINE))
        stream = QueuedStream(file, writer, may_lose=True)
        for _ in range(9000):
            stream.write(LINE)
        stream.write("the verdict\n")
        assert not writer.end(within_s=0)
        read = lines_of(pipe.read_until("the verdict\n"))
        assert writer.end(within_s=60)
    lines = read.count(LINE)
    assert lines + sum(gaps(read)) == 9000
    assert lines + len(gaps(read)) + 1 == len(read)
    # Lines come in stretches, not one by one with what was left out between them.
    assert lines > 100 * len(gaps(read))


def test_of_what_may_not_be_lost_nothing_is_and_both_keep_their_order() -> None:
    with full_pipe() as (pipe, file):
        writer = Writer(room_chars=10 * len(LINE))
        log, data = (QueuedStream(file, writer, may_lose=may_lose) for may_lose in (True, False))
        for number in range(100):
            log.write(LINE)
            data.write(f"{number}\n")
        read = lines_of(pipe.read_until("\n99\n"))
    assert [line for line in read if line[:-1].isdecimal()] == [f"{number}\n" for number in range(100)]
    assert read.count(LINE) + sum(gaps(read)) == 100
    assert read[-4:] == [LINE, "98\n", LINE, "99\n"]


def test_a_bar_that_nobody_saw_takes_up_no_room() -> None:
    with full_pipe() as (pipe, file):
        writer = Writer(room_chars=5 * len(LINE))
        stream = QueuedStream(file, writer, may_lose=True)
        stream.write(f"\r\x1b[2Keast 1/2: failed\n{BAR}1/2")
        for second in range(1000):
            stream.write(f"{BAR}1/2 0:{second}")
        stream.write(f"{BAR}2/2\n\x1b[?25h")
        read = pipe.read_until("\x1b[?25h")
    assert read == f"\r\x1b[2Keast 1/2: failed\n{BAR}1/2{BAR}2/2\n\x1b[?25h"


def test_what_was_left_out_is_told_on_a_line_of_its_own() -> None:
    with full_pipe() as (pipe, file):
        writer = Writer(room_chars=2 * len(LINE))
        log, kept = (QueuedStream(file, writer, may_lose=may_lose) for may_lose in (True, False))
        kept.write(BAR)
        for _ in range(9):
            log.write(LINE)
        log.write("the verdict\n")
        bar, *lines = lines_of(pipe.read_until("the verdict\n"))
    assert bar == f"{BAR}\n"
    assert gaps(lines[:1]) == [9 - lines.count(LINE)]


def test_a_reader_that_has_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        writer = Writer(room_chars=2 * len(LINE))
        for may_lose in (True, False):
            stream = QueuedStream(file, writer, may_lose=may_lose)
            for _ in range(100):
                stream.write(LINE)
        assert writer.end(within_s=60)
        stream.flush()


def test_a_pipe_that_another_program_made_non_blocking_is_waited_for() -> None:
    with full_pipe() as (pipe, file):
        os.set_blocking(file.fileno(), False)
        writer = Writer()
        QueuedStream(file, writer, may_lose=True).write(LINE)
        assert not writer.end(within_s=0)
        assert pipe.read_until(LINE) == LINE
        assert writer.end(within_s=60)


def test_it_is_what_the_stream_is(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="latin-1") as file:
        stream = QueuedStream(file, Writer(), may_lose=True)
        assert (stream.encoding, stream.fileno(), stream.isatty(), stream.writable()) == (
            "latin-1",
            file.fileno(),
            False,
            True,
        )


def test_streams_are_as_before_when_the_block_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with pytest.raises(RuntimeError), queued_output():
            sys.stderr.write("in the block\n")
            raise RuntimeError
        assert sys.stderr is file
    assert (tmp_path / "log").read_text() == "in the block\n"


def test_after_a_full_disk_the_log_goes_on_in_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_bytes, of_system = 60, os.write

    def write(descriptor: int, content: bytes) -> int:
        nonlocal room_bytes
        if not room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = of_system(descriptor, content[:room_bytes])
        room_bytes -= written
        return written

    monkeypatch.setattr("capture.queued_output.os.write", write)
    with (tmp_path / "log").open("w", encoding="utf-8") as file:
        writer = Writer()
        stream = QueuedStream(file, writer, may_lose=True)
        for _ in range(3):
            stream.write_out(LINE)
        room_bytes = 1000
        stream.write_out(LINE)
        stream.write_out(LINE)
        assert writer.end(within_s=60)
    first, torn, *rest = lines_of((tmp_path / "log").read_text())
    left = 60 - len(LINE.encode())
    assert (first, torn, rest) == (LINE, f"{LINE[:left]}\n", [LINE, LINE])


COMMAND = """
import pathlib, signal, sys
from capture.ending import run_to_end
from capture.narration import print_line, tell
from capture.queued_output import queued_output
def command():
    with queued_output():
        for number in range(3):
            print_line(f"session {number}")
            tell(f"trial {number}")
        pathlib.Path("went on").touch()
        if sys.argv[1] == "for ever":
            signal.pause()
    tell("done")
run_to_end(command)
"""

ALL_LINES = "session 0\ntrial 0\nsession 1\ntrial 1\nsession 2\ntrial 2\ndone\n"


def start(place: Path, redirected: str = "", *, lasts: str = "a moment", **streams: Any) -> subprocess.Popen[str]:
    shell = ["sh", "-c", f'exec "$0" -c "$1" "$2" {redirected}', sys.executable, COMMAND, lasts]
    return subprocess.Popen(shell, cwd=place, env=os.environ | {"PYTHONPATH": str(PROJECT)}, text=True, **streams)


def wait_until_it_went_on(place: Path, process: subprocess.Popen[str]) -> None:
    while not (place / "went on").exists():
        assert process.poll() is None
        time.sleep(0.01)


def test_a_command_goes_on_while_nobody_reads_and_its_end_waits_for_the_reader(tmp_path: Path) -> None:
    with unread_pipe() as pipe:
        process = start(tmp_path, stdout=pipe.writing, stderr=pipe.writing)
        wait_until_it_went_on(tmp_path, process)
        assert pipe.read_to_end() == ALL_LINES
        assert process.wait(60) == 0


@pytest.mark.parametrize("lasts", ["a moment", "for ever"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_though_nobody_reads(tmp_path: Path, number: signal.Signals, lasts: str) -> None:
    with unread_pipe() as pipe:
        process = start(tmp_path, lasts=lasts, stdout=pipe.writing, stderr=pipe.writing)
        wait_until_it_went_on(tmp_path, process)
        process.send_signal(number)
        assert process.wait(60) == 130


def test_a_file_of_both_streams_has_their_lines_in_order(tmp_path: Path) -> None:
    assert start(tmp_path, "> log 2>&1").wait(60) == 0
    assert (tmp_path / "log").read_text() == ALL_LINES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
@pytest.mark.parametrize("redirected", [">/dev/full", ">/dev/full 2>&1"])
def test_that_the_disk_is_full_is_told(tmp_path: Path, redirected: str) -> None:
    process = start(tmp_path, redirected, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in said
    if "2>&1" not in redirected:
        assert said == "wiretape: what was asked for cannot be printed: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_it_is_nothing_to_it_that_a_stream_is_closed(tmp_path: Path, closed: str) -> None:
    assert start(tmp_path, closed).wait(60) == 0
    assert (tmp_path / "went on").exists()
