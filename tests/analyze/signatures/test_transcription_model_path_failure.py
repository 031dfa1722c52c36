from __future__ import annotations

from collections.abc import Callable

import pytest

from analyze.findings import Finding
from tests.analyze.conftest import FAILED_KEY
from tests.analyze.signatures.conftest import Record, answer, healthy_turn, not_transcribed, opening, speech

pytestmark = pytest.mark.dialects("ga", "beta")
Names = Callable[[], dict[str, list[str]]]
NAME = "transcription_model_path_failure"


def test_every_transcription_failed_without_a_code(record: Record, findings: Callable[[], list[Finding]]) -> None:
    session = record(
        [
            *opening("gpt-4o-transcribe"),
            *speech(100, "item_u1"),
            *answer(600, "resp_1"),
            *not_transcribed(1000, "item_u1"),
            *speech(2000, "item_u2"),
            *answer(2500, "resp_2"),
            *not_transcribed(3000, "item_u2"),
        ]
    )

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, NAME, "likely")
    assert finding.numbers["failed_transcriptions"] == 2
    assert finding.numbers["completed_transcriptions"] == 0
    assert len(finding.evidence) == 2
    assert finding.explains == (FAILED_KEY,)
    assert finding.first_at is not None and finding.first_at.isoformat() == "2026-02-12T08:30:56+00:00"
    assert finding.last_at is not None and finding.last_at.isoformat() == "2026-02-12T08:30:58+00:00"


@pytest.mark.dialects("ga")
def test_one_failed_turn_is_not_enough_to_be_sure(record: Record, findings: Callable[[], list[Finding]]) -> None:
    record([*opening(), *speech(100), *answer(600), *not_transcribed(1000)])

    assert [(finding.name, finding.confidence) for finding in findings()] == [(NAME, "possible")]


def test_a_healthy_session_has_no_finding(record: Record, names: Names) -> None:
    record([*opening(), *healthy_turn(100, 1), *healthy_turn(3000, 2)])

    assert names() == {}


def test_a_code_tells_of_another_cause(record: Record, names: Names) -> None:
    session = record([*opening(), *speech(100), *answer(600), *not_transcribed(1000, code="DeploymentNotFound")])

    assert NAME not in names().get(session, [])


def test_a_model_that_transcribed_one_turn_has_a_path(record: Record, names: Names) -> None:
    session = record([*opening(), *healthy_turn(100, 1), *speech(3000, "item_u2"), *not_transcribed(3900, "item_u2")])

    assert NAME not in names().get(session, [])


def test_another_model_that_fails_too_refutes_it(record: Record, findings: Callable[[], list[Finding]]) -> None:
    for transcription in ("transcribe-prod", "whisper-prod"):
        turns = [*speech(100, "item_u1"), *not_transcribed(900, "item_u1"), *not_transcribed(1000, "item_u2")]
        record([*opening(transcription), *turns])

    assert [(finding.name, finding.confidence) for finding in findings()] == [(NAME, "possible")] * 2


def test_failing_answers_are_more_than_a_path(record: Record, names: Names) -> None:
    error = {"type": "failed", "error": {"type": "server_error", "code": None, "message": "The server had an error."}}
    failed = answer(600, status="failed", details=error)
    session = record([*opening(), *speech(100), *failed, *not_transcribed(1000)])

    assert NAME not in names().get(session, [])
