from __future__ import annotations

from dataclasses import replace
from typing import Any

from analyze.findings import names_by_session
from analyze.tui.lines import plain
from analyze.tui.session_list import COLUMNS, NEWEST_FIRST, named, read_list, sort, tally


def test_the_tally_counts_outcomes_regions_and_failures(source: Any) -> None:
    assert plain(tally(source.listed)) == (
        "outcome ▲ 6  ● 14  ◐ 1    failed in eastus2 6    finding transcription server_error 6"
    )


def test_what_nobody_knows_leads_the_tally(source: Any) -> None:
    source.listed[0] = replace(source.listed[0], failure_keys=("error|odd||",))
    named_rows = named(source.listed, names_by_session(source.findings()))
    assert plain(tally(named_rows)).endswith("finding ? odd 1 · transcription_model_path_failure 5")


def test_names_take_the_place_of_failures(source: Any) -> None:
    answer = read_list(source, "", order=NEWEST_FIRST, names=names_by_session(source.findings()))
    column = next(column for column in COLUMNS if column.name == "finding")
    assert plain(column.cell(answer.rows[0])) == "transcription_model_path_failure"
    assert (answer.named, answer.rows[5].findings) == (True, None)


def test_no_sessions_tally_to_nothing() -> None:
    assert tally([]) == ()


def test_sorting_keeps_the_newest_first_among_equals(source: Any) -> None:
    ordered = sort(source.listed, ("target", False))
    assert [row.target for row in ordered] == sorted(row.target for row in source.listed)
    eastus2 = [row.started_at for row in ordered if row.target == "eastus2" and row.started_at]
    assert eastus2 == sorted(eastus2, reverse=True)


def test_every_column_that_sorts_can_sort_sessions_without_values(source: Any) -> None:
    for column in COLUMNS:
        if column.order:
            assert len(sort(source.listed, (column.name, True))) == len(source.listed)


def test_a_list_says_how_many_there_are_and_whether_it_is_cut(source: Any) -> None:
    answer = read_list(source, "", order=NEWEST_FIRST, limit=5)
    assert (len(answer.rows), answer.total, answer.cut, answer.failed) == (5, 21, True, 5)


def test_a_list_can_be_kept_to_some_ids(source: Any) -> None:
    wanted = source.listed[3].session_id
    answer = read_list(source, "", order=NEWEST_FIRST, only=frozenset({wanted}))
    assert [row.session_id for row in answer.rows] == [wanted]
