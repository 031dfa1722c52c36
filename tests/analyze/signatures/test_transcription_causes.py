"""One symptom, `…transcription.failed`, and the causes that look alike in a single session."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyze.findings import Finding
from tests.analyze.signatures.conftest import Line, Record, answer, not_transcribed, opening, speech, transcribed

Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

PATH = "transcription_model_path_failure"
OUTAGE = "transcription_outage_window"
QUOTA = "transcription_quota"
DEPLOYMENT = "azure_deployment_name_expected"
# As a deployment would be named, so that Azure's way with names has no part in it.
NAMED = "transcribe-prod"


def turns(*passed: bool, every_ms: float = 5000, transcription: str | None = NAMED) -> list[Line]:
    """Give a session whose turns are transcribed or not."""
    lines = opening(transcription)
    for number, is_passed in enumerate(passed):
        at_ms, item = 100 + number * every_ms, f"item_u{number}"
        end = transcribed if is_passed else not_transcribed
        lines += [*speech(at_ms, item), *answer(at_ms + 500, f"resp_{number}"), *end(at_ms + 1000, item)]
    return lines


def test_a_code_says_that_the_deployment_is_missing(record: Record, findings: Findings) -> None:
    session = record([*opening(), *speech(100), *answer(600), *not_transcribed(1000, code="DeploymentNotFound")])

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, "azure_deployment_missing", "certain")
    assert len(finding.explains) == 1


def test_a_window_of_hours_between_good_sessions_is_an_outage(record: Record, findings: Findings) -> None:
    record(turns(True), at="2026-02-12T07:30:00")
    bad = [record(turns(False, False), at=f"2026-02-12T{hour:02}:30:00") for hour in (8, 10, 12)]
    record(turns(True), at="2026-02-12T15:40:00")

    found = findings()

    assert [(finding.session_id, finding.name) for finding in found] == [(session, OUTAGE) for session in bad]
    assert found[0].confidence == "likely"
    assert found[0].numbers["failed_sessions_in_window"] == 3
    assert found[0].numbers["window_minutes"] == pytest.approx(240, abs=1)


def test_logs_that_tell_no_endpoint_are_no_outage_of_one(record: Record, names: Names) -> None:
    unknown = {"url": None, "target": None, "region": None, "provider": None, "headers": {"date": "then"}}
    record(turns(True), at="2026-02-12T07:30:00", **unknown)
    bad = [record(turns(False, False), at=f"2026-02-12T{hour:02}:30:00", **unknown) for hour in (8, 10, 12)]
    record(turns(True), at="2026-02-12T15:40:00", **unknown)

    assert names() == {session: [PATH] for session in bad}


def test_an_outage_that_has_not_ended_is_a_broken_path(record: Record, names: Names) -> None:
    record(turns(True), at="2026-02-12T07:30:00")
    bad = [record(turns(False, False), at=f"2026-02-12T{hour:02}:30:00") for hour in (8, 10)]

    assert names() == {session: [PATH] for session in bad}


def test_a_window_under_another_configuration_is_no_outage(record: Record, names: Names) -> None:
    record(turns(True, transcription="whisper-prod"), at="2026-02-12T07:30:00")
    bad = record(turns(False, False), at="2026-02-12T08:30:00")
    record(turns(True, transcription="whisper-prod"), at="2026-02-12T15:40:00")

    assert names() == {bad: [PATH]}


def test_sessions_that_fail_to_and_fro_are_no_outage(record: Record, names: Names) -> None:
    sessions = [record(turns(hour % 2 == 0), at=f"2026-02-12T{hour:02}:30:00") for hour in range(6, 15)]

    assert names() == {session: [PATH] for session in sessions[1::2]}


def test_the_rest_of_a_minute_fails_where_the_quota_is_used_up(record: Record, findings: Findings) -> None:
    passed = (True, True, False, False, False)
    first = turns(*passed)
    later = [
        *speech(70_000, "item_late"),
        *answer(70_500, "resp_late"),
        *transcribed(71_000, "item_late"),
    ]
    session = record([*first, *later])

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, QUOTA, "likely")
    assert finding.numbers["passed_per_minute"] == 2
    assert finding.numbers["failed_transcriptions"] == 3


def test_a_quota_of_one_a_minute_shows_in_sessions_of_one_turn(record: Record, names: Names) -> None:
    record(turns(True), at="2026-02-12T08:30:00")
    over = [record(turns(False), at=f"2026-02-12T08:30:{second}") for second in (10, 20, 30)]
    record(turns(True), at="2026-02-12T08:31:10")

    assert names() == {session: [QUOTA] for session in over}


def test_one_failure_soon_after_a_pass_is_no_quota(record: Record, names: Names) -> None:
    record(turns(True), at="2026-02-12T08:30:00")
    once = record(turns(False), at="2026-02-12T08:30:20")
    record(turns(True), at="2026-02-12T08:31:10")

    assert names() == {once: [PATH]}


def test_an_hour_in_which_two_of_many_sessions_fail_is_no_outage(record: Record, names: Names) -> None:
    passed = [False, True, False, True, False, False, True, False, True, True]
    sessions = [record(turns(each), at=f"2026-02-12T08:{number:02}:00") for number, each in enumerate([True, *passed])]

    assert names() == {session: [PATH] for session, each in zip(sessions[1:], passed, strict=True) if not each}


def test_a_last_turn_that_fails_is_not_enough_for_a_quota(record: Record, names: Names) -> None:
    record(turns(True, True, False))

    assert names() == {}


def test_failures_long_after_the_last_pass_are_no_quota(record: Record, names: Names) -> None:
    session = record(turns(True, False, False, every_ms=70_000))

    assert names().get(session) is None


def test_failures_now_and_then_are_no_quota(record: Record, names: Names) -> None:
    session = record(turns(True, False, True, True, True, False, True))

    assert names().get(session) is None


def test_no_catalogue_id_works_on_azure(record: Record, findings: Findings) -> None:
    sessions = [
        record(turns(False, False, transcription=model), at=f"2026-02-12T08:3{minute}:00")
        for minute, model in enumerate(("gpt-4o-transcribe", "whisper-1"))
    ]
    record(turns(True, transcription="transcribe-prod"), at="2026-02-12T08:40:00")

    found = findings()

    assert [(finding.session_id, finding.name) for finding in found] == [(session, DEPLOYMENT) for session in sessions]
    assert found[0].numbers["working_deployment_names"] == 1


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-mini-transcribe-2025-12-15"])
def test_a_catalogue_id_that_works_there_points_to_the_model(record: Record, names: Names, model: str) -> None:
    failed = record(turns(False, False, transcription="gpt-4o-transcribe"))
    record(turns(True, transcription=model))

    assert names() == {failed: [PATH]}


def test_a_deployment_name_that_fails_too_refutes_it(record: Record, names: Names) -> None:
    models = ("gpt-4o-transcribe", "whisper-1", "transcribe-prod")
    sessions = [record(turns(False, transcription=model)) for model in models]

    assert names() == {session: [PATH] for session in sessions}


def test_openai_takes_catalogue_ids(record: Record, names: Names) -> None:
    openai = {"provider": "openai", "url": "wss://api.openai.com/v1/realtime", "headers": {"x-request-id": "req_1"}}
    sessions = [record(turns(False, transcription=model), **openai) for model in ("gpt-4o-transcribe", "whisper-1")]

    assert names() == {session: [PATH] for session in sessions}


def test_regions_are_judged_each_by_itself(record: Record, names: Names) -> None:
    failed = record(turns(False, False, transcription="gpt-4o-transcribe"), region="eastus2")
    elsewhere = record(turns(False, False, transcription="whisper-1"), region="swedencentral")

    assert names() == {failed: [PATH], elsewhere: [PATH]}


def changed(*models: str, failing: str) -> list[Line]:
    """Give a session of three turns with each of these transcription models, of which one fails."""
    lines: list[Line] = []
    for place, model in enumerate(models):
        begun_ms = 15_000.0 * place
        session = opening(model, at_ms=begun_ms)
        lines += session if place == 0 else session[1:]
        for number in range(3):
            at_ms, item = begun_ms + 100 + 5000 * number, f"item_{model}_{number}"
            end = not_transcribed if model == failing else transcribed
            lines += [*speech(at_ms, item), *answer(at_ms + 500, f"resp_{model}_{number}"), *end(at_ms + 1000, item)]
    return lines


@pytest.mark.parametrize("models", [("gpt-4o-transcribe", "whisper-1"), ("whisper-1", "gpt-4o-transcribe")], ids=str)
def test_a_client_that_changes_the_model_in_the_middle(
    record: Record, findings: Findings, models: tuple[str, str]
) -> None:
    record(changed(*models, failing="gpt-4o-transcribe"))

    (finding,) = findings()

    assert (finding.name, finding.confidence) == (PATH, "likely")
    assert finding.numbers["failed_transcriptions"] == 3
    assert (finding.numbers["completed_transcriptions"], finding.numbers["other_models_working"]) == (0, 1)
    assert finding.numbers["transcriptions_by_other_models"] == 3
    assert len(finding.explains) == 1
