"""The keys of the screen beneath, and what the signs mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from analyze.tui.lines import Line, Run, pad, text
from analyze.tui.widgets.frame import key_name, screen_keys
from analyze.tui.widgets.line_view import LineView

_KEY_CELLS = 14
_SIGNS: tuple[tuple[Line, str], ...] = (
    ((Run("●", "ok"),), "ok"),
    ((Run("▲", "failed"),), "failed"),
    ((Run("?", "failed"),), "a failure that no signature knows"),
    ((Run("◐", "incomplete"),), "incomplete: bytes were lost, or no end was seen"),
    ((Run("◌", "live"),), "live: a session in flight"),
    ((Run("▸", "client"), Run(" ◂", "server")), "from the client · from the server"),
    ((Run("▹ ▾", "muted"),), "a run of events, folded · unfolded"),
    ((Run("=", "muted"), Run(" ≠", "changed")), "equal on both sides · changed"),
    ((Run("+", "added"), Run(" -", "removed")), "only right · only left"),
)


def key_lines(screen: Screen[Any]) -> list[Line]:
    """Write every key that works on a screen; those that do the same stand together."""
    written: dict[str, tuple[list[str], str]] = {}
    for binding, words in screen_keys(screen):
        keys, _ = written.setdefault(binding.action.removeprefix("screen."), ([], words))
        keys.append(key_name(binding))
    # What the bottom line says serves a key that has no words of its own.
    return [_pair(text(" ".join(keys), "strong"), what[:1].upper() + what[1:]) for keys, what in written.values()]


def sign_lines() -> Iterable[Line]:
    """Write what each sign means."""
    return [_pair(sign, what) for sign, what in _SIGNS]


def _pair(left: Line, what: str) -> Line:
    return (*pad(left, _KEY_CELLS), *text(what, "muted"))


class HelpScreen(ModalScreen[None]):
    """Keys and signs over the screen they belong to."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "close")]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self.about = about

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical():
            yield LineView(indent=_KEY_CELLS)

    def on_mount(self) -> None:
        """Write keys, then signs."""
        lines = [
            text("Keys here", "strong"),
            *key_lines(self.about),
            _pair(text("↑ ↓ PgUp PgDn", "strong"), "move; Home and End go to the first and the last"),
            _pair(text("ctrl+p", "strong"), "all commands, themes, screenshot"),
            (),
            text("Signs", "strong"),
            *sign_lines(),
        ]
        self.query_one(LineView).show(lines)
