from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from rich.console import Console, Group
from rich.text import Text

from analyze.printing.page import cell, mark, page, print_all, print_json, shares, table


@dataclass(frozen=True)
class Answer:
    at: datetime
    found: tuple[float, ...]
    raw: bytes


def test_json_holds_what_json_has_no_word_for(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"answer": Answer(datetime(2026, 2, 12, tzinfo=UTC), (1.5, float("nan"), float("inf")), b"\x00\xff")})
    assert json.loads(capsys.readouterr().out) == {
        "answer": {"at": "2026-02-12T00:00:00+00:00", "found": [1.5, None, None], "raw": "00ff"}
    }


def test_a_pipe_gets_neither_colours_nor_broken_lines(capsys: pytest.CaptureFixture[str]) -> None:
    made = table("a", "b")
    made.add_row(cell("x" * 90), Text("y" * 60, style="red"))
    print_all(made, Text("word " * 60, style="bold"))
    _, row, words = capsys.readouterr().out.splitlines()
    assert row.split() == ["x" * 90, "y" * 60]
    assert len(words.split()) == 60


def test_a_page_in_a_pipe_is_wide() -> None:
    assert page().width == 200


def test_shares() -> None:
    assert shares(0.206549, 1.0) == "21–100 %"


def test_marks_are_signs_first() -> None:
    assert [mark(outcome).plain for outcome in ("ok", "failed", "incomplete", "?")] == ["●", "▲", "◐", "·"]


def test_a_terminal_gets_the_first_rows_before_the_last_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    screen = Console(width=40, force_terminal=True, color_system=None, file=Screen())
    monkeypatch.setattr("analyze.printing.page.page", lambda: screen)
    made = table("number", "words", right=("number",))
    for number in range(1_200):
        made.add_row(str(number), "said")
    print_all(Group(Text("all of it"), made, Text("the end")))
    assert [text.split()[0] for text in written if text.strip()] == ["all", "number", "500", "1000", "the"]
