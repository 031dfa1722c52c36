"""Send a recorded session again: choose targets and changes, see what it takes, confirm, watch."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message

from analyze.tui.failure_lines import verdict_lines
from analyze.tui.lines import text
from analyze.tui.replay_lines import TRIAL_COLUMNS, preview_lines, progress_line, question_lines
from analyze.tui.replay_plan import (
    PlannedReplay,
    Recorded,
    known_targets,
    plan_replay,
    read_recorded,
    run_matrix_of,
    shell_command,
)
from analyze.tui.replay_runner import ReplayRunner, TrialProgress
from analyze.tui.screens.base import SourceScreen, sentence_of
from analyze.tui.screens.command import CommandScreen
from analyze.tui.screens.confirm import ConfirmScreen
from analyze.tui.source import Source
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.matrix import Matrix
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.replay_fields import ReplayFields
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.virtual_table import VirtualTable
from capture.targets import Target
from replay.runs import Run as ReplayRun

if TYPE_CHECKING:
    from replay.verdict import Verdict

NARROW_BELOW = 100
log = logging.getLogger(__name__)


class ReplayScreen(SourceScreen[None]):
    """A form, then the run it started."""

    CSS_PATH = "replay.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next field"),
        Binding("ctrl+r", "send", "send …", tooltip="Ask for a confirmation, then send"),
        Binding("ctrl+y", "command", "command", tooltip="Show and copy the command that does the same"),
        Binding("enter", "open", "open", tooltip="Open the trial under the cursor"),
        Binding("f", "failures", "failures", tooltip="Go to the failures of all sessions"),
        Binding("question_mark", "app.help", "help"),
        Binding("escape", "cancel", "cancel", tooltip="Press twice to cancel the run: what is done is kept"),
        Binding("escape", "back", "back", tooltip="Go back"),
    ]

    class Progressed(Message):
        """A trial began or ended; sent from the thread that plays the run."""

        def __init__(self, progress: TrialProgress) -> None:
            super().__init__()
            self.progress = progress

    class Ended(Message):
        """A run is over: there are new sessions."""

    def __init__(self, source: Source, session_id: str) -> None:
        super().__init__(source)
        self.session_id = session_id
        self.recorded: Recorded | None = None
        self.planned: PlannedReplay | None = None
        self.runner: ReplayRunner | None = None
        self.is_over = False
        self._trials: dict[str, TrialProgress] = {}
        self._asked_to_cancel = False

    def compose(self) -> ComposeResult:
        """Lay out form and run; the run's part is hidden until there is one."""
        yield TopLine()
        yield Notice(id="notice")
        with Horizontal(id="form"):
            yield ReplayFields()
            with Vertical(id="sent"):
                yield Block([text("What will be sent", "strong")])
                yield LineView(indent=2, id="preview")
        with Vertical(id="run"):
            yield Block(id="progress")
            yield VirtualTable[TrialProgress](TRIAL_COLUMNS, key=lambda trial: trial.key, id="trials-of-run")
            yield Matrix(empty_text="no trial has ended yet")
            yield LineView(indent=10, id="verdict")
        yield KeyLine()

    @property
    def fields(self) -> ReplayFields:
        """The form."""
        return self.query_one(ReplayFields)

    @property
    def trials(self) -> VirtualTable[TrialProgress]:
        """The trials of the run."""
        return self.query_one("#trials-of-run", VirtualTable)

    def on_mount(self) -> None:
        """Read the recording."""
        self.place(text(self.session_id), text("replay", "strong"))
        self.query_one("#preview", LineView).show([text("reading the recording …", "muted")])

        def read() -> tuple[Recorded, list[Target]]:
            recorded = read_recorded(self.source.root, self.session_id)
            return recorded, known_targets(recorded)

        self.ask(read, self._offer, kind="recording")

    def on_resize(self, event: events.Resize) -> None:
        """Put form and preview one above the other where they do not fit side by side."""
        self.set_class(event.size.width < NARROW_BELOW, "-narrow")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer sending before a run, what looks at a run after it began, and to cancel it until it is over."""
        del parameters
        if action == "send":
            return self.runner is None
        if action in ("cancel", "back"):
            return (action == "cancel") == self._is_under_way
        return self.runner is not None if action in ("open", "failures") else True

    def _offer(self, answer: tuple[Recorded, list[Target]]) -> None:
        self.recorded, targets = answer
        again = [target.name for target in targets if target.name == self.recorded.target]
        self.fields.offer(targets, again, self.recorded.suggestions)
        self.fields.targets.focus()
        self._plan()

    @on(ReplayFields.Changed)
    def _plan(self) -> None:
        if self.recorded is None or self.runner is not None:
            return
        recorded, form = self.recorded, self.fields.form
        self.planned = None
        self.ask(lambda: plan_replay(recorded, form), self._show_plan, kind="plan")

    def _show_plan(self, planned: PlannedReplay) -> None:
        self.planned = planned
        self.complain("")
        self.query_one("#preview", LineView).show(preview_lines(planned))

    @on(ReplayFields.Refused)
    def _refuse(self, event: ReplayFields.Refused) -> None:
        self.complain(event.sentence)

    def complain(self, sentence: str) -> None:
        """Show what is missing or wrong; what stood in the preview holds no longer."""
        super().complain(sentence)
        if sentence and self.planned is None:
            self.query_one("#preview", LineView).show([text("nothing yet", "muted")])

    def action_command(self) -> None:
        """Show and copy the command that does the same in a shell."""
        if self._is_unfinished():
            return
        form = replace(self.fields.form, targets=tuple(self.fields.chosen) or ("TARGET",))
        self.app.push_screen(CommandScreen(shell_command(self.session_id, form, self.source.root)))

    def action_send(self) -> None:
        """Ask for a confirmation, then play the plan that is shown."""
        if self._is_unfinished():
            return
        planned = self.planned
        if planned is None:
            self.hint("there is nothing to send yet: see above what is missing")
            return

        def start(confirmed: bool | None) -> None:
            if confirmed and self.runner is None:
                self._start(planned)

        self.app.push_screen(ConfirmScreen(question_lines(planned), "send"), start)

    def _is_unfinished(self) -> bool:
        """Say what was typed and not added: whoever typed it would pay for a run without it."""
        typed = self.fields.unfinished if self.runner is None else ""
        if typed:
            self.complain(f"'{typed}' is not in the plan yet: enter in its field adds it")
        return bool(typed)

    def _start(self, planned: PlannedReplay) -> None:
        # From the thread that plays: posting a message is what may be done from there.
        runner = self.runner = ReplayRunner(self.source.root, planned, lambda told: self._post(told))
        self.add_class("-running")
        self.complain("")
        self.trials.focus()
        self.refresh_bindings()
        self._show_progress()

        def play() -> tuple[ReplayRun, str]:
            try:
                return runner.play(), ""
            except Exception as problem:
                log.debug("a run failed", exc_info=True)
                return planned.run, sentence_of(problem)

        self.ask(play, self._end, kind="run")

    def _post(self, progress: TrialProgress) -> None:
        self.post_message(self.Progressed(progress))

    def on_replay_screen_progressed(self, event: Progressed) -> None:
        """Show how far the run is."""
        self._trials[event.progress.key] = event.progress
        self._show_progress()

    def _show_progress(self) -> None:
        if self.planned is None:
            return
        run = self.planned.run
        line = progress_line(run, self.planned.cost.sessions, is_over=self.is_over)
        self.query_one("#progress", Block).lines = (line,)
        self.trials.show(list(self._trials.values()))
        if run.finished_trials:
            self.query_one(Matrix).show(run_matrix_of(run))

    def _end(self, answer: tuple[ReplayRun, str]) -> None:
        run, problem = answer
        if problem and not self._trials:
            # Such as a key that is missing: nothing was sent, and the form can be mended.
            self.runner = None
            self.remove_class("-running")
            self.fields.targets.focus()
            self.refresh_bindings()
            self.complain(problem)
            return
        self.is_over = True
        self.refresh_bindings()
        for trial in [trial for trial in self._trials.values() if trial.outcome is None]:
            self._trials[trial.key] = replace(trial, outcome="cancelled")
        self._show_progress()
        self.post_message(self.Ended())
        if problem or run.status != "done":
            self.complain(problem or f"cancelled: what was done is kept in run {run.run_id}")
        if run.finished_trials:
            self.ask(lambda: _verdict_of(run), self._show_verdict, kind="verdict")

    def _show_verdict(self, verdict: Verdict) -> None:
        self.query_one("#verdict", LineView).show(verdict_lines(verdict))

    @on(RowList.Opened, "#trials-of-run")
    def action_open(self) -> None:
        """Open the trial under the cursor, once it is recorded."""
        current = self.trials.current
        if current is None or current.session_id is None:
            self.hint("this trial is not recorded yet")
        else:
            self.post_message(self.SessionChosen(current.session_id))

    def action_failures(self) -> None:
        """Go to the matrix of all sessions; the run goes on."""
        self.app.switch_mode("failures")

    @property
    def _is_under_way(self) -> bool:
        return self.runner is not None and not self.is_over

    def action_back(self) -> None:
        """Go back."""
        self.dismiss()

    def action_cancel(self) -> None:
        """Cancel the run at the second time."""
        if self._asked_to_cancel and self.runner is not None:
            self.hint("cancelling: calls under way are hung up and recorded as far as they came")
            self.runner.cancel()
        else:
            self._asked_to_cancel = True
            self.hint("escape again cancels the run")
            self.set_timer(5, self._forget_cancel)

    def _forget_cancel(self) -> None:
        self._asked_to_cancel = False

    def on_unmount(self) -> None:
        """Leave nothing running behind."""
        if self._is_under_way and self.runner is not None:
            self.runner.cancel()


def _verdict_of(run: ReplayRun) -> Verdict:
    from replay.verdict import read_verdict

    return read_verdict(run)
