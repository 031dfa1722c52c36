from __future__ import annotations

from dataclasses import replace

import pytest

from analyze.printing.listing import matrix_json, matrix_table, sessions_table, shows_findings
from analyze.queries import Queries
from tests.conftest import Lines


@pytest.mark.parametrize("width", [80, 120, 170])
def test_sessions_fit_the_terminal(
    width: int, failed_session: str, ok_session: str, queries: Queries, lines: Lines
) -> None:
    header, *rows = lines(sessions_table(queries.sessions(findings=True), width), width)
    assert [row.split()[1] for row in rows] == [ok_session, failed_session]
    assert ("model" in header) == (width == 170)
    assert (
        shows_findings(width, 2) == ("finding" in header) == ("transcription_model_path_f" in rows[1]) == (width > 80)
    )
    assert rows[0].split()[3] == "whisper-1"


def test_a_list_over_a_large_root_does_not_wait_for_the_signatures() -> None:
    assert not shows_findings(200, 10_000)


def test_more_than_one_finding_is_counted(failed_session: str, queries: Queries, lines: Lines) -> None:
    (session,) = queries.sessions()
    named = replace(session, findings=("commit_empty", "self_interruption"))
    assert "commit_empty +1" in lines(sessions_table([named], 170), 170)[1]


def test_what_was_said_later_has_a_column_where_there_is_something(
    failed_session: str, queries: Queries, lines: Lines
) -> None:
    (session,) = queries.sessions()
    assert "said" not in lines(sessions_table([session], 120), 120)[0]
    said = replace(session, tags={"cause": "net", "demo": ""}, notes=("first", "an [bold]echo[/bold]"))
    shown = lines(sessions_table([said], 170), 170)
    assert "said" in shown[0]
    assert "cause=net · demo · an [bold]echo[/bold]" in shown[1]


def test_a_matrix_with_its_totals(failed_session: str, ok_session: str, queries: Queries, lines: Lines) -> None:
    matrix = queries.failures(["region", "transcription_model"])
    shown = lines(matrix_table(matrix), 100)
    assert [line.split()[0] for line in shown] == ["region", "eastus2", "swedencentral", "all"]
    assert shown[-1].split()[-4:] == ["▲", "1/2", "9–91", "%"]
    assert matrix_json(matrix)["total"]["failed"] == 1


def test_one_dimension_has_one_column(failed_session: str, queries: Queries, lines: Lines) -> None:
    header, row = lines(matrix_table(queries.failures(["region"])), 80)
    assert header.split() == ["region", "all"]
    assert row.split() == ["eastus2", "▲", "1/1", "21–100", "%"]
