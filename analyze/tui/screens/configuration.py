"""What a session asked for beside what the endpoint echoed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from analyze.answers import SessionDetail
from analyze.tui.lines import Line, Run, columns, fit_end, pad, text
from analyze.tui.screens.record import RecordScreen
from analyze.tui.tones import Tone
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.row_list import RowList

_COLUMNS = ("path", "asked", "echoed")
_NOT_SAID = "–"


def flatten(configuration: Mapping[str, Any], prefix: str = "session") -> Iterator[tuple[str, str]]:
    """Give every leaf of a configuration as path and JSON text."""
    for name, value in configuration.items():
        path = f"{prefix}.{name}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, path)
        else:
            yield path, json.dumps(value, ensure_ascii=False)


class ConfigurationRows(RowList):
    """One row a path: asked, echoed, and whether they differ."""

    def __init__(self, asked: Mapping[str, Any], echoed: Mapping[str, Any]) -> None:
        super().__init__()
        self.set_reactive(RowList.empty_text, "neither side said anything about the configuration")
        self._asked = dict(flatten(asked))
        self._echoed = dict(flatten(echoed))
        self._paths = sorted({*self._asked, *self._echoed})

    @property
    def current(self) -> tuple[str, str, str] | None:
        """Path under the cursor, asked, echoed; None where there is no row."""
        if not self._paths:
            return None
        path = self._paths[self.cursor]
        return path.removeprefix("session."), self._asked.get(path, _NOT_SAID), self._echoed.get(path, _NOT_SAID)

    @property
    def row_count(self) -> int:
        """One row a path."""
        return len(self._paths)

    def heading(self, width: int) -> Line:
        """Name the columns."""
        path_cells, cells = self._widths(width)
        return (
            Run("    "),
            *columns(
                [(text(name, "muted"), size) for name, size in zip(_COLUMNS, (path_cells, cells, cells), strict=True)]
            ),
        )

    def row_at(self, index: int, width: int) -> Line:
        """Write one path; where asked and echoed differ, both are lit."""
        path = self._paths[index]
        asked, echoed = self._asked.get(path), self._echoed.get(path)
        differs = asked is not None and asked != echoed
        sign = Run("≠" if differs else " ", "changed" if differs else "muted")
        path_cells, cells = self._widths(width)
        cursor = Run("› " if index == self.cursor else "  ", "strong")
        value: Tone = "changed" if differs else "plain"
        parts: list[tuple[Line, int]] = [
            # Its end says most: many begin alike.
            (fit_end(text(path.removeprefix("session."), "muted"), path_cells), path_cells),
            (text(asked, value) if asked is not None else text(_NOT_SAID, "pale"), cells),
            (text(echoed, value if differs else "muted") if echoed is not None else text(_NOT_SAID, "pale"), cells),
        ]
        return pad((cursor, sign, Run(" "), *columns(parts)), width)

    def _widths(self, width: int) -> tuple[int, int]:
        room = width - 8
        longest = max((len(path.removeprefix("session.")) for path in self._paths), default=10)
        path_cells = min(longest, room * 2 // 5)
        return path_cells, (room - path_cells) // 2


class ConfigurationScreen(Screen[None]):
    """The configuration of one session, asked and echoed."""

    CSS_PATH = "configuration.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", tooltip="Show a path and its values in full"),
        Binding("question_mark", "app.help", "help", tooltip="Keys and signs"),
        Binding("q,escape,c", "dismiss", "back"),
    ]

    def __init__(self, detail: SessionDetail) -> None:
        super().__init__()
        self.detail = detail

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine([text(self.detail.summary.session_id), text("configuration asked and echoed", "muted")])
        yield ConfigurationRows(self.detail.configuration_asked, self.detail.configuration_echoed)
        yield KeyLine()

    def on_mount(self) -> None:
        """Put the cursor on the first row."""
        self.query_one(ConfigurationRows).rows_changed()

    @on(RowList.Opened)
    def action_open(self) -> None:
        """Show the path under the cursor and its values in full."""
        current = self.query_one(ConfigurationRows).current
        if current is not None:
            self.app.push_screen(RecordScreen(_COLUMNS, current))
