"""Count failures over one or two dimensions, with Wilson's interval; pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from analyze.answers import FailureMatrix, MatrixCell
from analyze.filters import ALIASES, NUMBER_FIELDS, TEXT_FIELDS
from capture.errors import UsageProblem
from replay.statistics import wilson

ALL = "all"
"""Label of totals, and of the only column where one dimension was asked for."""

_NUMBER = re.compile(r"-?\d{1,15}(\.\d+)?", re.ASCII)


def dimension_sql(name: str) -> str:
    """Give the expression that a dimension stands for: a column of the sessions view, or `tag:NAME`.

    Raises `UsageProblem` naming the nearest dimensions.
    """
    if name.startswith("tag:"):
        quoted = name.removeprefix("tag:").replace("'", "''")
        return f"tags['{quoted}']"
    column = ALIASES.get(name, name)
    if column in TEXT_FIELDS or column in NUMBER_FIELDS or column == "date":
        return column
    known = [*TEXT_FIELDS, *ALIASES]
    nearest = get_close_matches(name, known, n=3) or ["region", "model", "transcription_model", "target"]
    raise UsageProblem(f"failures cannot be counted by {name!r}; nearest are {', '.join(nearest)}")


def count_failures(by: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> FailureMatrix:
    """Count sessions, given as groups: `label_0`, `label_1` (of two dimensions), `outcome`, `session_ids`."""
    if not 1 <= len(by) <= 2:
        raise UsageProblem("failures are counted by one or two dimensions, such as --by region,transcription_model")
    cells: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)
    row_totals: defaultdict[str, _Tally] = defaultdict(_Tally)
    column_totals: defaultdict[str, _Tally] = defaultdict(_Tally)
    total = _Tally()
    for group in rows:
        row, column = group["label_0"], group.get("label_1", ALL)
        for tally in (cells[row, column], row_totals[row], column_totals[column], total):
            tally.add(group["session_ids"], group["outcome"])
    rows_in_order, columns_in_order = sorted(row_totals, key=_place), sorted(column_totals, key=_place)
    return FailureMatrix(
        by=tuple(by),
        rows=tuple(rows_in_order),
        columns=tuple(columns_in_order),
        cells={
            (row, column): cells[row, column].cell(row, column)
            for row in rows_in_order
            for column in columns_in_order
            if (row, column) in cells
        },
        row_totals={row: row_totals[row].cell(row, ALL) for row in rows_in_order},
        column_totals={column: column_totals[column].cell(ALL, column) for column in columns_in_order},
        total=total.cell(ALL, ALL),
    )


def _place(label: str) -> tuple[bool, float, str]:
    """Tell where a label stands: numbers by what they are worth, ahead of words."""
    is_number = _NUMBER.fullmatch(label) is not None
    return not is_number, float(label) if is_number else 0.0, label


@dataclass(slots=True)
class _Tally:
    """Counts of one cell."""

    failed: int = 0
    ok: int = 0
    session_ids: list[str] = field(default_factory=list)

    def add(self, session_ids: Sequence[str], outcome: str | None) -> None:
        self.session_ids += session_ids
        # Incomplete, throttled, not run, failed otherwise: they say nothing of the failure and are not in n.
        self.failed += len(session_ids) * (outcome == "failed")
        self.ok += len(session_ids) * (outcome == "ok")

    def cell(self, row: str, column: str) -> MatrixCell:
        trials = self.failed + self.ok
        low, high = wilson(self.failed, trials)
        return MatrixCell(
            row=row,
            column=column,
            failed=self.failed,
            trials=trials,
            low=low,
            high=high,
            not_counted=len(self.session_ids) - trials,
            session_ids=tuple(sorted(self.session_ids)),
        )
