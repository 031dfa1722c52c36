"""Sessions as a list, and failures as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from analyze.amounts import milliseconds, seconds
from analyze.answers import FailureMatrix, MatrixCell, SessionSummary
from analyze.printing.page import mark
from replay.printing.page import cell, shares, table

_ROOMY = 100
"""Columns of a terminal from which on there is room for more than what tells sessions apart."""
_QUICKLY_PASSED = 2000
"""Sessions of a root that the signatures pass over in less than a second: a list must not wait for them."""
_WIDE = 160
"""Columns from which on there is room for everything."""


def shows_findings(width: int, total: int) -> bool:
    """Tell whether a list on a page of so many columns shows the findings, over a root of so many sessions."""
    return width >= _ROOMY and total <= _QUICKLY_PASSED


def count_sentence(shown: int, matching: int, total: int, root: Path) -> str:
    """Say how many sessions a list shows, of how many that match and how many there are."""
    if shown == matching:
        return f"{shown:,} of {total:,} sessions in {root}"
    of = f"{total:,} sessions" if matching == total else f"{matching:,} that match ({total:,} in all)"
    return f"the newest {shown:,} of {of} in {root}; --limit N shows more"


def sessions_table(sessions: Sequence[SessionSummary], width: int) -> Table:
    """Lay out a list of sessions for a page of so many columns."""
    roomy = width >= _ROOMY
    extra = ("model", "finding", "run") if width >= _WIDE else ("finding",) if roomy else ()
    if roomy and any(session.tags or session.notes for session in sessions):
        extra = (*extra, "said")
    numbers = ("turns", "dur s", "1st audio ms") if roomy else ("1st audio ms",)
    made = table("", "session", "target", "transcription", *numbers, *extra, right=numbers)
    made.columns[1].no_wrap = True
    more = {"model": lambda each: cell(each.model), "finding": _found, "run": _run, "said": _said}
    for session in sessions:
        measures = (str(session.turns), seconds(session.duration_ms)) if roomy else ()
        made.add_row(
            mark(session.outcome),
            session.session_id,
            cell(session.target or session.region),
            cell(session.transcription_model),
            *measures,
            milliseconds(session.first_audio_ms),
            *(more[name](session) for name in extra),
        )
    return made


def _found(session: SessionSummary) -> Text:
    named = session.findings or ()
    others = f" +{len(named) - 1}" if len(named) > 1 else ""
    # It gives way where the page is too narrow for all.
    return Text(f"{named[0]}{others}" if named else "", style="red", no_wrap=True, overflow="ellipsis")


def _said(session: SessionSummary) -> Text:
    """Write tags and the last note."""
    tags = [f"{name}={value}" if value else name for name, value in session.tags.items()]
    return cell(" · ".join([*tags, *session.notes[-1:]]))


def _run(session: SessionSummary) -> Text:
    return cell(f"{session.run_id} · {session.trial}" if session.run_id else None)


def matrix_table(matrix: FailureMatrix) -> Table:
    """Lay out failures: rows and columns are the two dimensions, the last ones their totals."""
    name = " \\ ".join(matrix.by)
    with_totals = len(matrix.by) > 1
    columns = [*matrix.columns, *(["all"] if with_totals else [])]
    made = table(name, *columns)
    for row in matrix.rows:
        found = [matrix.cells.get((row, column)) for column in matrix.columns]
        made.add_row(cell(row), *map(_counts, found), *([_counts(matrix.row_totals[row])] if with_totals else []))
    if len(matrix.rows) > 1:
        totals = [matrix.column_totals[column] for column in matrix.columns]
        made.add_row("all", *map(_counts, totals), *([_counts(matrix.total)] if with_totals else []))
    for column, shown in zip(made.columns[1:], columns, strict=True):
        column.header = cell(shown)
    return made


def _counts(found: MatrixCell | None) -> Text:
    if found is None:
        return Text("")
    if not found.trials:
        return Text(f"◐ {found.not_counted} not counted", style="yellow")
    sign, style = ("▲", "red") if found.failed else ("●", "green")
    counts = Text(f"{sign} {found.failed}/{found.trials}  {shares(found.low, found.high)}", style=style)
    if found.not_counted:
        counts.append(f"  +{found.not_counted} not counted", style="yellow")
    return counts


def matrix_json(matrix: FailureMatrix) -> dict[str, Any]:
    """Give a matrix as JSON: a list of cells."""
    return {
        "by": matrix.by,
        "cells": [matrix_cell_json(found) for found in matrix.cells.values()],
        "rows": [matrix_cell_json(found) for found in matrix.row_totals.values()],
        "columns": [matrix_cell_json(found) for found in matrix.column_totals.values()],
        "total": matrix_cell_json(matrix.total),
    }


def matrix_cell_json(found: MatrixCell) -> dict[str, Any]:
    """Give a cell as JSON."""
    return {
        "row": found.row,
        "column": found.column,
        "failed": found.failed,
        "trials": found.trials,
        "wilson_95": [found.low, found.high],
        "not_counted": found.not_counted,
        "session_ids": found.session_ids,
    }
