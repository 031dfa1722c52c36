"""A pipe whose reader stands still, as a terminal after Ctrl-S: whoever writes to it waits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class UnreadPipe:
    """A pipe that is full to the last byte, until somebody reads on."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._filled_bytes = 0
        os.set_blocking(self.writing, False)
        for size in (4096, 1):
            with suppress(BlockingIOError):
                while True:
                    self._filled_bytes += os.write(self.writing, b"x" * size)
        os.set_blocking(self.writing, True)

    def read_until(self, words: str) -> str:
        """Read on until these words have come; give what came behind what filled it."""
        return self._read(words.encode())

    def read_to_end(self) -> str:
        """Read on until whoever else writes to it has ended."""
        os.close(self.writing)
        self.writing = -1
        return self._read(None)

    def close(self) -> None:
        """Close both ends."""
        for end in (self.reading, self.writing):
            if end >= 0:
                os.close(end)

    def _read(self, words: bytes | None) -> str:
        read = b""
        while words is None or words not in read[self._filled_bytes :]:
            if not (part := os.read(self.reading, 1 << 16)):
                break
            read += part
        rest, self._filled_bytes = read[self._filled_bytes :], max(0, self._filled_bytes - len(read))
        return rest.decode()


@contextmanager
def unread_pipe() -> Iterator[UnreadPipe]:
    """Give such a pipe."""
    pipe = UnreadPipe()
    try:
        yield pipe
    finally:
        pipe.close()
