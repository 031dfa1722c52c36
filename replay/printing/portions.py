"""Long tables in portions: a terminal has the first rows before the last are drawn, and who has seen enough stops it.

Rich draws about 4,000 rows a second, and shows nothing of a table before it has drawn all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table

ROWS = 500


def portions(part: RenderableType, width: int) -> Iterator[RenderableType]:
    """Cut a group into its parts, and long tables into shorter ones with columns as wide, for so many columns."""
    if isinstance(part, Group):
        for each in part.renderables:
            yield from portions(each, width)
    elif isinstance(part, Table) and part.row_count > ROWS:
        yield from _shorter_tables(part, width)
    else:
        yield part


def _shorter_tables(table: Table, width: int) -> Iterator[Table]:
    columns = [list(column.cells) for column in table.columns]
    widths = _fixed_widths(table, columns, width)
    for start in range(0, table.row_count, ROWS):
        portion = copy(table)
        portion.columns, portion.rows = [column.copy() for column in table.columns], []
        for column, least in zip(portion.columns, widths, strict=False):
            column.min_width = least
        portion.show_header = table.show_header and start == 0
        for row in zip(*(cells[start : start + ROWS] for cells in columns), strict=True):
            portion.add_row(*row)
        yield portion


def _fixed_widths(table: Table, columns: Sequence[Sequence[RenderableType]], width: int) -> list[int]:
    """Give the widths of all columns but the last; none where these leave it less than a quarter of the terminal."""
    widths = [
        max(cell_len(str(cell)) for cell in (column.header, *cells))
        for column, cells in zip(table.columns[:-1], columns, strict=False)
    ]
    _, right, _, _ = table.padding
    return widths if sum(widths) + right * len(widths) <= width * 3 // 4 else []
