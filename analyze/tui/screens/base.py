"""What all screens share: a source, questions asked in threads, one place for what went wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from textual.message import Message
from textual.screen import Screen
from textual.worker import WorkType

from analyze.tui.lines import ELLIPSIS, Line, Run, text
from analyze.tui.source import Source
from analyze.tui.widgets.frame import TopLine
from analyze.tui.widgets.painted import Notice
from analyze.tui.widgets.row_list import READING, UNREAD, RowList
from capture.errors import WiretapeError

Answer = TypeVar("Answer")
ResultT = TypeVar("ResultT")
_ROOT_CELLS = 32
log = logging.getLogger(__name__)


class SourceScreen(Screen[ResultT]):
    """A screen that asks a source; its last question of a kind is the only one that counts."""

    class SessionChosen(Message):
        """A session shall be opened."""

        def __init__(self, session_id: str) -> None:
            super().__init__()
            self.session_id = session_id

    class FollowChosen(Message):
        """A session in flight shall be followed."""

        def __init__(self, session_id: str) -> None:
            super().__init__()
            self.session_id = session_id

    class DiffChosen(Message):
        """Sessions shall be compared, the first with each of the others."""

        def __init__(self, session_ids: Sequence[str]) -> None:
            super().__init__()
            self.session_ids = session_ids

    class ReplayChosen(Message):
        """A session shall be sent again, once it is said where and how."""

        def __init__(self, session_id: str) -> None:
            super().__init__()
            self.session_id = session_id

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self._unanswered = ""
        """Kind of the question that the notice is about."""

    def ask(self, question: Callable[[], Answer], answered: Callable[[Answer], None], *, kind: str) -> None:
        """Ask in a thread, then hand the answer to the screen; a newer question of the kind takes its place.

        What comes back after the screen was left is dropped. What went wrong is told until one of the kind works.
        """

        async def work() -> None:
            try:
                answer = await asyncio.to_thread(question)
                if not self.is_left:
                    if self._unanswered == kind:
                        self._unanswered = ""
                        self.complain("")
                    answered(answer)
            # Whatever a query raises, or an answer that cannot be shown, is a sentence on the screen, never the end of
            # the program.
            except Exception as problem:
                log.debug("a question failed", exc_info=True)
                if not self.is_left:
                    self._unanswered = kind
                    self.complain(sentence_of(problem))

        # The function, not its coroutine: one that is replaced before its turn was then never begun.
        worker: WorkType[None] = work
        self.run_worker(worker, group=kind, exclusive=True)

    @property
    def is_left(self) -> bool:
        """Tell that the screen is being taken down: its widgets go before its workers are cancelled."""
        # Textual calls this `display`; no rule of ours hides a whole screen.
        return not self.display

    def complain(self, sentence: str) -> None:
        """Show what went wrong until something works; an empty sentence takes it away."""
        notice = self.query_one("#notice", Notice)
        notice.lines = ((Run(" ▲ ", "failed"), *text(sentence, "failed")),) if sentence else ()
        for rows in self.query(RowList) if sentence else ():
            # It would be waited for in vain.
            rows.empty_text = UNREAD if rows.empty_text == READING else rows.empty_text

    def hint(self, sentence: str) -> None:
        """Say in passing why a key did nothing; once, however often it is pressed."""
        self.app.clear_notifications()
        self.notify(sentence, timeout=3, markup=False)

    def copy(self, what: str, words: str) -> None:
        """Put words on the clipboard of whoever sits at the terminal (OSC 52), and say so."""
        self.app.copy_to_clipboard(words)
        self.hint(f"on the clipboard, where the terminal allows it: {what}")

    def place(self, *parts: Line) -> None:
        """Say in the first line where this is."""
        self.query_one(TopLine).lines = (text(root_name(self.source.root.path)), *parts)


def root_name(path: Path) -> str:
    """Write a root's path; the end says most, so the front of a long one gives way."""
    name = f"{path}/"
    return name if len(name) <= _ROOT_CELLS else ELLIPSIS + name[-_ROOT_CELLS + 1 :]


def sentence_of(problem: Exception) -> str:
    """Give the one line that an error is shown as."""
    words = " ".join(str(problem).split())
    if isinstance(problem, WiretapeError):
        return words
    return f"this could not be read ({type(problem).__name__}: {words[:300]})"
