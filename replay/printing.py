"""What the commands of replay print alike: tables on stdout, and the refusal that every trial met."""

from __future__ import annotations

import sys
from collections.abc import Collection

from rich.console import Console
from rich.table import Table

from capture.errors import EndpointRefused
from replay.runs import Run


def make_table(*columns: str, right: Collection[str] = ()) -> Table:
    """Make a table without borders whose cells fold; those of the columns named `right` stand at the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return table


def output() -> Console:
    """Give the console of stdout."""
    # Piped, a table is data for other programs: lines must not be broken at 80 columns. Recorded text is no markup:
    # `[redacted]` in it would vanish.
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, emoji=False, markup=False)


def raise_if_refused(run: Run) -> None:
    """Raise `EndpointRefused` where no target took a single session."""
    trials = run.all_trials
    if trials and all(trial.outcome == "not_run" for trial in trials):
        reasons = dict.fromkeys(trial.note.removeprefix("refused: ") for trial in trials)
        raise EndpointRefused("no target took a session:", "; ".join(reasons))
