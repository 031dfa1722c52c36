"""What a pipe gets: plain lines, each row of a table in one of them, however wide.

Programs read it and people search it, so no line is broken; and a row takes about a hundredth of the time that it
takes to draw one, which counts where a session has a hundred thousand of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from capture.plain_text import visible

_WIDEST_COLUMN = 100
"""In cells. What is wider moves the rest of its own row, instead of all rows."""


def plain_lines(part: RenderableType) -> Iterator[str]:
    """Write a text, a table or a group of them as lines without colours, in which no character acts or hides."""
    yield from map(visible, _lines(part))


def _lines(part: RenderableType) -> Iterator[str]:
    if isinstance(part, Group):
        for each in part.renderables:
            yield from _lines(each)
    elif isinstance(part, Text):
        yield from part.plain.split("\n")
    elif isinstance(part, Table) and (columns := _columns(part)) is not None:
        yield from _table_lines(part, columns)
    else:
        yield from _drawn(part)


def _columns(table: Table) -> list[list[str]] | None:
    """Give the cells of each column, its header first, each of one line; None where one is no text."""
    columns = [[_words(cell) for cell in column.cells] for column in table.columns]
    if any(words is None for column in columns for words in column):
        return None
    found = _a_line_each([[words or "" for words in column] for column in columns])
    if table.show_header:
        return [[str(column.header), *cells] for column, cells in zip(table.columns, found, strict=True)]
    return found


def _a_line_each(columns: list[list[str]]) -> list[list[str]]:
    """Give rows of several lines a row for each of them."""
    if not any("\n" in words for column in columns for words in column):
        return columns
    rows = (zip_longest(*(words.split("\n") for words in row), fillvalue="") for row in zip(*columns, strict=True))
    return [list(column) for column in zip(*chain.from_iterable(rows), strict=True)]


def _words(cell: RenderableType) -> str | None:
    return cell.plain if isinstance(cell, Text) else cell if isinstance(cell, str) else None


def _table_lines(table: Table, columns: Sequence[Sequence[str]]) -> Iterator[str]:
    padded = [
        _padded(cells, column.min_width or 0, is_right=column.justify == "right")
        for column, cells in zip(table.columns, columns, strict=True)
    ]
    _, right, _, _ = table.padding
    for row in zip(*padded, strict=True):
        yield (" " * right).join(row).rstrip()


def _padded(cells: Sequence[str], least: int, *, is_right: bool) -> Iterator[str]:
    widths = [cell_len(cell) for cell in cells]
    widest = max(least, min(max(widths, default=0), _WIDEST_COLUMN))
    for cell, width in zip(cells, widths, strict=True):
        blanks = " " * (widest - width)
        yield blanks + cell if is_right else cell + blanks


def _drawn(part: RenderableType) -> list[str]:
    drawn = io.StringIO()
    console = Console(file=drawn, width=200, color_system=None, highlight=False, emoji=False, markup=False)
    console.print(part, crop=False)
    return [line.rstrip() for line in drawn.getvalue().splitlines()]
