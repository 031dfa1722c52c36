"""The page that answers are printed on: stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyze.plain_text import escape_unseen, visible
from analyze.plain_values import plain_value
from analyze.printing.piped import plain_lines
from analyze.printing.portions import portions
from replay.printing import output

MARKS = {"ok": ("●", "green"), "failed": ("▲", "red"), "incomplete": ("◐", "yellow")}
"""A sign and a colour for each outcome: the colour is never alone."""


def page() -> Console:
    """Open stdout; colours and the terminal's width only where it is a terminal."""
    return output()


def narrate(line: str) -> None:
    """Say something about the work on stderr."""
    Console(stderr=True, highlight=False, emoji=False, markup=False).print(visible(line), soft_wrap=True)


def print_all(*parts: RenderableType) -> None:
    """Print tables and texts one below the other; each part as soon as it is drawn, long tables in portions."""
    console = page()
    for part in parts:
        if console.is_terminal:
            for portion in portions(part, console.width):
                # In a group a text keeps its own rules on where it may be broken.
                console.print(Group(portion), crop=False)
        else:
            sys.stdout.writelines(f"{line}\n" for line in plain_lines(part))


def print_json(value: Any) -> None:
    """Print a value as JSON; characters that act on a terminal are escaped."""
    text = json.dumps(plain_value(value), ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write(escape_unseen(text) + "\n")


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """Make an empty table; the columns of `right` hold numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    numbers = set(right)
    for column in columns:
        made.add_column(column, overflow="fold", justify="right" if column in numbers else "left")
    return made


def cell(value: object, style: str = "") -> Text:
    """Make a cell of something that came over the wire; empty where there is nothing."""
    return Text("" if value is None else visible(str(value)), style=style)


def mark(outcome: str) -> Text:
    """Give the sign of an outcome."""
    sign, style = MARKS.get(outcome, ("·", "dim"))
    return Text(sign, style=style)


def shares(low: float, high: float) -> str:
    """Write an interval of shares."""
    return f"{low * 100:.0f}–{high * 100:.0f} %"


def title(text: str) -> Text:
    """Make the line above the first part of a page."""
    return Text(text, style="bold")


def heading(text: str) -> Text:
    """Make the line above a part of the page."""
    return Text(f"\n{text}", style="bold")
