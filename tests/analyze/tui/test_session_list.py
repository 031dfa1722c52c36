from __future__ import annotations

from dataclasses import replace
from typing import Any

from analyze.findings import names_by_session
from analyze.session_order import NEWEST_FIRST
from analyze.tui.lines import plain
from analyze.tui.session_list import COLUMNS, glance, read_list, tally, tally_lines


def test_the_tally_counts_outcomes_regions_and_failures(source: Any) -> None:
    counted = read_list(source, "", order=NEWEST_FIRST).tally
    in_one = "outcome ▲ 6  ● 14  ◐ 1    failed in eastus2 6    finding transcription server_error 6"
    assert [plain(line) for line in tally_lines(counted, len(in_one))] == [in_one]
    assert [plain(line) for line in tally_lines(counted, len(in_one) - 1)] == [
        "outcome ▲ 6  ● 14  ◐ 1    failed in eastus2 6",
        "finding transcription server_error 6",
    ]


def test_what_nobody_knows_leads_the_tally(source: Any) -> None:
    source.listed[0] = replace(source.listed[0], failure_keys=("error|odd||",))
    answer = read_list(source, "", order=NEWEST_FIRST, names=names_by_session(source.findings()))
    assert plain(answer.tally[-1]).endswith("finding ? odd 1 · transcription_model_path_failure 5")


def test_names_take_the_place_of_failures(source: Any) -> None:
    answer = read_list(source, "", order=NEWEST_FIRST, names=names_by_session(source.findings()))
    column = next(column for column in COLUMNS if column.name == "finding")
    assert plain(column.cell(answer.rows[0])) == "transcription_model_path_failure"
    assert (answer.named, answer.rows[5].findings) == (True, None)


def test_only_names_of_listed_sessions_are_counted(source: Any) -> None:
    names = names_by_session(source.findings())
    answer = read_list(source, "outcome:ok", order=NEWEST_FIRST, names=names)
    assert [plain(part) for part in answer.tally] == ["outcome ● 14"]


def test_no_sessions_tally_to_nothing() -> None:
    assert tally(0, []) == []
    assert tally_lines([], 80) == []


def test_a_list_is_ordered_by_the_source(source: Any) -> None:
    rows = read_list(source, "", order=("target", False)).rows
    assert [row.target for row in rows] == sorted(row.target for row in source.listed)


def test_every_column_that_sorts_can_sort(source: Any) -> None:
    for column in COLUMNS:
        if column.order:
            assert len(read_list(source, "", order=(column.order, True)).rows) == len(source.listed)


def test_only_the_first_page_of_a_list_is_read(source: Any) -> None:
    source.listed = [replace(source.listed[0], session_id=f"20260212T083055-{n:08x}") for n in range(5_000)]
    answer = read_list(source, "", order=NEWEST_FIRST)
    assert (len(answer.rows), answer.failed, answer.cut) == (5_000, 5_000, False)
    assert [asked for asked in source.asked if asked[0] == "sessions_by_id"] == [("sessions_by_id", 100)]


def test_a_glance_shows_the_newest_and_says_that_it_is_cut(source: Any) -> None:
    source.opens_slowly, source.slow = True, "reading 21 sessions takes long"
    answer = glance(source, 5)
    assert answer is not None
    assert (len(answer.rows), answer.total, answer.cut, answer.failed) == (5, 21, True, 5)
    assert answer.slow == "reading 21 sessions takes long"


def test_an_open_root_needs_no_glance(source: Any) -> None:
    assert glance(source, 5) is None


def test_a_list_can_be_kept_to_some_ids(source: Any) -> None:
    wanted = source.listed[3].session_id
    answer = read_list(source, "", order=NEWEST_FIRST, only=frozenset({wanted}))
    assert [row.session_id for row in answer.rows] == [wanted]
