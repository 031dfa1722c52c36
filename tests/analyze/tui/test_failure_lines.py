from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analyze.answers import MatrixCell
from analyze.findings import UnknownFailure
from analyze.totals import FindingTotal
from analyze.tui.failure_lines import (
    cell_filter,
    cell_words,
    found_lines,
    legend_line,
    one_of_several,
    run_facts,
    verdict_lines,
)
from analyze.tui.lines import plain, width_of

AT = datetime(2026, 2, 12, 8, 30, tzinfo=UTC)


def test_failures_and_findings_say_how_many_sessions() -> None:
    unknown = UnknownFailure("error|odd|strange|no [bold]luck[/bold]", ("a",), 1, AT, AT)
    total = FindingTotal("commit_empty", "likely", 1_157, (), AT, AT)
    assert [plain(line) for line in found_lines([unknown], [total], 100)] == [
        " ? 1 session       error  odd  strange  no [bold]luck[/bold]",
        " ▲ 1,157 sessions  commit_empty  likely · 2026-02-12 08:30:00",
    ]
    assert found_lines([], [], 100) == []


@pytest.mark.parametrize(
    ("first", "last", "span"),
    [
        (AT, AT, "02-12 08:30"),
        (AT, AT + timedelta(minutes=95), "02-12 08:30–10:05"),
        (AT, AT + timedelta(days=9), "02-12 to 02-21"),
        (None, None, ""),
    ],
)
def test_where_the_width_runs_out_times_are_short_and_names_whole(
    first: datetime | None, last: datetime | None, span: str
) -> None:
    longest = FindingTotal("audio_truncated_transcript_complete", "possible", 1_157, (), AT, AT + timedelta(days=9))
    total = FindingTotal("commit_empty", "likely", 31, (), first, last)
    lines = [plain(line) for line in found_lines([], [longest, total], 80)]
    assert lines[0].endswith("audio_truncated_transcript_complete  possible · 02-12 to 02-21")
    assert lines[1] == f" ▲ 31 sessions     commit_empty  likely · {span}"


def test_a_cell_is_a_sentence() -> None:
    cell = MatrixCell("whisper-1", "eastus2", 0, 5, 0.0, 0.43, 2, ())
    assert plain(cell_words(cell)) == (
        "  whisper-1 × eastus2  0 of 5 failed · 0–43 % · 2 not counted (incomplete, throttled, not run)"
    )


def test_the_legend_fits_a_narrow_terminal() -> None:
    assert width_of(legend_line()) <= 80


@pytest.mark.parametrize(
    ("values", "filter_text"),
    [
        ({"region": "eastus2", "model": "gpt-realtime"}, "region:eastus2 model:gpt-realtime"),
        ({"region": "eastus2", "model": "all"}, "region:eastus2"),
        ({"cell": "eastus2 · model=a"}, "'cell:eastus2 · model=a'"),
        ({"region": "–"}, None),
        ({"model": "a,b"}, None),
        ({"model": "gpt*"}, None),
        ({"tag:team": "voice", "region": "eastus2"}, "tag:team=voice region:eastus2"),
        ({"date": "2026-02-12"}, None),
    ],
)
def test_a_cell_is_written_as_a_filter_where_it_can_be(values: dict[str, str], filter_text: str | None) -> None:
    assert cell_filter(values) == filter_text


def test_a_verdict_says_which_runs_it_is_of(source: Any) -> None:
    run = source.runs()[0]
    assert plain(run_facts([run.run_id], [run])) == f"run {run.run_id} · 20 trials in 4 cells"
    assert plain(run_facts(["a", "b"], [run, run])) == "runs a + b · 40 trials"
    assert plain(run_facts(["tagged"], [])) == "run tagged"


def test_a_verdict_begins_with_what_it_comes_to(source: Any) -> None:
    verdict = source.verdict(source.runs()[0].run_id)
    first, then = map(plain, verdict_lines(verdict))
    assert first.startswith("verdict   It takes both. Neither ")
    assert then.startswith(
        "          With this session transcription fails at eastus2 with gpt-4o-transcribe, 5/5; 0/5 "
    )
    assert " at swedencentral with whisper-1. The same audio passes in the three other cells. " in then
    assert f": {verdict.conclusion}" in verdict.sentence
    (only,) = map(plain, verdict_lines(replace(verdict, conclusion="", sentence="Not reproduced.")))
    assert only == "verdict   Not reproduced."


def test_a_verdict_of_one_failure_says_that_the_matrix_counts_any() -> None:
    said = plain(one_of_several("response.done|server_error||The server had an error."))
    assert said == "counts only response.done  server_error  The server had an error. · the matrix counts any"
