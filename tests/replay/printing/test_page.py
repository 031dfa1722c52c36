"""What tables and texts look like on a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, Group
from rich.text import Text

from replay.printing.page import cell, first_and_more, page, print_all, shares, table


def test_a_pipe_gets_neither_colours_nor_broken_lines(capsys: pytest.CaptureFixture[str]) -> None:
    made = table("a", "b")
    made.add_row(cell("x" * 90), Text("y" * 60, style="red"))
    print_all(made, Text("word " * 60, style="bold"))
    _, row, words = capsys.readouterr().out.splitlines()
    assert row.split() == ["x" * 90, "y" * 60]
    assert len(words.split()) == 60


def test_a_page_in_a_pipe_is_wide() -> None:
    assert page().width == 200


def test_a_terminal_gets_the_first_rows_before_the_last_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    screen = Console(width=40, force_terminal=True, color_system=None, file=Screen())
    monkeypatch.setattr("replay.printing.page.page", lambda: screen)
    made = table("number", "words", right=("number",))
    for number in range(1_200):
        made.add_row(str(number), "said")
    print_all(Group(Text("all of it"), made, Text("the end")))
    assert [text.split()[0] for text in written if text.strip()] == ["all", "number", "500", "1000", "the"]


def test_a_narrow_table_folds_its_cells_and_aligns_numbers() -> None:
    narrow = Console(file=io.StringIO(), width=12)
    made = table("cell", "failed", right=["failed"])
    made.add_row("eastus2", "5/5")
    narrow.print(made)
    assert narrow.file.getvalue().splitlines()[1].endswith("   5/5")  # type: ignore[attr-defined]


def test_an_interval_of_shares_is_written_in_percent() -> None:
    assert shares(0.206549, 1.0) == "21–100 %"


def test_of_the_sessions_of_a_cell_the_first_is_named_and_the_others_counted() -> None:
    assert [first_and_more(("a", "b", "c")), first_and_more(["a"]), first_and_more(())] == ["a +2", "a", ""]


def test_what_is_printed_is_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # `wiretape analyze show last --follow | grep error` waits for it.
    pipe = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BufferedWriter(pipe)))
    print_all(Text("an error came"))
    assert pipe.getvalue() == b"an error came\n"
