"""Where SQL is typed: tokens coloured as the engine reads them, tables and columns completed, statements recalled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Selection, TextAreaTheme

from analyze.tui.completion import Completion, complete
from analyze.tui.sql_history import SqlHistory
from analyze.tui.tones import DARK, LIGHT, Tone
from capture.plain_text import hidden

if TYPE_CHECKING:
    from analyze.store import TokenKind

_TONES: dict[TokenKind, Tone] = {
    "keyword": "live",
    "string": "ok",
    "number": "incomplete",
    "comment": "muted",
    "operator": "muted",
}
_COLOURED_CHARACTERS = 50_000
"""A longer text is typed by nobody, and colouring it at every key would hold up the typing."""


class SqlEditor(TextArea):
    """A text area for one statement."""

    DEFAULT_CSS = """
    SqlEditor { border: none; padding: 0 1; background: $surface; }
    SqlEditor:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", tooltip="Complete the word; again: the next that fits"),
        Binding("escape", "leave", "leave", tooltip="Go to the answer, and from there back"),
    ]

    class Completing(Message):
        """Other words fit at the cursor."""

        def __init__(self, candidates: Sequence[str], chosen: int | None) -> None:
            super().__init__()
            self.candidates = candidates
            self.chosen = chosen
            """Which of them stands in the text; None: none was taken yet."""

    class Left(Message):
        """The editor gives the focus back."""

    def __init__(self, history: SqlHistory) -> None:
        super().__init__(soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        self.history_of_statements = history
        self.catalog: Mapping[str, Sequence[str]] = {}
        self._taken: tuple[Completion, int] | None = None
        """The completion that stands in the text, and which of its candidates."""

    def on_mount(self) -> None:
        """Take the tones of the app's theme, and follow them."""
        for dark in (True, False):
            self.register_theme(_theme(dark=dark))
        self._follow(self.app)
        self.app.theme_changed_signal.subscribe(self, lambda _: self._follow(self.app))

    def _follow(self, app: App[object]) -> None:
        self.theme = _theme_name(dark=app.current_theme.dark)

    def fill(self, statement: str) -> None:
        """Put another statement in place, in sight from its beginning; it can be undone."""
        self.replace(statement, self.document.start, self.document.end)
        self.move_cursor(self.document.start)

    def select_from_end(self) -> None:
        """Select everything, with the cursor at the beginning: what is typed takes its place, an arrow keeps it."""
        self.selection = Selection(self.document.end, self.document.start)

    def get_line(self, line_index: int) -> Text:
        """Show what is pasted or recalled harmlessly: one sign for each character that would act or hide."""
        line = super().get_line(line_index)
        line.plain = hidden(line.plain)
        return line

    def _build_highlight_map(self) -> None:
        self._line_cache.clear()
        self._highlights.clear()
        if self.text and len(self.text) <= _COLOURED_CHARACTERS:
            for line, first, last, kind in token_spans(self.text):
                self._highlights[line].append((first, last, kind))

    def on_text_area_changed(self) -> None:
        """Say what the word at the cursor may become."""
        if self._taken is not None and self._stands_taken():
            return
        self._taken = None
        self.post_message(self.Completing(self._completion().candidates, None))

    def on_text_area_selection_changed(self) -> None:
        """Forget a completion that the cursor has left."""
        if self._taken is not None and not self._stands_taken():
            self._taken = None
            self.post_message(self.Completing((), None))

    def action_complete(self) -> None:
        """Take the first word that fits, then the next; leave the editor where none does."""
        completion, chosen = self._taken or (self._completion(), -1)
        if not completion.candidates:
            self.post_message(self.Left())
            return
        chosen = (chosen + 1) % len(completion.candidates)
        self._taken = completion, chosen
        begin = _location(self.text, completion.begin)
        self.replace(completion.candidates[chosen], begin, self.cursor_location)
        self.post_message(self.Completing(completion.candidates, chosen))

    def action_recall(self, direction: int) -> None:
        """Put a statement that was run before in place, or what was typed since."""
        history = self.history_of_statements
        statement = history.back(self.text) if direction < 0 else history.forward()
        if statement is not None:
            self.fill(statement)

    def action_leave(self) -> None:
        """Give the focus back."""
        self.post_message(self.Left())

    def _at(self) -> int:
        line, column = self.cursor_location
        return sum(len(text) + 1 for text in self.text.split("\n")[:line]) + column

    def _completion(self) -> Completion:
        return complete(self.text, self._at(), self.catalog)

    def _stands_taken(self) -> bool:
        if self._taken is None:
            return False
        completion, chosen = self._taken
        return self.text[completion.begin : self._at()] == completion.candidates[chosen]


def token_spans(text: str) -> Iterator[tuple[int, int, int, TokenKind]]:
    """Give line, first and last place (in bytes of UTF-8) and kind of each token; of a long comment, line by line."""
    # The engine is loaded when there is something to colour, not when the program starts.
    from analyze.store import sql_tokens

    tokens = sql_tokens(text)
    if not tokens:
        return
    encoded = text.encode()
    ends = [*(at for at, _ in tokens[1:]), len(encoded)]
    line = counted_to = 0
    for (begin, kind), end in zip(tokens, ends, strict=True):
        line += encoded.count(b"\n", counted_to, begin)
        counted_to = begin
        column = begin - (encoded.rfind(b"\n", 0, begin) + 1)
        for number, part in enumerate(encoded[begin:end].rstrip().split(b"\n")):
            first = 0 if number else column
            yield line + number, first, first + len(part), kind


def _location(text: str, at: int) -> tuple[int, int]:
    """Give line and column of a character."""
    return text.count("\n", 0, at), at - (text.rfind("\n", 0, at) + 1)


def _theme_name(*, dark: bool) -> str:
    return "wiretape-sql-dark" if dark else "wiretape-sql-light"


def _theme(*, dark: bool) -> TextAreaTheme:
    tones = DARK if dark else LIGHT
    return TextAreaTheme(
        name=_theme_name(dark=dark),
        cursor_line_style=Style(),
        syntax_styles={kind: Style.parse(tones[tone]) for kind, tone in _TONES.items()},
    )
