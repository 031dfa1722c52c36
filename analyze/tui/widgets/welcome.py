"""What an empty root shows: how to record."""

from __future__ import annotations

from collections.abc import Sequence

from analyze.tui.lines import Line, Run, text, wrap
from analyze.tui.widgets.painted import Block

_WAYS: tuple[tuple[str, str], ...] = (
    ("wiretape demo", "an incident staged, recorded, replayed and explained; no key, no network"),
    ("wiretape capture proxy --to wss://HOST/openai/v1/realtime", "then point your client at ws://127.0.0.1:8765"),
    ("wiretape capture call --to TARGET --audio clip.wav", "place a call from a sound file and record it"),
)


class Welcome(Block):
    """A few commands to begin with."""

    DEFAULT_CSS = """
    Welcome { padding: 1 4; height: 1fr; }
    """

    def welcome(self, root: str, *, has_folder: bool) -> None:
        """Say that a root is empty, or that there is none, and what fills it."""
        lines: list[Line] = [
            (
                Run("No recordings yet in " if has_folder else "No recordings: there is no folder "),
                *text(root, "strong"),
            ),
            (),
            text("Record a session:", "muted"),
        ]
        for command, what in _WAYS:
            lines += [(), (Run("  "), *text(command, "live")), (Run("    "), *text(what, "muted"))]
        lines += [
            (),
            (Run("Recordings elsewhere?  ", "muted"), *text("wiretape analyze --recordings FOLDER", "live")),
            (Run("Recorded something meanwhile?  ", "muted"), Run("F5", "strong"), Run(" looks again", "muted")),
        ]
        self.lines = tuple(lines)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Give the lines; what is too long for the width goes on below."""
        return [part for line in self.lines for part in wrap(line, max(width, 20), 4)]
