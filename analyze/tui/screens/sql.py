"""SQL over the root: an editor above its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from analyze.investigations import Investigation, find_investigation
from analyze.tui.lines import Line, Run, fit, join, text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.screens.export import Destination, ExportScreen
from analyze.tui.screens.investigations import InvestigationsScreen
from analyze.tui.screens.record import RecordScreen
from analyze.tui.source import Source
from analyze.tui.sql_history import SqlHistory, default_path
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.result_table import ResultTable
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.sql_editor import SqlEditor
from capture.errors import UsageProblem
from capture.narration import counted

if TYPE_CHECKING:
    from analyze.store import ConsoleResult

FIRST_QUESTION = "failure_rate_by_region_and_hour"
"""What the editor holds before anything was ever run."""
_ONLY_IN_RESULTS = frozenset({"open_row", "open_session", "edit", "app.switch_mode", "app.help", "app.quit"})
"""Keys that are letters: in the editor they are typed."""
_BREAK_OFF_EVERY_S = 0.05


class SqlScreen(SourceScreen[None]):
    """One statement, typed or saved, and the rows it gave."""

    CSS_PATH = "sql.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "run", tooltip="Run the statement"),
        Binding("ctrl+up", "recall(-1)", "The statement that was run before", show=False),
        Binding("ctrl+down", "recall(1)", "The statement that was run after", show=False),
        Binding("ctrl+o", "investigations", "saved", tooltip="Open a saved question"),
        Binding("ctrl+s", "export", "export", tooltip="Write the answer as CSV, JSON or Parquet"),
        Binding("enter", "open_row", "row", tooltip="Show all of the row under the cursor"),
        Binding("o", "open_session", "session", tooltip="Open the session of the row under the cursor"),
        Binding("e", "edit", "edit", tooltip="Go to the editor"),
        Binding("f", "app.switch_mode('failures')", "Failures", show=False),
        Binding("tab", "app.switch_mode('sessions')", "Sessions", show=False),
        Binding("f5", "reload", "Look at the root again, and run", show=False),
        Binding("escape", "escape", "Break off what runs, else go back", show=False),
        Binding("question_mark", "app.help", "help"),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._history = SqlHistory(default_path())
        self.answered = ""
        """The statement whose answer is shown."""
        self.running = False

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield SqlEditor(self._history)
        yield Block(id="completions")
        yield Notice(id="notice")
        yield ResultTable(empty_text="ctrl+r runs the statement · typing replaces it · ctrl+o opens a saved one")
        yield Block(id="status")
        yield KeyLine()

    @property
    def editor(self) -> SqlEditor:
        """Where the statement is typed."""
        return self.query_one(SqlEditor)

    @property
    def results(self) -> ResultTable:
        """The answer."""
        return self.query_one(ResultTable)

    def on_mount(self) -> None:
        """Begin with what was run last."""
        self.query_one(TopLine).tab = "SQL"
        self.place(text("sql"))
        statements = self._history.statements
        self.editor.fill(statements[-1] if statements else find_investigation(FIRST_QUESTION).text.strip())
        self.editor.select_from_end()
        self.editor.focus()
        self.ask(self.source.console.catalog, self._take_catalog, kind="catalog")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave letters to the editor while it has the focus."""
        del parameters
        return not (action in _ONLY_IN_RESULTS and isinstance(self.focused, SqlEditor))

    def open_investigation(self, saved: Investigation | None) -> None:
        """Put a saved question into the editor and run it."""
        if saved is not None:
            self.editor.fill(saved.text.strip())
            self.action_run()

    def _take_catalog(self, catalog: Mapping[str, Sequence[str]]) -> None:
        self.editor.catalog = catalog

    def on_sql_editor_completing(self, event: SqlEditor.Completing) -> None:
        """Show what fits at the cursor."""
        width = max(self.size.width - 2, 10)
        names: list[Line] = [
            text(name, "found" if at == event.chosen else "muted") for at, name in enumerate(event.candidates)
        ]
        # The one that stands in the text is in sight.
        line = join(names[max(0, (event.chosen or 0) - 3) :], "  ")
        self.query_one("#completions", Block).lines = ((Run("  "), *fit(line, width)),)

    def action_run(self) -> None:
        """Run what stands in the editor."""
        statement = self.editor.text
        if self.running:
            self.hint("the statement before is still running: escape breaks it off")
            return
        if not statement.strip():
            self.hint("type a SELECT first, or open a saved question with ctrl+o")
            return
        self._history.add(statement)
        # What was run is there to be changed.
        self.editor.move_cursor(self.editor.cursor_location)
        self.running = True
        self._say(text("running … escape breaks it off", "live"))
        self.complain("")
        begun = perf_counter()

        def run() -> ConsoleResult | UsageProblem:
            # An error shows its place, which has lines of its own.
            try:
                return self.source.console.run(statement)
            except UsageProblem as problem:
                return problem

        self.ask(run, lambda answer: self._show(statement, answer, perf_counter() - begun), kind="sql")

    def complain(self, sentence: str) -> None:
        """Show what went wrong; nothing runs then."""
        if sentence:
            self.running = False
            self._say(())
        super().complain(sentence)

    def _show(self, statement: str, answer: ConsoleResult | UsageProblem, took_s: float) -> None:
        self.running = False
        if isinstance(answer, UsageProblem):
            self._say(())
            first, *place = str(answer).split("\n")
            # The mark below the statement's line points at a place in it: neither goes on below.
            lines = [fit((Run("   "), *text(line, "muted")), max(self.size.width, 20)) for line in place]
            self.query_one("#notice", Notice).lines = ((Run(" ▲ ", "failed"), *text(first, "failed")), *lines)
            self.editor.focus()
            return
        self.answered = statement
        explained = answer.columns[:1] == ("explain_key",)
        rows = [(line,) for row in answer.rows for line in str(row[1]).split("\n")] if explained else answer.rows
        self.results.empty_text = "no rows"
        self.results.show(("plan",) if explained else answer.columns, rows)
        more = text("there are more: an export writes them all", "incomplete") if answer.truncated else ()
        unreadable = self.source.console.unreadable()
        left_out = (
            text(f"{counted(unreadable, 'file')} left out: Sessions says why", "incomplete") if unreadable else ()
        )
        count = text(counted(len(answer.rows), "row"), "strong")
        columns = text(counted(len(answer.columns), "column"), "muted")
        self._say(join([count, columns, _duration(took_s), left_out, more], " · "))
        if answer.rows:
            self.results.focus()

    def _say(self, line: Line) -> None:
        self.query_one("#status", Block).lines = ((Run(" "), *line),)

    @on(SqlEditor.Left)
    def _leave_editor(self) -> None:
        if self.running:
            self.action_escape()
        else:
            self.results.focus()

    @on(RowList.Opened)
    def action_open_row(self) -> None:
        """Show the row under the cursor in full."""
        if self.results.current is not None:
            self.app.push_screen(RecordScreen(self.results.columns, self.results.current))

    def action_open_session(self) -> None:
        """Open the session that the row under the cursor is about."""
        row, columns = self.results.current, self.results.columns
        named = None if row is None or "session_id" not in columns else row[columns.index("session_id")]
        if isinstance(named, str):
            self.post_message(self.SessionChosen(named))
        else:
            self.hint("this row names no session: select session_id")

    def action_edit(self) -> None:
        """Go to the editor."""
        self.editor.focus()

    def action_recall(self, direction: int) -> None:
        """Put a statement that was run before into the editor."""
        self.editor.action_recall(direction)

    def action_investigations(self) -> None:
        """Pick a saved question."""
        self.app.push_screen(InvestigationsScreen(), self.open_investigation)

    def action_export(self) -> None:
        """Write the answer that is shown to a file."""
        if not self.answered:
            self.hint("run a statement first")
            return
        statement = self.answered

        def write(destination: Destination | None) -> None:
            if destination is None:
                return
            path, overwrite = destination
            self.running = True
            self._say(text("writing … escape breaks it off", "live"))
            self.ask(
                lambda: self.source.console.export(statement, path, overwrite=overwrite),
                lambda rows: self._written(rows, path),
                kind="sql",
            )

        self.app.push_screen(ExportScreen(Path.cwd()), write)

    def _written(self, rows: int, path: Path) -> None:
        self.running = False
        self.complain("")
        self._say(text(f"{counted(rows, 'row')} in {path}", "ok"))

    def action_escape(self) -> None:
        """Break off what runs; with nothing running, go back to the sessions."""
        if self.running:
            self._say(text("breaking off …", "incomplete"))
            self._break_off()
        else:
            self.app.switch_mode("sessions")

    def _break_off(self) -> None:
        # Again until it ended: the engine may only be about to start.
        if self.running:
            self.source.console.interrupt()
            self.set_timer(_BREAK_OFF_EVERY_S, self._break_off)

    def action_reload(self) -> None:
        """Look at the root again, and run the statement on what is there now."""
        if not self.running:
            self.ask(self.source.console.close, lambda _: self.action_run(), kind="reload")


def _duration(seconds: float) -> Line:
    words = f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
    return text(words, "muted")
