"""What programs and `grep` get of tables and texts."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from capture.plain_text import visible
from replay.printing.page import cell, cell_of_lines, table
from replay.printing.piped import plain_lines

CELLS = st.text(max_size=12).map(lambda text: visible(text).strip())


def test_a_row_is_one_line_however_wide() -> None:
    made = table("+ms", "event", "", right=("+ms",))
    made.add_row("12.0", cell("session.created"), Text("word " * 80))
    made.add_row("1,345.6", "x" * 150, "")
    assert list(plain_lines(Group(Text("timeline", style="bold"), made))) == [
        "timeline",
        "    +ms  event",
        "   12.0  session.created".ljust(9 + 100) + "  " + ("word " * 80).rstrip(),
        "1,345.6  " + "x" * 150,
    ]


def test_a_grid_has_no_header_and_its_labels_stand_under_each_other() -> None:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(min_width=8)
    made.add_column()
    made.add_row("  ids", "sess_1")
    made.add_row("", "")
    assert list(plain_lines(made)) == ["  ids     sess_1", ""]


def test_a_cell_of_lines_makes_a_line_of_each() -> None:
    made = table("cell", "changes", "trials", right=("trials",))
    made.add_row("eastus2", Text("none"), "5")
    made.add_row("westus", cell_of_lines(["voice: " + "x" * 150, "model: b"]), "5")
    assert list(plain_lines(made)) == [
        "cell     changes".ljust(9 + 100) + "  trials",
        "eastus2  none".ljust(9 + 100) + "       5",
        "westus   voice: " + "x" * 150 + "       5",
        "         model: b",
    ]


def test_what_is_no_text_is_drawn() -> None:
    made = table("a", "b")
    made.add_row("1", Padding("inside", (0, 1)))
    assert list(plain_lines(made)) == ["a  b", "1   inside"]
    assert list(plain_lines(Padding("inside", (1, 2)))) == ["", "  inside", ""]


def test_nothing_acts_on_who_reads_the_pipe() -> None:
    made = table("a")
    made.add_row("\x1b[31mred\u202e")
    assert list(plain_lines(Group(made, Text("unseen\u200b")))) == ["a", r"\x1b[31mred\u202e", r"unseen\u200b"]


def test_no_rows_are_a_header() -> None:
    assert list(plain_lines(table("a", "b"))) == ["a  b"]


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
def test_short_tables_look_as_rich_draws_them(rows: list[tuple[str, str, str]]) -> None:
    made = table("turn", "what it was", "ms", right=("turn", "ms"))
    for row in rows:
        made.add_row(*map(Text, row))
    drawn = io.StringIO()
    Console(file=drawn, width=200, color_system=None, highlight=False, emoji=False, markup=False).print(made)
    assert list(plain_lines(made)) == [line.rstrip() for line in drawn.getvalue().splitlines()]
