from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rich.console import Group

from analyze.findings import Finding, UnknownFailure
from analyze.printing.findings import findings_json, findings_parts, session_findings_lines
from tests.conftest import Lines

AT = datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)
NAME = "transcription_model_path_failure"
FINDING = Finding("s1", NAME, "likely", (3,), AT, AT + timedelta(minutes=1), {"failures": 1.0}, ())
UNKNOWN = UnknownFailure("error|odd|\x1b[31m|words", ("s1", "s2"), 2, AT, AT)


def test_what_nobody_knows_leads_and_is_under_its_key(lines: Lines) -> None:
    shown = lines(Group(*findings_parts([FINDING, replace(FINDING, session_id="s2")], [UNKNOWN])), 80)
    assert shown == [
        "unknown failures (no signature accounts for them)",
        "sessions  failure key               seen UTC",
        r"       2  error|odd|\x1b[31m|words  2026-02-12 08:30:55",
        "",
        "findings",
        "sessions  finding                           confidence  seen UTC",
        f"       2  {NAME}  likely      2026-02-12 08:30:55 to",
        "                                                        08:31:55",
    ]


def test_nothing_found_is_nothing_printed() -> None:
    assert findings_parts([], []) == []


def test_one_session_is_told_what_happened(lines: Lines) -> None:
    unknown, name, happened, *_, numbers = lines(Group(*session_findings_lines([FINDING], ["error|odd||words"])), 120)
    assert unknown == "? error · odd · words  known to no signature"
    assert name == f"▲ {NAME}  likely"
    assert happened.startswith("  Every transcription of the user's speech failed")
    assert numbers == "  failures 1"


def test_as_json() -> None:
    found = findings_json([FINDING, replace(FINDING, session_id="s2")], [UNKNOWN])
    assert found["unknown_failures"][0]["failure_key"] == UNKNOWN.failure_key
    assert [(each["name"], each["count"], each["sessions"]) for each in found["findings"]] == [(NAME, 2, ("s1", "s2"))]
