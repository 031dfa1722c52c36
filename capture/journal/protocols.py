"""What a recorder asks of journals, whoever writes them: a thread of this process, or a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from capture.frames import FrameCursor
from capture.journal.records import Direction

Taker = Callable[[bytes, int], None]
"""Takes bytes that went over the wire, and the clock's `monotonic_ns` at which they came."""


class OpenJournal(Protocol):
    """One session's journal. Nothing here waits for the disk, and nothing raises."""

    def append(self, direction: Direction, offset_ns: int, content: bytes, frame_at: int = 0) -> None:
        """Take one record; `frame_at` is the index of the first WebSocket frame in it, negative where none starts."""

    def taker(self, direction: Direction, started_ns: int, frames: FrameCursor) -> Taker:
        """Give what takes one sender's bytes, for those to whom each microsecond counts; it advances the cursor."""

    def close(self, done: Callable[[], None] | None = None) -> None:
        """Let the file be closed after the last record; `done` is called then, on another thread."""


class JournalKeeper(Protocol):
    """All journals of a process."""

    @property
    def high_water_bytes(self) -> int:
        """The most that ever waited to be written."""

    @property
    def faltered(self) -> int:
        """How many journals something was missing in before they were closed; ever, those that are closed too."""

    def open(self, name: str, *, on_loss: Callable[[str], None] | None = None) -> OpenJournal:
        """Open `NAME.journal`; `on_loss` gets the reason when something is not recorded, once, on any thread."""

    def close(self) -> None:
        """Write everything, close all journals. Closing again does nothing."""
