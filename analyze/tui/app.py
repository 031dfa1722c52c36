"""The app: modes, keys that work everywhere, and which screen follows which message."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, ClassVar, TextIO

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from analyze.tui.hang_up import end_with_server, end_with_terminal
from analyze.tui.job_control import may_be_stopped
from analyze.tui.memory import Memory, default_path
from analyze.tui.palette import ScreenCommands, SessionJump
from analyze.tui.screens.base import SourceScreen
from analyze.tui.screens.help import HelpScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.source import RootSource, Source
from analyze.tui.tones import DARK_THEME, LIGHT_THEME
from capture.errors import UsageProblem
from capture.event_loop import pass_over_the_heap
from capture.recording.root import Root

if TYPE_CHECKING:
    from analyze.tui.screens.failures import FailuresScreen
    from analyze.tui.screens.sql import SqlScreen

REPLAYING = "run"
"""Kind of the question that plays a replay."""
MODES = ("sessions", "failures", "sql")
"""The main screens."""


_COLLECT_AFTER = 20_000


class WiretapeApp(App[None]):
    """Sessions, Failures and SQL side by side; Session and Diff above them."""

    TITLE = "wiretape"
    CSS = """
    ScrollView {
        scrollbar-color: $foreground 30%;
        scrollbar-color-hover: $foreground 50%;
        scrollbar-color-active: $foreground 60%;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
    }
    """
    COMMANDS: ClassVar = App.COMMANDS | {ScreenCommands, SessionJump}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Leave wiretape", show=False, priority=True),
        # In a field it undoes what was typed.
        Binding("ctrl+z", "suspend_process", "Back to the shell; fg returns", show=False),
    ]

    def __init__(
        self, source: Source, *, start: str | None = None, light: bool = False, memory: Memory | None = None
    ) -> None:
        super().__init__()
        self.source = source
        self.memory = memory or Memory(None, source.root)
        self._start = start
        self._light = light
        self.add_mode("sessions", lambda: SessionsScreen(source, self.memory))
        # Screens are imported when they are first shown: all of them take as long as the first takes to be drawn.
        self.add_mode("failures", self._failures_screen)
        self.add_mode("sql", self._sql_screen)

    def on_mount(self) -> None:
        """Take the theme and go to the first screen; `start` names a session, `failures` or `sql`."""
        self.register_theme(DARK_THEME)
        self.register_theme(LIGHT_THEME)
        self.theme = LIGHT_THEME.name if self._light else DARK_THEME.name
        # What stood on the terminal before it was the shell's is gone.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        if not writes_utf_8(sys.__stderr__):
            words = "this locale lacks some signs, and columns move: start with LC_ALL=C.UTF-8"
            self.notify(words, severity="warning", timeout=10, markup=False)
        self.mode_change_signal.subscribe(self, lambda mode: self.memory.remember("app", mode=mode))
        # Without a wish one comes back to where one was.
        first = self._start or self.memory.recall("app").get("mode")
        self.switch_mode(first if first in MODES else "sessions")
        if self._start not in (None, *MODES):
            self.open_session(self._start)

    def on_unmount(self) -> None:
        """Break off what is read: the program ends when the last of its threads does."""
        self.source.leave()

    def _failures_screen(self) -> FailuresScreen:
        from analyze.tui.screens.failures import FailuresScreen

        return FailuresScreen(self.source, self.memory)

    def _sql_screen(self) -> SqlScreen:
        from analyze.tui.screens.sql import SqlScreen

        return SqlScreen(self.source)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Keep of Textual's own commands what has no key here: themes, screenshot, quit."""
        kept = ("Theme", "Screenshot", "Quit")
        return [command for command in super().get_system_commands(screen) if command.title in kept]

    def action_help(self) -> None:
        """Show the keys of the current screen."""
        self.push_screen(HelpScreen(self.screen))

    def action_suspend_process(self) -> None:
        """Give the terminal back to the shell until it is told `fg`."""
        if not may_be_stopped():
            self.notify("no shell waits for this program: ctrl+q leaves it", timeout=3)
        elif any(worker.group == REPLAYING and worker.is_running for worker in self.workers):
            self.notify("a replay runs, and would stand still too: cancel it first, or wait", timeout=3)
        else:
            super().action_suspend_process()

    def on_source_screen_session_chosen(self, message: SourceScreen.SessionChosen) -> None:
        """Open a session."""
        self.open_session(message.session_id)

    def on_source_screen_follow_chosen(self, message: SourceScreen.FollowChosen) -> None:
        """Follow a session in flight."""
        self.follow_session(message.session_id)

    def on_source_screen_diff_chosen(self, message: SourceScreen.DiffChosen) -> None:
        """Compare sessions."""
        self.open_diff(message.session_ids)

    def on_source_screen_replay_chosen(self, message: SourceScreen.ReplayChosen) -> None:
        """Open the form that sends a session again."""
        from analyze.tui.screens.replay import ReplayScreen

        self.push_screen(ReplayScreen(self.source, message.session_id))

    def on_replay_screen_ended(self) -> None:
        """Have the lists look at the root again."""
        from analyze.tui.screens.failures import FailuresScreen

        for mode in MODES:
            with suppress(KeyError):
                for screen in self.get_screen_stack(mode):
                    if isinstance(screen, SessionsScreen | FailuresScreen):
                        screen.action_reload()

    def open_session(self, session_id: str) -> None:
        """Open a session."""
        from analyze.tui.screens.session import SessionScreen

        self.push_screen(SessionScreen(self.source, session_id))

    def follow_session(self, session_id: str) -> None:
        """Follow a session in flight."""
        from analyze.tui.screens.follow import FollowScreen

        self.push_screen(FollowScreen(self.source, session_id))

    def open_diff(self, session_ids: Sequence[str]) -> None:
        """Compare two to eight sessions; the first is the baseline."""
        from analyze.tui.screens.diff import DiffScreen

        self.push_screen(DiffScreen(self.source, session_ids))

    async def investigate(self, name: str) -> None:
        """Open a saved question on the SQL screen and run it."""
        from analyze.investigations import find_investigation
        from analyze.tui.screens.sql import SqlScreen

        await self.switch_mode("sql")
        if isinstance(self.screen, SqlScreen):
            self.screen.open_investigation(find_investigation(name))

    async def on_failures_screen_cell_opened(self, message: FailuresScreen.CellOpened) -> None:
        """List the sessions of a cell."""
        await self.switch_mode("sessions")
        if isinstance(self.screen, SessionsScreen):
            self.screen.narrow(message.filter_text, message.session_ids, message.name)


def writes_utf_8(stream: TextIO | None) -> bool:
    """Tell whether a stream has all characters; Textual draws on stderr, where others come as escapes of many cells."""
    return stream is None or codecs.lookup(stream.encoding).name == "utf-8"


def spare_the_screen() -> AbstractContextManager[None]:
    """Have the garbage collector come seldom: over all modules it takes as long as a key is noticed to wait.

    A comparison of long sessions makes a hundred thousand objects, and the collector is an eighth of its time.
    """
    return pass_over_the_heap(collect_after=_COLLECT_AFTER)


def run(root: Root, *, start: str | None = None) -> None:
    """Show a root until the user leaves; `start` names a session to open, `failures` or `sql`.

    Raises `UsageProblem` where there is no terminal to show it in.
    """
    # Textual draws on stderr and reads keys from stdin; without either it would wait for ever.
    # A driver of its own brings its own ways, as that of a web browser does.
    has_driver = bool(os.environ.get("TEXTUAL_DRIVER"))
    if not has_driver and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageProblem("this needs a terminal: ask a question instead, such as `wiretape analyze sessions`")
    if has_driver:
        end_with_server()
    else:
        end_with_terminal()
    source = RootSource(root)
    try:
        with spare_the_screen():
            WiretapeApp(source, start=start, memory=Memory(default_path(), root)).run()
    finally:
        source.close()
