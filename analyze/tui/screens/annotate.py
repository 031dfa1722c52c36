"""Give sessions tags and a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from analyze.annotating import NOTE_LIMIT, read_tags, write_tags
from analyze.answers import SessionSummary
from analyze.tui.lines import Line, Run, join, text
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.text_field import TextField
from capture.errors import UsageProblem
from capture.narration import counted

_SHOWN_NOTES = 5


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is to be written down."""

    tags: dict[str, str | None]
    """None takes a tag away."""
    notes: list[str]


class AnnotateScreen(ModalScreen[Remarks | None]):
    """Two fields over what was said so far; gives back what is to be written, or None."""

    CSS_PATH = "annotate.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back", priority=True)]

    def __init__(self, sessions: Sequence[SessionSummary], unwritten: Remarks | None = None, problem: str = "") -> None:
        super().__init__()
        self.sessions = sessions
        self.unwritten = unwritten or Remarks({}, [])
        """What could not be written down before, because of `problem`."""
        self.problem = problem

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        which = self.sessions[0].session_id if len(self.sessions) == 1 else counted(len(self.sessions), "session")
        with Vertical():
            yield Block([(Run("Tags and a note for ", "strong"), *text(which, "strong"))])
            yield Block(said_lines(self.sessions), id="said")
            yield Block([text("tags", "muted")])
            tags = write_tags(self.unwritten.tags)
            yield TextField(
                tags, placeholder='cause=network ticket="A 42"   old= takes a tag away', compact=True, id="tags"
            )
            yield Block([text("note", "muted")])
            note = " ".join(self.unwritten.notes)
            yield TextField(note, placeholder="a sentence", compact=True, id="note", max_length=NOTE_LIMIT)
            yield Notice(id="problem")
            yield Block(
                [join([_key("tab", "other field"), _key("enter", "write it down"), _key("esc", "back")], " · ")]
            )

    def on_mount(self) -> None:
        """Say why it was not written before."""
        self._complain(self.problem)

    def _complain(self, sentence: str) -> None:
        lines = ((Run("▲ ", "failed"), *text(sentence, "failed")),) if sentence else ()
        self.query_one("#problem", Notice).lines = lines

    @on(Input.Submitted)
    def _write(self) -> None:
        try:
            tags = read_tags(self.query_one("#tags", Input).value)
        except UsageProblem as problem:
            self._complain(str(problem))
            return
        note = self.query_one("#note", Input).value.strip()
        self.dismiss(Remarks(tags, [note] if note else []) if tags or note else None)


def _key(key: str, what: str) -> Line:
    return (Run(key, "strong"), Run(f" {what}", "muted"))


def said_lines(sessions: Sequence[SessionSummary]) -> list[Line]:
    """Write what was said of a session so far; of several sessions nothing."""
    if len(sessions) != 1:
        return []
    (session,) = sessions
    tags = join([text(f"{name}={value}" if value else name) for name, value in session.tags.items()], " · ")
    notes = [(Run("  ✎ ", "muted"), *text(note)) for note in session.notes[-_SHOWN_NOTES:]]
    return [(Run("  ", "muted"), *tags)] * bool(tags) + notes
