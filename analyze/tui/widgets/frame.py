"""The first and the last line of every screen: where I am, and the keys that work here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from textual import events
from textual.binding import ActiveBinding, Binding
from textual.reactive import reactive
from textual.screen import Screen
from textual.strip import Strip

from analyze.tui.lines import Line, Run, join, spread, text, width_of
from analyze.tui.widgets.painted import Block, Painted

TABS = {"Sessions": "sessions", "Failures": "failures", "SQL": "sql"}
"""The main screens as they are called, and their modes."""
_TAB_GAP = "   "
_LEAST = (60, 18)
"""Columns and lines below which a screen has something out of sight for good."""
_KEY_NAMES = {
    "colon": ":",
    "question_mark": "?",
    "slash": "/",
    "escape": "esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "left": "←",
    "right": "→",
}


def screen_keys(screen: Screen[Any]) -> Iterator[tuple[Binding, str]]:
    """Give the keys that work on a screen, with what they do in full; moving about is not among them.

    Those of the widget that has the focus come first, then the screen's as it lists them.
    """
    declared = [binding.action for binding in screen.BINDINGS if isinstance(binding, Binding)]

    def place(active: ActiveBinding) -> tuple[int, bool]:
        action = active.binding.action.removeprefix("screen.")
        # Where two keys do the same, the shown one stands for both.
        return declared.index(action) if action in declared else -1, not active.binding.show

    for active in sorted(screen.active_bindings.values(), key=place):
        if _is_own(active, screen) and active.binding.description and not active.binding.system:
            yield active.binding, active.tooltip or active.binding.description


def _is_own(active: ActiveBinding, screen: Screen[Any]) -> bool:
    """Tell a key of ours from those that Textual gives every screen and every widget."""
    action = active.binding.action
    if active.binding.show:
        return True
    if active.node is screen:
        return not action.startswith(("app.focus", "screen."))
    # A widget that leaves a key to its screen, which its class would else keep.
    return action.startswith("screen.") and active.node is not screen.app


def key_name(binding: Binding) -> str:
    """Write a key as it stands on a keyboard."""
    return _KEY_NAMES.get(binding.key, binding.key)


class TopLine(Block):
    """Product, place and counts on the left; the two main screens on the right, the current one lit."""

    tab: reactive[str] = reactive("")
    """Name of the current main screen; empty on others."""

    def lines_at(self, width: int) -> Sequence[Line]:
        """Set the place at the left and the tabs at the right."""
        tabs = join([text(name, "strong" if name == self.tab else "muted") for name in TABS], _TAB_GAP)
        place = (Run(" wiretape", "live"), Run("  "), *join(self.lines, " · "))
        return [spread(place, (*tabs, Run(f"{_TAB_GAP}? ", "muted")), width)]

    def on_click(self, event: events.Click) -> None:
        """Go to the tab that was clicked; the question mark shows the keys."""
        names = [*TABS, "?"]
        left = self.size.width - sum(map(len, names)) - len(_TAB_GAP) * len(TABS) - 1
        for name in names:
            if left <= event.x < left + len(name):
                action = "app.help" if name == "?" else f"app.switch_mode({TABS[name]!r})"
                self.run_worker(self.screen.run_action(action))
            left += len(name) + len(_TAB_GAP)


class KeyLine(Painted):
    """The keys that work here, as many as fit; each can be clicked."""

    DEFAULT_CSS = """
    KeyLine { height: 1; width: 1fr; dock: bottom; }
    """

    def on_mount(self) -> None:
        """Follow what has the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._keys_changed)
        # A window that is only made lower is another size too.
        self.screen.screen_layout_refresh_signal.subscribe(self, self._keys_changed)

    def _keys_changed(self, screen: Screen[object]) -> None:
        del screen
        self.refresh()

    def keys(self) -> list[tuple[str, str, str]]:
        """Give key, how it is written, and what it does: the focused widget's first, then as the screen lists them."""
        declared = [binding.action for binding in self.screen.BINDINGS if isinstance(binding, Binding)]
        shown: dict[str, tuple[str, str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled:
                # One that names the keys around it, too, speaks for them here, where these have no room.
                written = binding.key_display or key_name(binding)
                shown.setdefault(binding.action, (binding.key, written, binding.description))
        ordered = sorted(shown, key=lambda action: declared.index(action) if action in declared else -1)
        return [shown[action] for action in ordered]

    def render_line(self, y: int) -> Strip:
        """Draw the keys."""
        del y
        width = self.size.width
        runs = [run for _, part in self._parts(width) for run in part]
        return self.strip_of((Run(" "), *runs[:-1]), width)

    def _parts(self, width: int) -> list[tuple[str, Line]]:
        parts: list[tuple[str, Line]] = [
            (key, (Run(written, "strong"), Run(f" {description}", "muted"), Run(" · ", "pale")))
            for key, written, description in self.keys()
        ]
        if self.app.size.width < _LEAST[0] or self.app.size.height < _LEAST[1]:
            parts.insert(0, ("", (Run("made for 80x24", "incomplete"), Run(" · ", "pale"))))
        # The last two are help and the way out: those before them give way.
        while len(parts) > 2 and sum(width_of(part) for _, part in parts) - 3 > width - 2:
            del parts[-3]
        return parts

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        left = 1
        for key, part in self._parts(self.size.width):
            left += width_of(part)
            if event.x < left:
                if key:
                    self.app.simulate_key(key)
                return
