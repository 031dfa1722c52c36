"""Two to eight sessions side by side: aligned events, configuration, latencies, transcripts, outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widgets import ContentSwitcher

from analyze.side_by_side import SideBySide, columns_of, configuration_places, outcomes, turn_latencies
from analyze.tui.diff_lines import configuration_lines, latency_lines, outcome_lines, transcript_lines
from analyze.tui.lines import Line, Run, text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.screens.event_pair import EventPairScreen
from analyze.tui.source import Source
from analyze.tui.widgets.aligned_rows import AlignedRows
from analyze.tui.widgets.compared import Compared
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.painted import Block, Notice

VIEWS = ("events", "configuration", "latencies", "transcripts", "outcomes")


class Views(Block):
    """Names of the views; the current one lit, with how much differs in each."""

    current: reactive[str] = reactive(VIEWS[0], layout=True)

    def __init__(self) -> None:
        super().__init__([()])
        self._counts: dict[str, int] = {}

    def show(self, counts: dict[str, int]) -> None:
        """Say how many differences each view holds."""
        self._counts = counts
        self.refresh()

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write the names."""
        gap = Run("  " if width >= 90 else " ")
        runs: list[Run] = [Run(" ")]
        for number, name in enumerate(VIEWS, 1):
            count = self._counts.get(name)
            differs = "" if count is None else f" ≠{count:,}" if count else " ="
            runs += [
                Run(f"{number} ", "muted"),
                Run(name, "link" if name == self.current else "muted"),
                Run(differs, "incomplete" if count else "muted"),
                gap,
            ]
        return [tuple(runs)]


class DiffScreen(SourceScreen[None]):
    """The differences of sessions from a baseline, which stands first."""

    CSS_PATH = "diff.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_difference(1)", "next difference"),
        Binding("N", "next_difference(-1)", "Difference before", show=False),
        Binding("enter", "open", "open", tooltip="Open both messages side by side, or unfold equal events"),
        Binding("a", "every", "all", tooltip="Show all events, or fold those that are equal"),
        Binding("tab", "turn(1)", "next view"),
        Binding("shift+tab", "turn(-1)", "View before", show=False),
        Binding("1", "view('events')", "Events", show=False),
        Binding("2", "view('configuration')", "Configuration", show=False),
        Binding("3", "view('latencies')", "Latencies", show=False),
        Binding("4", "view('transcripts')", "Transcripts", show=False),
        Binding("5", "view('outcomes')", "Outcomes, audio lengths and tokens", show=False),
        Binding("right", "choose(1)", "Next session", show=False),
        Binding("left", "choose(-1)", "Session before", show=False),
        Binding("b,x", "baseline", "baseline", tooltip="Make the chosen session the baseline; of two, swap them"),
        Binding("question_mark", "app.help", "help"),
        Binding("q,escape", "app.pop_screen", "back"),
    ]

    current: reactive[int] = reactive(1, init=False)
    """Position of the chosen session; 0 is the baseline."""

    def __init__(self, source: Source, session_ids: Sequence[str]) -> None:
        super().__init__(source)
        self.session_ids = list(session_ids)
        self._shown_ids = list(session_ids)
        """Of the events in sight: another baseline takes its time to compare, or cannot be read."""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield Compared()
        yield Views()
        yield Notice(id="notice")
        with ContentSwitcher(initial=VIEWS[0]):
            yield AlignedRows()
            for name in VIEWS[1:]:
                yield LineView(id=name)
        yield KeyLine()

    def on_mount(self) -> None:
        """Compare."""
        self.place(text("diff"), text(f"{len(self.session_ids)} sessions"))
        self.events.focus()
        self._read()

    @property
    def events(self) -> AlignedRows:
        """The aligned events."""
        return self.query_one(AlignedRows)

    def _read(self) -> None:
        session_ids = tuple(self.session_ids)

        self.ask(lambda: self.source.side_by_side(session_ids), self._show, kind="diff")

    def _show(self, shown: SideBySide) -> None:
        self._shown_ids = [detail.summary.session_id for detail in shown.details]
        self.query_one(Compared).show([detail.summary for detail in shown.details])
        self.query_one(Views).show(difference_counts(shown))
        self.events.show(shown.rows)
        # Thousands of turns take a while to write: the events stand by then, and can be read.
        self.call_after_refresh(self.ask, lambda: view_lines(shown), self._show_views, kind="views")

    def _show_views(self, views: dict[str, list[Line]]) -> None:
        for name, content in views.items():
            self.query_one(f"#{name}", LineView).show(content)

    def validate_current(self, current: int) -> int:
        """Keep to the sessions that are compared with the baseline."""
        return max(1, min(current, len(self.session_ids) - 1))

    def watch_current(self, current: int) -> None:
        """Light the column of the chosen session."""
        self.query_one(Compared).current = current
        self.events.column = current

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Open messages only where events are in sight."""
        del parameters
        return not (action == "open" and self.is_mounted and self.query_one(Views).current != VIEWS[0])

    def action_choose(self, step: int) -> None:
        """Choose the next session, or the one before."""
        self.current += step

    def action_view(self, name: str) -> None:
        """Show one of the views."""
        self.query_one(ContentSwitcher).current = name
        self.query_one(Views).current = name
        self.query_one(f"#{name}").focus()
        self.refresh_bindings()

    def action_turn(self, step: int) -> None:
        """Show the next view, or the one before."""
        at = VIEWS.index(self.query_one(Views).current)
        self.action_view(VIEWS[(at + step) % len(VIEWS)])

    def action_next_difference(self, step: int) -> None:
        """Go to the next event that differs, or the one before."""
        self.action_view(VIEWS[0])
        way = "after" if step > 0 else "before"
        if not self.events.go_to_difference(step):
            self.hint(f"no difference {way} this line")

    def action_every(self) -> None:
        """Show all events, or only what differs with equal stretches folded."""
        self.action_view(VIEWS[0])
        self.events.show_every(not self.events.every)

    def action_open(self) -> None:
        """Unfold or fold a stretch of equal events, or open both messages side by side."""
        if self.events.toggle():
            return
        row = self.events.current_event()
        if row is not None:
            left, right = ((self._shown_ids[at], row.rows[at]) for at in (0, self.current))
            if left[1] is None and right[1] is None:
                self.hint(f"session {self.current + 1} has no such event: → chooses another")
            else:
                self.app.push_screen(EventPairScreen(self.source, left, right))

    def on_row_list_opened(self) -> None:
        """Open what was clicked."""
        self.action_open()

    def action_baseline(self) -> None:
        """Compare with the chosen session from now on."""
        at = self.current
        self.session_ids[0], self.session_ids[at] = self.session_ids[at], self.session_ids[0]
        self._read()


def view_lines(shown: SideBySide) -> dict[str, list[Line]]:
    """Write the views that are text, by their names."""
    return {
        "configuration": list(configuration_lines(*configuration_places(shown))),
        "latencies": list(latency_lines(turn_latencies(shown))),
        "transcripts": list(transcript_lines(shown)),
        "outcomes": list(outcome_lines(outcomes(shown))),
    }


def difference_counts(shown: SideBySide) -> dict[str, int]:
    """Count what differs in each view; latencies and lengths that differ by chance are not counted."""
    changed = [place.path for diff in shown.diffs for place in (*diff.configuration_asked, *diff.configuration_echoed)]
    said = [(each.turn, each.who) for diff in shown.diffs for each in diff.transcripts if each.left != each.right]
    return {
        "events": int(columns_of(shown.rows).differs.sum()),
        "configuration": len(set(changed)),
        "transcripts": len(set(said)),
    }
