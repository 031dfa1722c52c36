"""Failures, findings and cells of the matrix as lines; a cell as a filter."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from analyze.answers import MatrixCell, RunSummary
from analyze.findings import UnknownFailure
from analyze.totals import FindingTotal, span_words
from analyze.tui.figures import failure_text, percent
from analyze.tui.filter_completion import can_be_typed
from analyze.tui.lines import Line, Run, text, width_of
from analyze.tui.widgets.matrix import ALL, PALE_BELOW
from capture.narration import counted

if TYPE_CHECKING:
    from replay.verdict import Verdict

ABSENT = "–"
"""How the matrix writes a value that sessions do not have."""
_GAP = 2
_VERDICT = "verdict   "
BELOW_VERDICT = Run(" " * len(_VERDICT))
"""Before what is said of a verdict, so that it stands below its first word."""


def legend_line() -> Line:
    """Explain the cells: what is counted, and what their colour means."""
    return (
        Run("  k/n, 95 % interval", "muted"),
        Run(f" · pale: n < {PALE_BELOW} · +n not counted · low end ", "pale"),
        Run(" ≥10 ", "heat1"),
        Run(" ≥30 ", "heat2"),
        Run(" ≥60 % ", "heat3"),
    )


def found_lines(unknown: Sequence[UnknownFailure], totals: Sequence[FindingTotal], width: int) -> list[Line]:
    """Write what was found, a line each with its sessions: failures that no signature knows, then findings.

    Where the times of findings do not fit the width, in cells, they are written without years and seconds.
    """
    numbers = [*(failure.count for failure in unknown), *(total.count for total in totals)]
    counts = [counted(number, "session") for number in numbers]
    cells = max(map(len, counts), default=0) + _GAP
    named = [_total_lines(totals, span) for span in (span_words, _short_span)]
    fitting = next((lines for lines in named if _most(lines) + cells <= width), named[-1])
    lines = (*map(_unknown_line, unknown), *fitting)
    return [(line[0], Run(f"{count:<{cells}}"), *line[1:]) for count, line in zip(counts, lines, strict=True)]


def _most(lines: Iterable[Line]) -> int:
    return max(map(width_of, lines), default=0)


def _unknown_line(failure: UnknownFailure) -> Line:
    # Under its key, never under a name.
    return (Run(" ? ", "failed"), *failure_text(failure.failure_key))


def _total_lines(totals: Iterable[FindingTotal], span: Callable[[datetime | None, datetime | None], str]) -> list[Line]:
    return [
        (
            Run(" ▲ ", "failed"),
            *text(total.name, "strong"),
            *text(f"  {total.confidence} · {span(total.first_at, total.last_at)}", "muted"),
        )
        for total in totals
    ]


def _short_span(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return ""
    if first.date() != last.date():
        return f"{first:%m-%d} to {last:%m-%d}"
    begin, end = f"{first:%H:%M}", f"{last:%H:%M}"
    return f"{first:%m-%d} {begin}" if begin == end else f"{first:%m-%d} {begin}–{end}"


def run_facts(run_ids: Sequence[str], runs: Iterable[RunSummary]) -> Line:
    """Say which runs a verdict is of; `runs` are those that are known, a name may stand for tagged sessions."""
    known = list(runs)
    size = f" · {counted(sum(run.trials for run in known), 'trial')}" if known else ""
    size += f" in {counted(known[0].cells, 'cell')}" if len(known) == 1 else ""
    return text(f"run{'' if len(run_ids) == 1 else 's'} {' + '.join(run_ids)}{size}", "muted")


def verdict_lines(verdict: Verdict) -> list[Line]:
    """Write a verdict with what it comes to on a line of its own: in its sentence many cells may stand before that."""
    label = Run(_VERDICT, "muted")
    if not verdict.conclusion:
        return [(label, *text(verdict.sentence, "strong"))]
    counts, _, rest = verdict.sentence.partition(f": {verdict.conclusion}")
    first = verdict.conclusion[0].upper() + verdict.conclusion[1:]
    return [(label, *text(first, "strong")), (BELOW_VERDICT, *text(f"{counts}.{rest}"))]


def one_of_several(failure_key: str) -> Line:
    """Say which failure a verdict counts by itself, where the matrix counts any of a recording's."""
    return (*text("counts only ", "muted"), *failure_text(failure_key), *text(" · the matrix counts any", "muted"))


def cell_words(cell: MatrixCell) -> Line:
    """Write a cell as a sentence."""
    left_out = f" · {cell.not_counted:,} not counted (incomplete, throttled, not run)" if cell.not_counted else ""
    interval = f" · {percent(cell.low, cell.high)}" if cell.trials else ""
    share = f"{cell.failed:,} of {cell.trials:,} failed{interval}{left_out}"
    return (*text(f"  {cell.row} × {cell.column}", "strong"), *text(f"  {share}", "muted"))


def cell_filter(values: Mapping[str, str]) -> str | None:
    """Write a cell as a session filter, `region:eastus2 model:…`; None where a value cannot be written so."""
    if any(value == ABSENT or '"' in value or not can_be_typed(value) for value in values.values()):
        return None
    asked = {name: value for name, value in values.items() if value != ALL}
    # A day has no term of its own, and the name of a tag ends at the first `=`.
    if any(name == "date" or "=" in name for name in asked):
        return None
    terms = [f"{name}={value}" if name.startswith("tag:") else f"{name}:{value}" for name, value in asked.items()]
    return " ".join(map(shlex.quote, terms))
