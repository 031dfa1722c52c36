from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analyze.findings import Finding
from analyze.totals import numbers_words, span_words, total_by_name, unexplained

AT = datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)
FINDING = Finding("s1", "commit_empty", "possible", (3,), AT, AT, {}, ("error|a||b",))


def test_the_surest_name_leads_and_sessions_count_once() -> None:
    later = replace(FINDING, session_id="s2", first_at=AT + timedelta(hours=1), last_at=AT + timedelta(hours=2))
    often = [FINDING, replace(FINDING, evidence=(4,)), later, replace(FINDING, session_id="s3", first_at=None)]
    sure = replace(FINDING, name="invalid_key_close_3000", confidence="certain")
    certain, possible = total_by_name([*often, sure])

    assert (certain.name, certain.count) == ("invalid_key_close_3000", 1)
    assert (possible.name, possible.confidence, possible.sessions) == ("commit_empty", "possible", ("s1", "s2", "s3"))
    assert (possible.first_at, possible.last_at) == (AT, AT + timedelta(hours=2))


def test_a_name_is_as_sure_as_its_surest_finding() -> None:
    (total,) = total_by_name([FINDING, replace(FINDING, session_id="s2", confidence="likely")])
    assert total.confidence == "likely"


def test_what_no_finding_accounts_for_stays() -> None:
    assert unexplained(["error|a||b", "error|c||d"], [FINDING]) == ["error|c||d"]


def test_a_span_names_its_day_once() -> None:
    assert span_words(AT, AT) == "2026-02-12 08:30:55"
    assert span_words(AT, AT + timedelta(minutes=2)) == "2026-02-12 08:30:55 to 08:32:55"
    assert span_words(AT, AT + timedelta(days=1)) == "2026-02-12 08:30:55 to 2026-02-13 08:30:55"
    assert span_words(None, AT) == ""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("failed_transcriptions", 3.0, "failed transcriptions 3"),
        ("longest_gap_ms", 2200.4, "longest gap 2,200 ms"),
        ("sent_dbfs", -74.25, "sent -74.25 dBFS"),
        ("failed_share", 0.853, "failed share 85 %"),
        ("input_tokens", 14_012.0, "input tokens 14,012"),
        ("age_s", 0.5, "age 0.50 s"),
        ("close_code", 1006.0, "close code 1006"),
        ("handshake_status", 403.0, "handshake status 403"),
    ],
)
def test_numbers_have_their_units(name: str, value: float, words: str) -> None:
    assert numbers_words({name: value}) == words
