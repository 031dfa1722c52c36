"""Write the log from a thread of its own: whoever reads it slowly, or not at all, holds up no call.

A terminal stops at Ctrl-S and while text is marked in it, and a pipe when its reader does, such as a container's log
driver. A write then waits without end, and in the loop of a proxy all calls would wait with it.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_ROOM_CHARS = 256 * 1024
_ENDS_WITHIN_S = 1.0
"""How long the end waits for a reader: the log's last lines are worth that much."""


@contextmanager
def stderr_from_a_thread() -> Iterator[None]:
    """Have a thread write what goes to stderr in the block."""
    before = sys.stderr
    stream = LogStream(before)
    sys.stderr = stream
    try:
        yield
    finally:
        sys.stderr = before
        stream.end(_ENDS_WITHIN_S)


class LogStream(io.TextIOBase):
    """Takes text at once; what there is no room for while nobody reads is left out by lines, and counted in the log."""

    def __init__(self, stream: TextIO, *, room_chars: int = _ROOM_CHARS) -> None:
        """Write to the file that a stream writes to, which must be used by nobody else meanwhile."""
        self._stream = stream
        self._room_chars = room_chars
        self._enough_chars = room_chars // 2
        """Room at which it takes text again after it was full, so that gaps are few and not one after each line."""
        self._waiting: deque[str] = deque()
        self._left_out_lines = 0
        self._is_ending = False
        self._changed = threading.Condition()
        # A daemon: what waits in a write must not keep the process from its end.
        self._thread = threading.Thread(target=self._write_on, name="wiretape log", daemon=True)
        self._thread.start()

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
        with self._changed:
            if self._room_chars < (self._enough_chars if self._left_out_lines else len(text)):
                self._left_out_lines += text.count("\n")
                return len(text)
            self._note_what_was_left_out()
            self._wait(text)
        return len(text)

    def end(self, within_s: float) -> None:
        """Have all written that waits, and wait for that, but not for ever."""
        with self._changed:
            self._note_what_was_left_out()
            self._is_ending = True
            self._changed.notify()
        self._thread.join(within_s)

    def _note_what_was_left_out(self) -> None:
        lines, self._left_out_lines = self._left_out_lines, 0
        if lines:
            self._wait(f"({lines:,} lines of the log are left out here: it was not read in time)\n")

    def _wait(self, text: str) -> None:
        self._waiting.append(text)
        self._room_chars -= len(text)
        self._changed.notify()

    def _write_on(self) -> None:
        while (text := self._next()) is not None:
            content = memoryview(text.encode(self.encoding, "backslashreplace"))
            # Whoever read it has gone, or the disk is full: a log is nothing to end a call for. Not through the
            # stream: its lock would be waited for at the interpreter's end.
            with suppress(OSError):
                while content:
                    content = content[os.write(self.fileno(), content) :]
            with self._changed:
                self._room_chars += len(text)

    def _next(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_ending)
            return self._waiting.popleft() if self._waiting else None
