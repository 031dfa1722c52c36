"""Where sessions fail: what was found, a matrix over two dimensions, and what the newest run proved."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from analyze.answers import FailureMatrix, MatrixCell, RunSummary
from analyze.audio_health import AudioHealth
from analyze.findings import Finding, UnknownFailure
from analyze.totals import FindingTotal, span_words, total_by_name
from analyze.tui.figures import counted, failure_text, percent
from analyze.tui.lines import Line, Run, text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.source import Source
from analyze.tui.tones import Tone
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.matrix import ALL, PALE_BELOW, Matrix
from analyze.tui.widgets.painted import Block
from capture.errors import UsageProblem

if TYPE_CHECKING:
    from replay.verdict import Verdict

ABSENT = "–"
"""How the matrix writes a value that sessions do not have."""
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


class FailuresScreen(SourceScreen[None]):
    """k of n for each pair of values of two dimensions."""

    CSS_PATH = "failures.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "sessions of the cell"),
        Binding("x", "turn_columns", "columns", tooltip="Take another dimension for the columns"),
        Binding("y", "turn_rows", "rows", tooltip="Take another dimension for the rows"),
        Binding("f", "app.switch_mode('sessions')", "sessions"),
        Binding("colon", "app.switch_mode('sql')", "sql", tooltip="Ask in SQL"),
        Binding("tab", "app.switch_mode('sessions')", "Sessions", show=False),
        Binding("question_mark", "app.help", "help"),
        Binding("f5", "reload", "Look at the root again", show=False),
        Binding("escape", "app.switch_mode('sessions')", "Sessions", show=False),
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

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.rows, self.columns = DIMENSIONS[0], DIMENSIONS[1]

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield Block(id="notice")
        yield Block(id="found")
        yield Block(id="legend")
        yield Matrix()
        yield Block(id="cell")
        yield LineView(indent=10, id="verdict")
        yield KeyLine()

    def on_mount(self) -> None:
        """Ask for the matrix and the newest verdict."""
        self.query_one(TopLine).tab = "Failures"
        self.query_one(Matrix).focus()
        self.place(text("failures"))
        self._read()

    def _read(self) -> None:
        by = (self.rows, self.columns)
        self.ask(lambda: self.source.failures(by), self._show, kind="failures")
        self.ask(self._newest_verdict, self._show_verdict, kind="verdict")
        self.ask(lambda: (self.source.unknown_failures(), self.source.findings()), self._show_found, kind="findings")

    def _show_found(self, found: tuple[Sequence[UnknownFailure], Sequence[Finding]]) -> None:
        unknown, findings = found
        lines = [*map(unknown_line, unknown), *map(total_line, total_by_name(findings))]
        # The matrix and the verdict need their room: all but three lines of a terminal of 24.
        room = max(3, (self.size.height - 18) // 2)
        if len(lines) > room:
            more = f"    and {len(lines) - room + 1:,} more; wiretape analyze failures lists all"
            lines = [*lines[: room - 1], text(more, "muted")]
        self.query_one("#found", Block).lines = tuple(lines)

    def _show(self, matrix: FailureMatrix) -> None:
        self.complain("")
        self.query_one(Matrix).show(matrix)
        self.query_one("#legend", Block).lines = (
            (
                Run("  failed / trials, Wilson interval 95 %", "muted"),
                Run(f" · pale below {PALE_BELOW} trials · +n not counted", "pale"),
            ),
        )

    def _newest_verdict(self) -> tuple[RunSummary, Verdict, AudioHealth | None] | None:
        runs = self.source.runs()
        if not runs:
            return None
        verdict = self.source.verdict(runs[0].run_id)
        try:
            return runs[0], verdict, self.source.audio_health(verdict.session_id)
        except UsageProblem:
            # The recording that was replayed is gone.
            return runs[0], verdict, None

    def _show_verdict(self, newest: tuple[RunSummary, Verdict, AudioHealth | None] | None) -> None:
        lines: list[Line] = []
        if newest is not None:
            run, verdict, health = newest
            lines.append((Run("verdict   ", "muted"), *text(verdict.sentence, "strong")))
            trials, cells = counted(run.trials, "trial"), counted(run.cells, "cell")
            facts = f"run {run.run_id} · {trials} in {cells}"
            lines.append((Run("          "), *text(facts, "muted")))
            if health is not None and health.sent_ms > 0:
                tone: Tone = "incomplete" if health.is_wrong else "muted"
                lines.append((Run("          "), *text(f"sent audio: {health.sentence}", tone)))
        self.query_one("#verdict", LineView).show(lines)

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
            self.post_message(self.CellOpened(filter_text, cell.session_ids, f"{cell.row} × {cell.column}"))

    def action_reload(self) -> None:
        """Look at the root again."""
        self.ask(self.source.reload, lambda _: self._read(), kind="failures")


def unknown_line(failure: UnknownFailure) -> Line:
    """Write a failure that no signature knows: under its key, never under a name."""
    return (*_count("?", failure.count), *failure_text(failure.failure_key))


def total_line(total: FindingTotal) -> Line:
    """Write how often something was found, how sure that is, and when."""
    seen = f"  {total.confidence} · {span_words(total.first_at, total.last_at)}"
    return (*_count("▲", total.count), *text(total.name, "strong"), *text(seen, "muted"))


def _count(sign: str, sessions: int) -> Line:
    return (Run(f"  {sign} ", "failed"), *text(f"{counted(sessions, 'session'):<12}", "plain"))


def cell_words(cell: MatrixCell) -> Line:
    """Write a cell as a sentence."""
    left_out = f" · {cell.not_counted:,} not counted (incomplete, throttled, not run)" if cell.not_counted else ""
    interval = f" · {percent(cell.low, cell.high)}" if cell.trials else ""
    share = f"{cell.failed:,} of {cell.trials:,} failed{interval}{left_out}"
    return (*text(f"  {cell.row} × {cell.column}", "strong"), *text(f"  {share}", "muted"))


def cell_filter(values: Mapping[str, str]) -> str | None:
    """Write a cell as a session filter, `region:eastus2 model:…`; None where a value cannot be written so."""
    if any(value == ABSENT or set(value) & set(',*"') for value in values.values()):
        return None
    return " ".join(shlex.quote(f"{name}:{value}") for name, value in values.items() if value != ALL)


def _next_dimension(dimension: str, other: str) -> str:
    ahead = [name for name in DIMENSIONS if name != other]
    return ahead[(ahead.index(dimension) + 1) % len(ahead)]
