from __future__ import annotations

from dataclasses import replace
from typing import Any

from analyze.audio_health import AudioFact, AudioHealth
from analyze.findings import Finding
from analyze.signatures import load_signatures
from analyze.tui.lines import plain
from analyze.tui.widgets.session_head import SHOWN_FAILURES, SessionHead


def drawn(source: Any, width: int = 120, findings: list[Finding] | None = None, **changed: Any) -> list[str]:
    detail = source.session(source.listed[0].session_id)
    head = SessionHead()
    head._findings = findings
    head._detail = replace(detail, summary=replace(detail.summary, **changed))
    return [plain(line).rstrip() for line in head.lines_at(width)]


def test_the_facts_stand_above_the_failures(source: Any) -> None:
    facts, failure, *_ = drawn(source)
    assert facts.startswith(" ▲ 20260212T083055-4f3a9c12  eastus2 · gpt-realtime · gpt-4o-transcribe · ga · sess_D81pA")
    assert facts.endswith("9.8 s · 1 turn")
    assert failure.startswith(" ▲ conversation.item.input_audio_transcription.failed  server_error")


def test_a_region_is_named_where_the_target_does_not(source: Any) -> None:
    assert " · eastus2 · ga" in drawn(source, target="azure-prod")[0]


def test_a_session_without_failures_has_one_line(source: Any) -> None:
    assert len(drawn(source, failure_keys=(), outcome="ok")) == 1


def test_of_many_failures_some_are_counted(source: Any) -> None:
    keys = tuple(f"error|kind|code_{n}|message" for n in range(SHOWN_FAILURES + 2))
    assert drawn(source, failure_keys=keys)[-1] == "   and 2 more failures"


def test_a_finding_takes_the_place_of_the_failures_it_accounts_for(source: Any) -> None:
    findings = source.session_findings(source.listed[0].session_id)
    _, line, last, numbers = drawn(source, findings=findings)
    assert line.startswith(
        " ▲ transcription_model_path_failure  likely · Every transcription of the user's speech failed"
    )
    assert last.endswith("[1 row]")
    assert numbers == "   failed transcriptions 1"


def test_at_80_columns_the_one_failure_and_wrong_audio_are_told_to_their_end(source: Any) -> None:
    findings = source.session_findings(source.listed[0].session_id)
    happened = next(each.happened for each in load_signatures() if each.name == findings[0].name)
    lines = drawn(source, width=80, findings=findings)
    assert happened in " ".join(line.removesuffix("[1 row]").strip() for line in lines[1:])
    detail = source.session(source.listed[0].session_id)
    wrong = (AudioFact("dc_offset", "warning", "DC offset 0.25"), AudioFact("rate", "warning", "sounds slow, " * 6))
    head = SessionHead()
    head._detail = replace(detail, audio_health=AudioHealth(wrong, is_measured=True, sent_ms=3000))
    assert plain(head.lines_at(80)[-2]).startswith(" ◐ DC offset 0.25; sounds slow")
    assert plain(head.lines_at(80)[-1]).startswith("   slow, ")


def test_of_several_failures_each_has_a_line(source: Any) -> None:
    keys = ("error|kind|one|" + "words " * 30, "error|kind|two|" + "words " * 30)
    assert len(drawn(source, width=80, failure_keys=keys)) == 3


def test_a_finding_without_rows_rests_on_the_handshake(source: Any) -> None:
    findings = [replace(source.session_findings(source.listed[0].session_id)[0], evidence=())]
    assert drawn(source, findings=findings)[-2].endswith("[handshake]")


def test_what_a_finding_says_stands_in_the_numbers_is_there(source: Any) -> None:
    # A refusal without a body is no event: its status stands nowhere else on the screen.
    refused = Finding("s1", "handshake_refused", "certain", (), None, None, {"handshake_status": 401.0}, ())
    *_, told, numbers = drawn(source, width=80, findings=[refused], failure_keys=())
    assert "The status is in the numbers." in told
    assert numbers == "   handshake status 401"


def test_a_failure_that_no_finding_accounts_for_leads(source: Any) -> None:
    findings = source.session_findings(source.listed[0].session_id)
    _, unknown, named = drawn(source, findings=findings, failure_keys=("error|odd||words", *findings[0].explains))
    assert unknown == " ? error  odd  words"
    assert "transcription_model_path_failure" in named


def test_the_sent_audio_is_judged_in_a_line_of_its_own(source: Any) -> None:
    detail = source.session(source.listed[0].session_id)
    clean = AudioHealth((), is_measured=True, sent_ms=3000)
    broken = AudioHealth((AudioFact("dc_offset", "warning", "DC offset 0.12"),), is_measured=True, sent_ms=3000)
    head = SessionHead()
    for health, line in ((clean, " ● audio is clean"), (broken, " ◐ DC offset 0.12")):
        head._detail = replace(detail, audio_health=health)
        assert plain(head.lines_at(120)[-1]) == line


def test_a_session_that_was_cut_to_windows_says_what_is_left_out(source: Any) -> None:
    detail = source.session(source.listed[0].session_id)
    gaps = [{"sender": "client", "from_ns": 0, "to_ns": 40_000_000_000, "bytes": 9, "reason": "outside the window"}]
    head = SessionHead()
    head._detail = replace(detail, row=detail.row | {"kept": "window", "gaps": gaps, "duration_ms": 60_000.0})
    line = plain(head.lines_at(160)[-1])
    assert line.startswith(" ◐ cut to the windows around its failures: 40.0 of 60.0 s are left out (0.0 to 40.0 s)")
