"""Where an answer is to be written: a file name, asked twice where the file is there already."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from analyze.export import writer_of
from analyze.tui.lines import Run, text
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.text_field import TextField
from capture.errors import UsageProblem


class Destination(NamedTuple):
    """A file to write."""

    path: Path
    overwrite: bool
    """It was there, and may go."""


class ExportScreen(ModalScreen[Destination | None]):
    """Asks for the file's name; its ending says the format."""

    CSS_PATH = "export.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back")]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._warned_of: Path | None = None

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical():
            yield Block([text("Write all rows of the answer to", "strong")])
            yield TextField("answer.csv", compact=True, select_on_focus=False)
            yield Notice(id="warning")
            keys = (Run("enter", "strong"), Run(" write · ", "muted"), Run("esc", "strong"), Run(" back", "muted"))
            yield Block([text("A name that ends in .csv, .json or .parquet.", "muted"), keys])

    def on_mount(self) -> None:
        """Let the name be typed."""
        self.query_one(Input).focus()

    def on_input_changed(self) -> None:
        """Forget a warning: another name has to be confirmed anew."""
        self._warned_of = None
        self.query_one("#warning", Notice).lines = ()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give back the file, or ask whether the one that is there may go."""
        if not event.value.strip():
            return
        try:
            path = self.folder / Path(event.value.strip()).expanduser()
            is_there = path.exists()
            problem = _problem_of(path)
        # A name that is too long, or the home of a user who is none.
        except (OSError, RuntimeError) as error:
            problem = f"no file can be named so: {getattr(error, 'strerror', None) or error}"
        if problem:
            self._warn(problem)
        elif is_there and self._warned_of != path:
            self._warned_of = path
            # The name last: a long one must not hide what enter does.
            self._warn(f"there already, and enter again overwrites it: {path.name}")
        else:
            self.dismiss(Destination(path, is_there))

    def _warn(self, warning: str) -> None:
        self.query_one("#warning", Notice).lines = ((Run("▲ ", "failed"), *text(warning, "failed")),)


def _problem_of(path: Path) -> str:
    """Say why nothing can be written there, while the name can still be changed; empty where nothing is known."""
    if path.is_dir():
        return f"{path.name} is a folder: name a file in it"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    try:
        writer_of(path)
    except UsageProblem as problem:
        return str(problem)
    return ""
