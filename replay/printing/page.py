"""The page that commands print on: stdout. Nothing on it that came over the wire acts on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from capture.narration import on_stdout
from capture.plain_text import visible
from replay.printing.piped import plain_lines
from replay.printing.portions import portions


def page() -> Console:
    """Open stdout; colours and the terminal's width only where it is a terminal."""
    # Recorded text is no markup: `[redacted]` in it would vanish.
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, emoji=False, markup=False)


def print_all(*parts: RenderableType) -> None:
    """Print tables and texts one below the other; each part as soon as it is drawn, long tables in portions."""
    console = page()
    with on_stdout() as stdout:
        for part in parts:
            if console.is_terminal:
                for portion in portions(part, console.width):
                    # In a group a text keeps its own rules on where it may be broken.
                    console.print(Group(portion), crop=False)
            else:
                stdout.writelines(f"{line}\n" for line in plain_lines(part))


def table(*columns: str, right: Collection[str] = ()) -> Table:
    """Make an empty table whose cells fold; the columns of `right` hold numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        made.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return made


def shares(low: float, high: float) -> str:
    """Write an interval of shares."""
    return f"{low * 100:.0f}–{high * 100:.0f} %"


def first_and_more(session_ids: Sequence[str]) -> str:
    """Name the first of some sessions, and how many more there are: `20260212T083055-4f3a9c12 +4`."""
    more = f" +{len(session_ids) - 1}" if len(session_ids) > 1 else ""
    return f"{session_ids[0]}{more}" if session_ids else ""


def cell(value: object, style: str = "") -> Text:
    """Make a cell of something that came over the wire; empty where there is nothing."""
    return Text("" if value is None else visible(str(value)), style=style)


def cell_of_lines(lines: Iterable[str]) -> Text:
    """Make a cell of several lines, of which each came over the wire."""
    return Text("\n".join(map(visible, lines)))
