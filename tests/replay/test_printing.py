"""What the commands of replay print alike."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from capture.errors import EndpointRefused
from replay.printing import make_table, output, raise_if_refused
from replay.runs import Run, RunCell, Trial, TrialOutcome


def run_of(*trials: tuple[TrialOutcome, str]) -> Run:
    made = [Trial(trial=n, block=n, session_id=f"s{n}", outcome=o, note=note) for n, (o, note) in enumerate(trials, 1)]
    cell = RunCell(cell="eastus2", session_id="s0", target="eastus2", trials=made)
    return Run(
        run_id="r20260212T083055-4f3a",
        started_at=datetime(2026, 2, 12, tzinfo=UTC),
        recordings=[],
        axes=[],
        cells=[cell],
        trials=len(made),
    )


def test_a_run_that_no_target_took_says_why_each_reason_once() -> None:
    refused: tuple[TrialOutcome, str] = ("not_run", "refused: HTTP 401")
    with pytest.raises(EndpointRefused, match="no target took a session: HTTP 401; HTTP 404"):
        raise_if_refused(run_of(refused, refused, ("not_run", "refused: HTTP 404")))


def test_a_run_with_one_session_or_none_yet_is_not_refused() -> None:
    raise_if_refused(run_of(("not_run", "refused: HTTP 401"), ("ok", "")))
    raise_if_refused(run_of())


def test_what_is_piped_is_not_broken_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    table = make_table("cell", "failed", right=["failed"])
    table.add_row("x" * 100, "5/5")
    output().print(table)
    assert capsys.readouterr().out.splitlines()[1].split() == ["x" * 100, "5/5"]


def test_a_narrow_table_folds_its_cells_and_aligns_numbers() -> None:
    narrow = Console(file=io.StringIO(), width=12)
    table = make_table("cell", "failed", right=["failed"])
    table.add_row("eastus2", "5/5")
    narrow.print(table)
    assert narrow.file.getvalue().splitlines()[1].endswith("   5/5")  # type: ignore[attr-defined]
