"""Long tables, drawn in portions, look like one."""

from __future__ import annotations

import pytest
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from replay.printing.page import table
from replay.printing.portions import ROWS, portions
from tests.conftest import Lines


def long_table(rows: int, words: str = "said") -> Table:
    made = table("number", "event", "", right=("number",))
    for number in range(rows):
        made.add_row(f"{number:,}", Text("response.done" if number % 7 else "error", style="red"), words)
    return made


@pytest.mark.parametrize("width", [60, 200])
def test_all_rows_stand_below_one_header(lines: Lines, width: int) -> None:
    made = long_table(2 * ROWS + 1)
    parts = list(portions(made, width))
    assert [part.row_count for part in parts if isinstance(part, Table)] == [ROWS, ROWS, 1]
    assert [line for part in parts for line in lines(part, width)] == lines(made, width)


def test_a_long_last_cell_folds_in_its_column(lines: Lines) -> None:
    made = long_table(ROWS + 1, "word " * 20)
    assert [line for part in portions(made, 60) for line in lines(part, 60)] == lines(made, 60)


def test_columns_that_leave_no_room_are_laid_out_as_they_fit(lines: Lines) -> None:
    made = table("a", "b", "c")
    for number in range(ROWS + 1):
        made.add_row("left" * 10, "middle" * 10, str(number))
    shown = [line for part in portions(made, 50) for line in lines(part, 50)]
    assert shown[0].split() == ["a", "b", "c"]
    assert sum(line.split()[-1].isdigit() for line in shown) == ROWS + 1


def test_what_is_short_stays_whole() -> None:
    parts: list[RenderableType] = [long_table(ROWS), Text("said")]
    assert list(portions(Group(parts[0], Group(parts[1])), 80)) == parts
