from __future__ import annotations

import json

import pytest

from analyze.investigations import find_investigation
from analyze.sql_command import print_answer, print_investigations, statement_of
from analyze.store import Store
from capture.errors import UsageProblem


def test_a_saved_question_is_asked_by_its_name(
    failed_session: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    print_answer(store, statement_of(None, "turns_without"), "json")
    [row] = json.loads(capsys.readouterr().out)
    assert (row["session_id"], row["transcription"]) == (failed_session, "failed")


def test_an_answer_without_rows_says_so(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(store, "SELECT 1 AS one WHERE FALSE", "table")
    assert "no rows" in capsys.readouterr().err


def test_the_saved_questions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    print_investigations(as_json=False)
    printed = capsys.readouterr()
    assert "slowest_turns" in printed.out
    assert "--investigation NAME" in printed.err
    print_investigations(as_json=True)
    listed = {saved["name"]: saved for saved in json.loads(capsys.readouterr().out)}
    assert listed["closes"]["sql"] == find_investigation("closes").text


@pytest.mark.parametrize(
    ("statement", "investigation", "words"),
    [("SELECT 1", "closes", "two questions"), (None, None, "what is the question")],
)
def test_it_takes_one_question(statement: str | None, investigation: str | None, words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        statement_of(statement, investigation)
