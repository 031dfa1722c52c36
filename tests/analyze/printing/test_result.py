from __future__ import annotations

import csv
import io
import json

import pytest

from analyze.printing.result import print_csv, print_records, print_table
from analyze.store import ConsoleResult

RESULT = ConsoleResult(("name", "bytes", "n"), [("a\x1b[2J,b", b"\x00\xff", 1.5), (None, None, None)])


def test_a_table_shows_nulls_and_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(RESULT)
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split() == [r"a\x1b[2J,b", "«2", "bytes»", "1.5"]
    assert second.split() == ["NULL"] * 3


def test_long_values_are_cut_in_a_table_only(capsys: pytest.CaptureFixture[str]) -> None:
    result = ConsoleResult(("x",), [("y" * 1000,)])
    print_table(result)
    assert capsys.readouterr().out.count("y") == 299
    print_csv(result)
    assert capsys.readouterr().out.count("y") == 1000


def test_csv_is_what_was_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(RESULT)
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["name", "bytes", "n"],
        ["a\x1b[2J,b", "00ff", "1.5"],
        ["", "", ""],
    ]


def test_records(capsys: pytest.CaptureFixture[str]) -> None:
    print_records(RESULT)
    assert json.loads(capsys.readouterr().out)[0] == {"name": "a\x1b[2J,b", "bytes": "00ff", "n": 1.5}


def test_a_plan_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ConsoleResult(("explain_key", "explain_value"), [("physical_plan", "┌──┐\n│ x│\n└──┘\n")]))
    assert capsys.readouterr().out.splitlines()[:3] == ["┌──┐", "│ x│", "└──┘"]
