"""Mark sessions of the list, and do something with all of them: compare them, say something of them."""

from __future__ import annotations

from collections.abc import Sequence

from analyze.annotating import check_annotatable
from analyze.answers import SessionSummary
from analyze.tui.memory import Memory
from analyze.tui.screens.annotate import AnnotateScreen, Remarks
from analyze.tui.screens.filtering import FilteringScreen
from analyze.tui.source import Source
from analyze.tui.widgets.virtual_table import VirtualTable
from capture.errors import UsageProblem
from capture.narration import counted

COMPARED = 8
"""Sessions that are set side by side at most."""


class MarkingScreen(FilteringScreen):
    """A screen with a table of sessions, any number of which can be marked."""

    def __init__(self, source: Source, memory: Memory | None = None) -> None:
        super().__init__(source, memory)
        self.marks: dict[str, SessionSummary] = {}
        """Marked sessions by id, in the order they were marked; one may be out of the filter's sight by now."""

    @property
    def table(self) -> VirtualTable[SessionSummary]:
        """The list."""
        return self.query_one(VirtualTable)

    def read(self, *, keep_cursor: bool = True) -> None:
        """Ask for the sessions again."""
        raise NotImplementedError

    def unmark(self) -> None:
        """Take all marks away."""
        self.marks = {}
        self.table.mark(())

    def unmark_gone(self) -> None:
        """Take the marks of those away that the root no longer has."""
        marked = list(self.marks)

        def keep(there: Sequence[SessionSummary]) -> None:
            for session_id in set(marked) - {session.session_id for session in there}:
                self.marks.pop(session_id, None)
            self.table.mark(tuple(self.marks))

        if marked:
            self.ask(lambda: self.source.sessions_by_id(marked), keep, kind="marks")

    def action_mark(self) -> None:
        """Mark or unmark the current session and go on to the next."""
        current = self.table.current
        if current is None:
            return
        if self.marks.pop(current.session_id, None) is None:
            self.marks[current.session_id] = current
        self.table.mark(tuple(self.marks))
        self.table.action_move(1)

    def action_diff(self) -> None:
        """Compare the marked sessions, or the marked one with the current."""
        current = self.table.current
        chosen = list(self.marks)
        if len(chosen) == 1 and current is not None and current.session_id not in chosen:
            chosen.append(current.session_id)
        if len(chosen) < 2:
            self.hint("mark sessions with space, or one and go to another; then press d")
            return
        if len(chosen) > COMPARED:
            self.hint(f"compared are the first {COMPARED} of {counted(len(chosen), 'marked session')}")
        self.post_message(self.DiffChosen(chosen[:COMPARED]))

    def action_annotate(self) -> None:
        """Give the marked sessions, or else the current one, tags and a note."""
        current = self.table.current
        sessions = list(self.marks.values()) or ([current] if current is not None else [])
        if not sessions:
            return
        # Said before it is typed, where it can be known.
        self.ask(
            lambda: check_annotatable(self.source.root), lambda _: self._ask_for_remarks(sessions), kind="annotate"
        )

    def _ask_for_remarks(
        self, sessions: Sequence[SessionSummary], unwritten: Remarks | None = None, problem: str = ""
    ) -> None:
        ids = [session.session_id for session in sessions]

        def write(remarks: Remarks | None) -> None:
            if remarks is not None:
                self.ask(lambda: self._write(ids, remarks), lambda problem: written(remarks, problem), kind="annotate")

        def written(remarks: Remarks, problem: str) -> None:
            if problem:
                self._ask_for_remarks(sessions, remarks, problem)
            else:
                self._annotated(len(ids))

        self.app.push_screen(AnnotateScreen(sessions, unwritten, problem), write)

    def _write(self, ids: Sequence[str], remarks: Remarks) -> str:
        """Write remarks down; gives why they cannot be, so that they can be asked for again."""
        try:
            self.source.annotate(ids, remarks.tags, remarks.notes)
        except UsageProblem as problem:
            return str(problem)
        return ""

    def _annotated(self, count: int) -> None:
        self.hint(f"written down for {counted(count, 'session')}")
        self.unmark()
        self.read()
