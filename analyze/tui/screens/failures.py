"""Where sessions fail: what was found, what the newest run proved, a matrix of two dimensions, rates over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from analyze.answers import FailureMatrix, RateOverTime
from analyze.audio_health import AudioHealth
from analyze.filters import narrowed, runs_of
from analyze.findings import Finding, UnknownFailure
from analyze.totals import FindingTotal, total_by_name
from analyze.tui.failure_lines import (
    BELOW_VERDICT,
    cell_filter,
    cell_words,
    found_lines,
    legend_line,
    one_of_several,
    run_facts,
    verdict_lines,
)
from analyze.tui.lines import Line, text
from analyze.tui.memory import Memory
from analyze.tui.rate_lines import rate_lines
from analyze.tui.screens.choose import Choice, ChooseScreen, Chosen
from analyze.tui.screens.filtering import HINT, FilteringScreen
from analyze.tui.source import Source
from analyze.tui.tones import Tone
from analyze.tui.widgets.filter_bar import FilterBar
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.matrix import Matrix
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.row_list import READING, UNREAD
from capture.errors import UsageProblem
from capture.narration import counted

if TYPE_CHECKING:
    from replay.verdict import Verdict

DIMENSIONS = (
    "transcription_model",
    "region",
    "model",
    "target",
    "provider",
    "dialect",
    "voice",
    "cell",
    "run_id",
    "role",
)
"""What `x` and `y` go through; `X` and `Y` offer the others too."""
MORE_DIMENSIONS = (
    "date",
    "host",
    "transcription_model_echoed",
    "model_echoed",
    "turn_detection",
    "input_format",
    "output_format",
    "close_code",
    "closed_by",
    "end_reason",
    "handshake_status",
    "turns",
    "trial_kind",
    "user_agent",
    "first_error",
)
_FIXED_LINES = 10
"""What is on the screen besides findings, verdict and matrix: top, filter, legend, cell, keys, and blanks between."""
_FOUND_LINES = 3
"""As many as what was found has at least, where there is so much."""
_MATRIX_LINES = 6
"""As many as failures.tcss gives the matrix at least: a heading, two values, the totals, and lines between."""


class FailuresScreen(FilteringScreen):
    """k of n for each pair of values of two dimensions."""

    NAME = "failures"
    CSS_PATH = "failures.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "sessions of the cell"),
        Binding("x", "turn_columns", "columns", tooltip="Take another dimension for the columns"),
        Binding("X", "choose('columns')", "Choose the dimension of the columns", show=False),
        Binding("y", "turn_rows", "rows", tooltip="Take another dimension for the rows"),
        Binding("Y", "choose('rows')", "Choose the dimension of the rows", show=False),
        Binding("t", "turn_time", "time", tooltip="Rates over time, or the matrix again"),
        Binding("slash", "filter", "filter", tooltip="Filter the sessions that count"),
        Binding("v", "values", "values", tooltip="Narrow by a value that sessions have, with counts"),
        Binding("l", "saved", "Saved filters", show=False),
        Binding("f", "app.switch_mode('sessions')", "sessions"),
        Binding("colon", "app.switch_mode('sql')", "sql", tooltip="Ask in SQL"),
        Binding("tab", "app.switch_mode('sessions')", "Sessions", show=False),
        Binding("shift+tab", "read", "Scroll what was found, the verdict; back to the matrix", show=False),
        Binding("question_mark", "app.help", "help"),
        Binding("f5", "reload", "Look at the root again", show=False),
        Binding("escape", "leave", "Clear the filter, then to the sessions", show=False),
        Binding("q", "app.quit", "quit"),
    ]

    class CellOpened(Message):
        """The sessions of a cell shall be listed."""

        def __init__(self, filter_text: str | None, session_ids: tuple[str, ...], name: str) -> None:
            super().__init__()
            self.filter_text = filter_text
            """The cell in the words of the session filter; None where they cannot say it."""
            self.session_ids = session_ids
            self.name = name

    def __init__(self, source: Source, memory: Memory | None = None) -> None:
        super().__init__(source, memory)
        kept = self.memory.recall(self.NAME)
        self.rows, self.columns = kept.get("rows", DIMENSIONS[0]), kept.get("columns", DIMENSIONS[1])
        self.shows_time = kept.get("shows") == "time"
        self._judged: tuple[str, ...] = ()
        """The runs that the filter named when the verdict was asked for."""
        self._found: tuple[Sequence[UnknownFailure], Sequence[FindingTotal]] = ((), ())
        self._rates: Sequence[RateOverTime] = ()

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield FilterBar("filter", HINT)
        yield Notice(id="notice")
        yield LineView(indent=4, id="found")
        yield Block(id="more")
        yield LineView(indent=10, id="verdict")
        yield Block(id="legend")
        yield Matrix()
        yield LineView(indent=2, id="rates")
        yield Block(id="cell")
        yield KeyLine()

    def on_mount(self) -> None:
        """Ask for the matrix and the newest verdict."""
        self.query_one(TopLine).tab = "Failures"
        self.open_bar()
        self.place(text("failures"))
        self._show_time_or_matrix()
        self._read()
        self._judge()

    def _judge(self) -> None:
        """Ask for the verdict of the runs that the filter names, else of the newest."""
        self._judged = named = runs_of(self.filter_text)
        self.ask(lambda: self._verdict_of(named), self._show_verdict, kind="verdict")

    def _read(self) -> None:
        by, words = (self.rows, self.columns), self.filter_text
        self.looked = self.source.looks
        self.memory.remember(self.NAME, rows=self.rows, columns=self.columns)
        self.ask(
            # Which files are damaged is known once they were read.
            lambda: (self.source.failures(by, filter=words), len(self.source.unreadable())),
            self._show,
            kind="failures",
        )
        if self.shows_time:
            self.ask(lambda: self.source.failures_over_time(by[0], filter=words), self._show_rates, kind="rates")
        self.ask(
            lambda: (self.source.unknown_failures(words), self.source.findings(words)),
            self._show_found,
            kind="findings",
        )

    def filter_changed(self) -> None:
        """Count the sessions of another filter."""
        self._read()
        if runs_of(self.filter_text) != self._judged:
            # Of a name that no run bears there is none, and that of another would mislead.
            self._show_verdict(None)
            self._judge()

    def leave_filter(self) -> None:
        """Go to the matrix, or to the rates in its place."""
        self.query_one("#rates" if self.shows_time else "Matrix").focus()

    def action_read(self) -> None:
        """Go to what was found, then to the verdict, where they are longer than their room; then to what is below."""
        views = [view for view in self.query(LineView) if view.id != "rates" and view.max_scroll_y]
        at = views.index(self.focused) + 1 if self.focused in views else 0
        if at < len(views):
            views[at].focus()
        else:
            self.leave_filter()

    def on_resize(self) -> None:
        """Share out another height, and write for another width."""
        self._share_height()
        self._draw_rates()

    def _share_height(self) -> None:
        """Give the verdict a fifth of the lines at least, what was found all that it needs, each as far as it goes."""
        width, height = self.size.width - 2, self.size.height
        found, verdict = self.query_one("#found", LineView), self.query_one("#verdict", LineView)
        matrix = max(self.query_one(Matrix).virtual_size.height, _MATRIX_LINES)
        free = height - _FIXED_LINES - matrix
        of_verdict = min(verdict.get_content_height(self.size, self.size, width), height // 5)
        room = max(_FOUND_LINES, free - of_verdict)
        unknown, totals = self._found
        found.show(found_lines(unknown, totals, width - 1))
        needed = found.get_content_height(self.size, self.size, width)
        found.styles.max_height = room if needed <= room else room - 1
        lists_all = self.source.root.command("wiretape analyze failures")
        more = f"   {len(found.lines):,} in all: shift+tab ↓, or {lists_all}"
        self.query_one("#more", Block).lines = (text(more, "muted"),) if needed > room else ()
        verdict.styles.max_height = max(height // 5, free - min(needed, room))

    def _show_time_or_matrix(self) -> None:
        self.set_class(self.shows_time, "-time")
        self.refresh_bindings()
        self.leave_filter()

    def _show_rates(self, rates: Sequence[RateOverTime]) -> None:
        self._rates = rates
        self._draw_rates()

    def _draw_rates(self) -> None:
        self.query_one("#rates", LineView).show(rate_lines(self._rates, self.size.width - 4, self.rows))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Open a cell only where cells are in sight."""
        del parameters
        return not (action == "open" and self.shows_time)

    def action_turn_time(self) -> None:
        """Show rates over time, or the matrix again."""
        self.shows_time = not self.shows_time
        self.memory.remember(self.NAME, shows="time" if self.shows_time else "matrix")
        self._show_time_or_matrix()
        self._read()

    def action_leave(self) -> None:
        """Clear the filter; without one, go to the sessions."""
        if self.filter_text:
            self.set_filter("")
        else:
            self.run_worker(self.app.run_action("app.switch_mode('sessions')"))

    def action_choose(self, side: str) -> None:
        """Choose a dimension from all there are, tags too."""
        self.ask(self._tag_names, lambda names: self._offer_dimensions(side, names), kind="values")

    def _tag_names(self) -> list[str]:
        values = [facet.value for facet in self.source.facets() if facet.field == "tag"]
        return sorted({f"tag:{value.partition('=')[0]}" for value in values})

    def _offer_dimensions(self, side: str, tags: Sequence[str]) -> None:
        def take(chosen: Chosen | None) -> None:
            if chosen is not None:
                setattr(self, side, chosen.value)
                self._read()

        other = self.columns if side == "rows" else self.rows
        names = [name for name in (*DIMENSIONS, *tags, *MORE_DIMENSIONS) if name != other]
        choices = [Choice(name, name.replace("_", " "), text(name.replace("_", " "))) for name in names]
        self.app.push_screen(ChooseScreen(f"Dimension of the {side}", choices), take)

    def _show_found(self, found: tuple[Sequence[UnknownFailure], Sequence[Finding]]) -> None:
        unknown, findings = found
        self._found = unknown, total_by_name(findings)
        self._share_height()

    def _show(self, answer: tuple[FailureMatrix, int]) -> None:
        matrix, unreadable = answer
        self.complain(f"{counted(unreadable, 'file')} left out here: Sessions says why" if unreadable else "")
        ways_on = "escape clears the filter" if self.filter_text else "f lists all there are"
        self.query_one(Matrix).show(matrix, empty_text=f"no sessions that failed or passed; {ways_on}")
        self.bar.found = text(f" {matrix.total.failed:,} of {matrix.total.trials:,} failed ", "muted")
        self.query_one("#legend", Block).lines = (legend_line(),)
        self._share_height()

    def complain(self, sentence: str) -> None:
        """Show what went wrong; a matrix that was not read then is not waited for."""
        super().complain(sentence)
        matrix = self.query_one(Matrix)
        if sentence and matrix.empty_text == READING:
            matrix.empty_text = UNREAD

    def _verdict_of(self, named: Sequence[str]) -> tuple[Line, Verdict, AudioHealth | None] | None:
        runs = self.source.runs()
        run_ids = named or tuple(run.run_id for run in runs[:1])
        if not run_ids:
            return None
        verdict = self.source.verdict(*run_ids)
        facts = run_facts(run_ids, [run for run in runs if run.run_id in run_ids])
        try:
            return facts, verdict, self.source.audio_health(verdict.session_id)
        except UsageProblem:
            # The recording that was replayed is gone.
            return facts, verdict, None

    def _show_verdict(self, judged: tuple[Line, Verdict, AudioHealth | None] | None) -> None:
        lines: list[Line] = []
        if judged is not None:
            facts, verdict, health = judged
            lines += verdict_lines(verdict)
            lines.append((BELOW_VERDICT, *facts))
            if verdict.failure_key is not None:
                lines.append((BELOW_VERDICT, *one_of_several(verdict.failure_key)))
            if health is not None and health.sent_ms > 0:
                tone: Tone = "incomplete" if health.is_wrong else "muted"
                which = "sent" if verdict.is_of_recorded_audio else "recorded"
                lines.append((BELOW_VERDICT, *text(f"{which} audio: {health.sentence}", tone)))
        self.query_one("#verdict", LineView).show(lines)
        self._share_height()

    def on_matrix_moved(self) -> None:
        """Say in words what the cell under the cursor shows."""
        cell = self.query_one(Matrix).current
        self.query_one("#cell", Block).lines = (cell_words(cell),) if cell is not None else ()

    def action_turn_columns(self) -> None:
        """Take the next dimension for the columns."""
        self.columns = _next_dimension(self.columns, self.rows)
        self._read()

    def action_turn_rows(self) -> None:
        """Take the next dimension for the rows."""
        self.rows = _next_dimension(self.rows, self.columns)
        self._read()

    @on(Matrix.CellChosen)
    def action_open(self) -> None:
        """List the sessions of the cell under the cursor."""
        cell = self.query_one(Matrix).current
        if cell is not None and cell.session_ids:
            filter_text = cell_filter({self.rows: cell.row, self.columns: cell.column})
            if filter_text is not None:
                # What the matrix was narrowed to holds for its cells.
                filter_text = narrowed(self.filter_text, filter_text)
            self.post_message(self.CellOpened(filter_text, cell.session_ids, f"{cell.row} × {cell.column}"))

    def action_reload(self) -> None:
        """Look at the root again."""
        self.ask(self.source.reload, lambda _: self.root_changed(), kind="failures")

    def root_changed(self) -> None:
        """Count again, and judge again."""
        self._read()
        self._judge()


def _next_dimension(dimension: str, other: str) -> str:
    ahead = [name for name in DIMENSIONS if name != other]
    at = ahead.index(dimension) if dimension in ahead else -1
    return ahead[(at + 1) % len(ahead)]
