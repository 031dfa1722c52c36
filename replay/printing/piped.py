"""What a pipe gets: plain lines, each row of a table in one of them, however wide.

Programs read it and people search it, so no line is broken; and a row takes about a hundredth of the time that it
takes to draw one, which counts where a session has a hundred thousand of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import zip_longest

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
    elif isinstance(part, Table) and (rows := _rows(part)) is not None:
        yield from _table_lines(part, rows)
    else:
        yield from _drawn(part)


def _rows(table: Table) -> list[tuple[str, ...]] | None:
    """Give the cells of each line, the header first; None where one is no text. A row may be several."""
    columns = [[_words(cell) for cell in column.cells] for column in table.columns]
    rows: list[tuple[str, ...]] = [tuple(str(column.header) for column in table.columns)] if table.show_header else []
    for row in zip(*columns, strict=True):
        cells = [words for words in row if words is not None]
        if len(cells) < len(row):
            return None
        if any("\n" in words for words in cells):
            rows += zip_longest(*(words.split("\n") for words in cells), fillvalue="")
        else:
            rows.append(tuple(cells))
    return rows


def _words(cell: RenderableType) -> str | None:
    return cell.plain if isinstance(cell, Text) else cell if isinstance(cell, str) else None


def _table_lines(table: Table, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    padded = [
        _padded(cells, column.min_width or 0, is_right=column.justify == "right")
        for column, cells in zip(table.columns, zip(*rows, strict=True), strict=False)
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
