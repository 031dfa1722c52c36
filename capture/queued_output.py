"""Write output from a thread of its own: whoever reads it slowly, or not at all, holds up no session.

A terminal stops at Ctrl-S and while text is marked in it, and a pipe when its reader does, such as a container's log
driver. A write then waits without end, and in an event loop all calls, replays and clients would wait with it.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from select import select
from typing import TextIO

from capture.narration import on_stdout

A_MOMENT_S = 3.0
"""How long an end that somebody asked for waits for a reader: the last lines are worth that much."""
_ROOM_CHARS = 256 * 1024
_CLEAR_LINE = "\r\x1b[2K"


class QueuedOutput:
    """What a block prints, on its way to stderr and stdout."""

    def __init__(self, ends_within_s: float | None) -> None:
        self.writers: list[Writer] = []
        self._ends_within_s = ends_within_s

    def hurry(self) -> None:
        """Have the end wait only a moment for a reader: somebody wants the command to end."""
        self._ends_within_s = A_MOMENT_S

    def end(self) -> None:
        """Have all written that waits, and wait for that."""
        ends_at_s = None if self._ends_within_s is None else time.monotonic() + self._ends_within_s
        for writer in self.writers:
            writer.end(None if ends_at_s is None else max(0.0, ends_at_s - time.monotonic()))


@contextmanager
def queued_output(*, ends_within_s: float | None = None) -> Iterator[QueuedOutput]:
    """Have a thread write what the block prints, while the block goes on.

    Where nobody reads for long, the oldest lines of stderr are left out and counted; of stdout none is. The end waits
    until all is written, or for `ends_within_s`, after Ctrl-C for a moment; Ctrl-C ends the wait. Raises
    `UsageProblem` where stdout takes no more: a full disk.
    """
    before = sys.stdout, sys.stderr
    output = QueuedOutput(ends_within_s)
    sys.stdout, sys.stderr = _queued(*before, output.writers)
    try:
        yield output
    except KeyboardInterrupt:
        output.hurry()
        raise
    finally:
        queued, (sys.stdout, sys.stderr) = sys.stdout, before
        output.end()
    with on_stdout():
        queued.flush()


def _queued(
    stdout: TextIO, stderr: TextIO, writers: list[Writer]
) -> tuple[TextIO | QueuedStream, TextIO | QueuedStream]:
    stdout.flush()
    out, err = _file_behind(stdout), _file_behind(stderr)
    is_shared = out is not None and err is not None and os.path.samestat(out, err)
    said: TextIO | QueuedStream = stderr
    if err is not None:
        writers.append(Writer())
        said = QueuedStream(stderr, writers[-1], may_lose=True)
    # A file has no reader who could stall, and that the disk is full is told at once. Where both are one, a terminal or
    # `> log 2>&1`, their lines keep their order.
    if not is_shared and (out is None or not _has_a_reader(out.st_mode, stdout)):
        return stdout, said
    if not is_shared:
        writers.append(Writer())
    return QueuedStream(stdout, writers[-1], may_lose=False), said


def _file_behind(stream: TextIO) -> os.stat_result | None:
    try:
        return os.fstat(stream.fileno())
    except (OSError, ValueError):
        # What stands in for a stream, such as in a test.
        return None


def _has_a_reader(mode: int, stream: TextIO) -> bool:
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()


class QueuedStream(io.TextIOBase):
    """Takes text at once, for a thread to write it."""

    def __init__(self, stream: TextIO, writer: Writer, *, may_lose: bool) -> None:
        """Write to the file that a stream writes to, which must be used by nobody else meanwhile."""
        self.may_lose = may_lose
        """Whether text may be left out where nobody reads."""
        self._stream = stream
        self._writer = writer
        self._failure: OSError | None = None
        self._is_torn = False
        """Whether a full disk took only the beginning of what was written last."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's."""
        return self._stream.encoding

    def fileno(self) -> int:
        """Give the stream's."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Tell what the stream is."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Tell that it takes text."""
        return True

    def write(self, text: str) -> int:
        """Take text; it is written in a moment."""
        if text:
            self._writer.take(self, text)
        return len(text)

    def flush(self) -> None:
        """Wait for nothing; raise `OSError` where what was taken before could not be written: a full disk."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def write_out(self, text: str) -> None:
        """Write, from the thread, and wait for whoever reads."""
        line = f"\n{text}" if self._is_torn else text
        content = memoryview(line.encode(self.encoding, "backslashreplace"))
        whole_bytes = len(content)
        try:
            # Not through the stream: its lock would be waited for at the interpreter's end.
            while content:
                content = content[self._write_some(content) :]
        except BrokenPipeError:
            # Whoever read it has gone, which is nothing to end a session for.
            pass
        except OSError as error:
            # Nor is a log that the disk has no room for.
            self._failure = None if self.may_lose else error
        if len(content) < whole_bytes:
            self._is_torn = bool(content)

    def _write_some(self, content: memoryview) -> int:
        try:
            return os.write(self.fileno(), content)
        except BlockingIOError:
            # Another program made the terminal or the pipe that we share with it non-blocking.
            select([], [self.fileno()], [])
            return 0


class Writer:
    """Writes from a thread what its streams take, in the order in which they took it."""

    def __init__(self, *, room_chars: int = _ROOM_CHARS) -> None:
        """Keep so much waiting at the most, beside what may not be lost."""
        self._room_chars = room_chars
        self._waiting: deque[tuple[QueuedStream, str]] = deque()
        self._waiting_chars = 0
        """Of what may be lost."""
        self._left_out_lines = 0
        self._ends_line = True
        """Whether what was written last ended a line, and no bar stands on it."""
        self._is_ending = False
        self._has_ended = False
        self._changed = threading.Condition()
        # A daemon: what waits in a write must not keep the process from its end.
        threading.Thread(target=self._write_on, name="wiretape output", daemon=True).start()

    def take(self, stream: QueuedStream, text: str) -> None:
        """Take text; it is written in a moment."""
        with self._changed:
            if self._waiting and self._waiting[-1][0] is stream and _is_drawn_over(self._waiting[-1][1], text):
                self._count(*self._waiting.pop(), -1)
            self._waiting.append((stream, text))
            self._count(stream, text, 1)
            if self._waiting_chars > self._room_chars:
                self._make_room()
            self._changed.notify_all()

    def end(self, within_s: float | None) -> bool:
        """Have all written that waits, and wait for that, but no longer; give whether it was."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._has_ended, within_s)

    def _count(self, stream: QueuedStream, text: str, sign: int) -> None:
        self._waiting_chars += sign * len(text) * stream.may_lose

    def _make_room(self) -> None:
        # The newest lines are worth most: the last ones say what came of it all. Half of the room, so that gaps are few
        # and not one after each line.
        kept: deque[tuple[QueuedStream, str]] = deque()
        for stream, text in self._waiting:
            if stream.may_lose and self._waiting_chars > self._room_chars // 2:
                self._count(stream, text, -1)
                self._left_out_lines += text.count("\n")
            else:
                kept.append((stream, text))
        self._waiting = kept

    def _write_on(self) -> None:
        try:
            while (taken := self._next()) is not None:
                stream, text = taken
                stream.write_out(text)
                self._ends_line = text.endswith("\n")
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _next(self) -> tuple[QueuedStream, str] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_ending)
            if not self._waiting:
                return None
            stream, text = self._waiting[0]
            if self._left_out_lines and stream.may_lose:
                lines, self._left_out_lines = self._left_out_lines, 0
                note = f"({lines:,} lines of the log are left out here: it was not read in time)\n"
                return stream, note if self._ends_line else f"\n{note}"
            self._waiting.popleft()
            self._count(stream, text, -1)
            return stream, text


def _is_drawn_over(text: str, later: str) -> bool:
    """Tell whether text is a line, such as a progress bar, that later text clears and writes anew."""
    return text.startswith(_CLEAR_LINE) and "\n" not in text and later.startswith(_CLEAR_LINE)
