"""A log that nobody reads holds up nobody who writes to it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from capture.log_stream import LogStream, stderr_from_a_thread

LINE = "20261128T113000-c0ffee ok · 1 turn · 3.0 s\n"


@contextmanager
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as reader, os.fdopen(writing, "w", encoding="utf-8") as writer:
        yield reader, writer


def test_what_is_written_is_read_in_its_order() -> None:
    with pipe() as (reader, writer):
        stream = LogStream(writer)
        for line in ("one\n", "two · é\n", "a lone surrogate: \udc80\n"):
            stream.write(line)
        stream.end(within_s=60)
        assert [reader.readline() for _ in range(3)] == ["one\n", "two · é\n", "a lone surrogate: \\udc80\n"]


def test_a_reader_that_stalls_is_not_waited_for_and_learns_what_it_missed() -> None:
    with pipe() as (reader, writer):
        stream = LogStream(writer, room_chars=1000 * len(LINE))
        # A pipe takes 64 KiB, which is 1,500 lines, and the stream a thousand.
        for _ in range(9000):
            stream.write(LINE)
        stream.end(within_s=0)
        lines = 0
        gaps: list[int] = []
        while lines + sum(gaps) < 9000:
            read = reader.readline()
            if gap := re.fullmatch(
                r"\(([0-9,]+) lines of the log are left out here: it was not read in time\)\n", read
            ):
                gaps.append(int(gap[1].replace(",", "")))
            else:
                assert read == LINE
                lines += 1
    assert lines >= 1000
    # Lines come in stretches, not one by one with what was left out between them.
    assert lines > 100 * len(gaps)


def test_a_reader_that_has_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as writer:
        stream = LogStream(writer, room_chars=2 * len(LINE))
        for _ in range(100):
            stream.write(LINE)
        stream.end(within_s=60)
        assert not stream._thread.is_alive()


def test_it_is_what_the_stream_is(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="latin-1") as file:
        stream = LogStream(file)
        assert (stream.encoding, stream.fileno(), stream.isatty(), stream.writable()) == (
            "latin-1",
            file.fileno(),
            False,
            True,
        )
        stream.end(within_s=60)


def test_stderr_is_as_before_when_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe() as (reader, writer):
        monkeypatch.setattr(sys, "stderr", writer)
        with pytest.raises(RuntimeError), stderr_from_a_thread():
            sys.stderr.write("in the block\n")
            raise RuntimeError
        assert sys.stderr is writer
        assert reader.readline() == "in the block\n"
