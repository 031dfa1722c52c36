"""Responses that end as failed or cut short: the codes and the clock tell the causes apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from analyze.findings import Finding
from capture.recording.facts import KeepRule
from tests.analyze.signatures.conftest import Line, Record, answer, healthy_turn, in_order, opening, speech, transcribed

pytestmark = pytest.mark.dialects("ga", "beta")
Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

MIDSTREAM = "response_server_error_midstream"
PEAK = "peak_hour_capacity"
VARIANT = "model_variant_capacity"
LIMITED = "inference_rate_limited"
ACCOUNT = "account_refused"
FILTERED = "content_filter_incomplete"

HAD_AN_ERROR = "The server had an error while processing your request. Sorry about that!"
GOOD_HOURS = ("06", "07", "10", "11")

once = pytest.mark.dialects("ga")
"""Rates over many calls know nothing of a dialect, and each takes a hundred calls."""


def failing(code: str | None, error_type: str = "server_error", message: str = HAD_AN_ERROR) -> dict[str, Any]:
    return {"type": "failed", "error": {"type": error_type, "code": code, "message": message}}


def turn(number: int = 1, *, at_ms: float = 100, **ending: Any) -> list[Line]:
    """Give a turn that is transcribed, and whose answer ends in this way."""
    item = f"item_u{number}"
    answered = answer(at_ms + 500, f"resp_{number}", **({"audio_ms": 400} | ending))
    return [*speech(at_ms, item), *answered, *transcribed(at_ms + 1000, item)]


def failed_turn(number: int = 1, *, at_ms: float = 100, code: str | None = None) -> list[Line]:
    return turn(number, at_ms=at_ms, status="failed", details=failing(code))


def hour(
    record: Record, clock: str, turns: int, failed: int, *, calls: int = 5, day: int = 12, **facts: Any
) -> set[str]:
    """Record so many calls in this hour, with so many turns in all, of which some fail: one in each call, then another.

    Gives the calls in which some did.
    """
    failing = set()
    for call in range(calls):
        lines = opening()
        bad = len(range(call, failed, calls))
        for number in range(len(range(call, turns, calls))):
            lines += (failed_turn if number < bad else turn)(number, at_ms=100 + 2000 * number)
        session = record(lines, at=f"2026-02-{day}T{clock}:{5 * call:02}:00", **facts)
        failing |= {session} if bad else set()
    return failing


def test_a_server_error_without_a_code(record: Record, findings: Findings) -> None:
    session = record([*opening(), *failed_turn(1), *healthy_turn(3000, 2)])

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, MIDSTREAM, "likely")
    assert finding.numbers["failed_responses"] == 1
    assert finding.numbers["failed_after_audio"] == 1
    assert finding.explains == (f"response.done|server_error||{HAD_AN_ERROR}",)


def test_a_server_error_that_is_told_twice_is_one_failure(record: Record, findings: Findings) -> None:
    told = {"type": "server_error", "code": None, "message": HAD_AN_ERROR}
    record([*opening(), *failed_turn(1), (2000, "server", {"type": "error", "error": told})])

    (finding,) = findings()

    assert finding.name == MIDSTREAM
    assert finding.explains == (f"response.done|server_error||{HAD_AN_ERROR}", f"error|server_error||{HAD_AN_ERROR}")


@once
def test_failures_that_follow_the_hour(record: Record, findings: Findings) -> None:
    for clock in GOOD_HOURS:
        hour(record, clock, turns=10, failed=0)
    peak = hour(record, "08", turns=10, failed=8) | hour(record, "09", turns=10, failed=4)

    found = findings()

    assert [(finding.session_id, finding.name) for finding in found] == [(session, PEAK) for session in sorted(peak)]
    assert found[0].confidence == "likely"
    assert found[0].numbers["worst_hour_utc"] == 8
    assert found[0].numbers["worst_hour_share"] == 0.8
    assert found[0].numbers["best_hour_share"] == 0


@once
def test_the_published_rates_are_capacity(record: Record, names: Names) -> None:
    # 8 of 997 at 06:00 and 135 of 893 at 08:00, at a tenth of the size.
    quiet = hour(record, "06", turns=100, failed=1, calls=10)
    busy = hour(record, "08", turns=89, failed=13, calls=10)

    assert names() == {session: [PEAK] for session in sorted(quiet | busy)}


@once
def test_the_peak_of_one_day_is_not_hidden_by_another_day(record: Record, names: Names) -> None:
    quiet = hour(record, "06", turns=30, failed=1)
    busy = hour(record, "08", turns=30, failed=15)
    hour(record, "08", turns=120, failed=0, day=13)

    assert names() == {session: [PEAK] for session in sorted(quiet | busy)}


@once
def test_one_rate_all_day_is_no_peak(record: Record, names: Names) -> None:
    sessions = set.union(*(hour(record, f"{clock:02}", turns=6, failed=1 + clock % 2) for clock in range(6, 14)))

    assert names() == {session: [MIDSTREAM] for session in sorted(sessions)}


@once
def test_one_failure_in_a_day_is_no_peak(record: Record, names: Names) -> None:
    for clock in GOOD_HOURS:
        hour(record, clock, turns=6, failed=0)
    (once,) = hour(record, "08", turns=6, failed=1)

    assert names() == {once: [MIDSTREAM]}


@once
def test_one_call_in_which_everything_fails_is_no_peak(record: Record, names: Names) -> None:
    for clock in (*GOOD_HOURS, "08"):
        hour(record, clock, turns=10, failed=0)
    (broken,) = hour(record, "08", turns=8, failed=8, calls=1)

    assert names() == {broken: [MIDSTREAM]}


def test_where_each_hour_has_one_call_nobody_knows_whether_it_is_the_hour(record: Record, names: Names) -> None:
    for clock in GOOD_HOURS:
        hour(record, clock, turns=6, failed=0, calls=1)
    (call,) = hour(record, "08", turns=8, failed=7, calls=1)

    assert names() == {call: [MIDSTREAM]}


@once
def test_the_peak_of_another_region_is_not_this_ones(record: Record, names: Names) -> None:
    for clock in GOOD_HOURS:
        hour(record, clock, turns=10, failed=0)
    peak = hour(record, "08", turns=10, failed=8)
    (elsewhere,) = hour(record, "08", turns=6, failed=1, region="swedencentral")

    assert names() == {session: [PEAK] for session in peak} | {elsewhere: [MIDSTREAM]}


def test_a_model_that_is_unavailable_beside_one_that_is_fine(record: Record, findings: Findings) -> None:
    model = {"url": "wss://contoso.openai.azure.com/openai/v1/realtime?model=gpt-realtime-1.5"}
    details = failing("inference_service_unavailable_error")
    session = record([*opening(), *turn(status="failed", details=details, audio_ms=0, tokens=(14_000, 0))], **model)
    record([*opening(), *healthy_turn(100)])

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, VARIANT, "likely")
    assert finding.numbers["most_input_tokens"] == 14_000
    assert finding.numbers["most_output_tokens"] == 0
    assert finding.numbers["other_models_fine"] == 1
    assert len(finding.explains) == 1


def test_without_another_model_it_is_only_possible(record: Record, findings: Findings) -> None:
    record([*opening(), *failed_turn(code="inference_service_unavailable_error")])

    assert [(finding.name, finding.confidence) for finding in findings()] == [(VARIANT, "possible")]


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "inference_rate_limit_exceeded"])
@pytest.mark.parametrize("error_type", ["rate_limit_error", "invalid_request_error"])
def test_a_rate_limit_whatever_its_type(record: Record, findings: Findings, code: str, error_type: str) -> None:
    details = failing(code, error_type, "Rate limit reached for gpt-realtime on requests per day (RPD): Limit 1000.")
    session = record([*opening(), *turn(status="failed", details=details, audio_ms=0, tokens=(0, 0))])

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, LIMITED)
    assert finding.numbers == {"refused": 1, "failed_responses": 1}
    assert len(finding.explains) == 1


def test_other_invalid_requests_are_no_rate_limit(record: Record, names: Names) -> None:
    record([*opening(), *turn(status="failed", details=failing("invalid_value", "invalid_request_error"))])

    assert names() == {}


def test_an_answer_that_the_content_filter_cut(record: Record, findings: Findings) -> None:
    details = {"type": "incomplete", "reason": "content_filter"}
    session = record([*opening(), *turn(status="incomplete", details=details)])

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, FILTERED)
    assert finding.explains == ("response.done|incomplete|content_filter|",)


@pytest.mark.parametrize(
    ("pre_s", "numbers"),
    [
        (None, {"cut_responses": 1, "least_audio_ms": 400}),
        (2.0, {"cut_responses": 1, "least_audio_ms": 400}),
        (0.05, {"cut_responses": 1}),
    ],
    ids=["whole", "the answer is in the window", "it began before the window"],
)
def test_how_much_of_a_filtered_answer_came_whatever_was_kept_of_the_call(
    record: Record, findings: Findings, pre_s: float | None, numbers: dict[str, float]
) -> None:
    details = {"type": "incomplete", "reason": "content_filter"}
    lines = [*opening(), *healthy_turn(100, 1), *turn(2, at_ms=30_000, status="incomplete", details=details)]
    rule = KeepRule(keep="failed", pre_s=pre_s, post_s=1.0) if pre_s else KeepRule()
    record(in_order([*lines, *healthy_turn(60_000, 3)]), keep_rule=rule)

    (finding,) = findings()

    assert finding.numbers == numbers


@pytest.mark.parametrize(
    ("status", "reason"),
    [("incomplete", "max_output_tokens"), ("cancelled", "turn_detected"), ("cancelled", "client_cancelled")],
)
def test_other_ends_are_nothing_to_name(record: Record, names: Names, status: str, reason: str) -> None:
    record([*opening(), *turn(status=status, details={"type": status, "reason": reason})])

    assert names() == {}


@pytest.mark.parametrize(
    ("error_type", "code"),
    [
        ("insufficient_quota", "insufficient_quota"),
        ("insufficient_quota", None),
        ("invalid_request_error", "billing_hard_limit_reached"),
        ("invalid_request_error", "credit_balance_exhausted"),
        ("invalid_request_error", "account_deactivated"),
    ],
)
def test_what_the_account_may_not_is_no_rate_limit(
    record: Record, findings: Findings, error_type: str, code: str | None
) -> None:
    words = "You exceeded your current quota, please check your plan and billing details."
    record([*opening(), *turn(status="failed", audio_ms=0, details=failing(code, error_type, words))])

    (finding,) = findings()

    assert (finding.name, finding.confidence) == (ACCOUNT, "certain")
    assert finding.numbers == {"refused": 1, "failed_responses": 1}
    assert finding.explains == (f"response.done|{error_type}|{code or ''}|{words}",)


def test_an_account_that_is_refused_at_once_and_hung_up_on(record: Record, findings: Findings) -> None:
    refusal: Line = (
        60,
        "server",
        {
            "type": "error",
            "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "No quota."},
        },
    )
    record([*opening(), refusal], closed=("server", 1008, "insufficient_quota"))

    (finding,) = findings()

    assert (finding.name, len(finding.explains)) == (ACCOUNT, 2)
