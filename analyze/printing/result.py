"""What a SQL statement gave: a table, JSON records or CSV."""

from __future__ import annotations

import csv
import sys
from typing import Any

from rich.text import Text

from analyze.printing.page import print_json
from analyze.store import ConsoleResult
from capture.narration import on_stdout
from capture.plain_text import shorten, visible
from replay.printing.page import print_all, table

_CELL_LENGTH = 300
_NULL = Text("NULL", style="dim")


def print_table(result: ConsoleResult) -> None:
    """Print a result as a table; long values are cut."""
    if result.columns and result.columns[0] == "explain_key":
        print_all(*(Text(str(row[1])) for row in result.rows))
        return
    numbers = {
        column
        for at, column in enumerate(result.columns)
        if all(isinstance(row[at], (int, float)) or row[at] is None for row in result.rows)
    }
    made = table(*(visible(column) for column in result.columns), right={visible(column) for column in numbers})
    for row in result.rows:
        made.add_row(*(_cell(value) for value in row))
    print_all(made)


def print_records(result: ConsoleResult) -> None:
    """Print a result as a JSON array of objects."""
    print_json([dict(zip(result.columns, row, strict=True)) for row in result.rows])


def print_csv(result: ConsoleResult) -> None:
    """Print a result as CSV; an empty field is NULL."""
    with on_stdout() as stdout:
        writer = csv.writer(stdout, lineterminator="\n")
        writer.writerow(result.columns)
        for row in result.rows:
            writer.writerow([_csv_field(value) for value in row])


def _cell(value: Any) -> str | Text:
    # Mostly plain words: a text of its own for each of millions of cells takes ten times the memory.
    if value is None:
        return _NULL
    if isinstance(value, (bytes, bytearray)):
        return Text(f"«{len(value):,} bytes»", style="dim")
    return visible(shorten(str(value), _CELL_LENGTH))


def _csv_field(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    # On a terminal a recorded text must not act; in a file it must be what was recorded.
    return visible(value) if isinstance(value, str) and sys.stdout.isatty() else value
