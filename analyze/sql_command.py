"""What `wiretape analyze sql` does: one statement, or a saved question, as a table, JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from analyze.investigations import find_investigation, load_investigations
from analyze.printing.page import print_json
from analyze.printing.result import print_csv, print_records, print_table
from capture.errors import UsageProblem
from capture.narration import tell
from replay.printing.page import cell, print_all, table

if TYPE_CHECKING:
    from analyze.store import Store

Format = Literal["table", "json", "csv"]


def statement_of(statement: str | None, investigation: str | None) -> str:
    """Give the SQL that was asked for: as typed, or a saved question's.

    Raises `UsageProblem` where neither or both are given, or where no saved question bears the name.
    """
    if statement is not None and investigation is not None:
        raise UsageProblem("a statement and --investigation are two questions: give one of them")
    if statement is None and investigation is None:
        raise UsageProblem(
            "what is the question? give a SELECT, or --investigation NAME; `wiretape analyze sql --list` names them"
        )
    return statement if statement is not None else find_investigation(investigation or "").text


def print_answer(store: Store, statement: str, wanted: Format) -> None:
    """Run one statement and print what it gave."""
    result = store.console(statement)
    if wanted == "json":
        print_records(result)
    elif wanted == "csv":
        print_csv(result)
    else:
        print_table(result)
    if not result.rows:
        tell("no rows")


def print_investigations(*, as_json: bool) -> None:
    """List the saved questions: name, title, what to know of the answer."""
    saved = load_investigations()
    if as_json:
        print_json([{"name": each.name, "title": each.title, "note": each.note, "sql": each.text} for each in saved])
        return
    listed = table("investigation", "answers")
    for each in saved:
        listed.add_row(cell(each.name), cell(each.title))
    print_all(listed)
    tell("run one: wiretape analyze sql --investigation NAME")
