"""How connections end: dropped, at their cap, by a keepalive that nobody answered, or with a goodbye too early."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyze.findings import Finding
from capture.recording.facts import KeepRule
from tests.analyze.signatures.conftest import Line, Record, answer, healthy_turn, opening, sound, speech

Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

HEALTH = {"relay_lag_max_us": 900.0, "backpressure_client_ms": 0.0, "backpressure_server_ms": 0.0}
HOUR_MS = 3_600_000
EXPIRED = {
    "type": "invalid_request_error",
    "code": "session_expired",
    "message": "Your session hit the maximum duration of 60 minutes.",
}


def error(at_ms: float, **told: object) -> Line:
    return (at_ms, "server", {"type": "error", "event_id": "event_e", "error": {"param": None, **told}})


def created(at_ms: float, expires_at: int) -> Line:
    session = {"id": "sess_1", "model": "gpt-realtime", "expires_at": expires_at}
    return (at_ms, "server", {"type": "session.created", "session": session})


def test_a_dropped_connection(record: Record, findings: Findings) -> None:
    record(
        [*opening(), *healthy_turn(100), *speech(3000, "item_u2")],
        closed=None,
        closed_by="network",
        ended_ms=3700,
        health=HEALTH,
    )

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("abnormal_close_1006", "certain")
    assert finding.numbers["age_s"] == pytest.approx(3.7)
    assert finding.numbers["pacing_ratio"] == pytest.approx(1.0)
    assert finding.numbers["relay_lag_max_us"] == 900.0
    assert finding.numbers["lost_bytes"] == 0.0
    assert "close||1006|" in finding.explains


def test_the_pace_of_what_was_sent_is_not_watered_down_by_the_wait_for_the_drop(
    record: Record, findings: Findings
) -> None:
    # 20 s of audio sent within 2 s, and the connection drops when they would have been played.
    append = {"type": "input_audio_buffer.append", "audio": sound(100)}
    lines: list[Line] = [(100.0 + 10 * number, "client", append) for number in range(200)]
    record([*opening(), *lines], closed=None, closed_by="network", ended_ms=20_100, health=HEALTH)

    (finding,) = (found for found in findings() if found.name == "abnormal_close_1006")

    assert finding.numbers["pacing_ratio"] == pytest.approx(10.0)


def test_no_pace_is_told_where_none_was_measured(record: Record, findings: Findings) -> None:
    append = {"type": "input_audio_buffer.append", "audio": sound(1000)}
    record([*opening(), (100, "client", append)], closed=None, closed_by="network", ended_ms=2000, health=HEALTH)

    (finding,) = (found for found in findings() if found.name == "abnormal_close_1006")

    assert "pacing_ratio" not in finding.numbers
    assert finding.numbers["age_s"] == pytest.approx(2.0)


def test_a_drop_while_an_answer_was_due_is_one_finding(record: Record, names: Names) -> None:
    lines = [*opening(None), *speech(100), *answer(600, done=False)]
    session = record(lines, closed=None, closed_by="server", ended_ms=1000, health=HEALTH)

    assert names() == {session: ["abnormal_close_1006"]}


@pytest.mark.parametrize(
    ("health", "confidence"),
    [
        ({}, "likely"),
        (HEALTH | {"relay_lag_max_us": 4e6}, "possible"),
        (HEALTH | {"backpressure_client_ms": 5000.0}, "possible"),
    ],
)
def test_a_recorder_that_was_ill_is_named_before_anyone_else(
    record: Record, findings: Findings, health: dict[str, float], confidence: str
) -> None:
    record([*opening(), *healthy_turn(100)], closed=None, closed_by="network", ended_ms=5000, health=health)

    assert [(finding.name, finding.confidence) for finding in findings()] == [("abnormal_close_1006", confidence)]


def test_a_connection_in_which_nobody_spoke_has_no_rows_to_show(record: Record, findings: Findings) -> None:
    record([], closed=None, closed_by="network", ended_ms=5000, health=HEALTH)

    assert [(finding.name, finding.evidence) for finding in findings()] == [("abnormal_close_1006", ())]


def test_a_client_that_just_leaves_is_no_failure(record: Record, names: Names) -> None:
    record([*opening(), *healthy_turn(100)], closed=None, closed_by="client", ended_ms=5000)

    assert names() == {}


def test_an_error_before_the_drop_is_not_called_an_accident(record: Record, names: Names) -> None:
    lines = [*opening(), *healthy_turn(100), error(4000, type="server_error", code="odd", message="Bye.")]
    record(lines, closed=None, closed_by="server", ended_ms=4100, health=HEALTH)

    assert names() == {}


@pytest.mark.parametrize("rule", [KeepRule(), KeepRule(keep="failed", pre_s=0.5, post_s=0.0)], ids=["whole", "window"])
def test_how_long_the_endpoint_was_silent_is_told_where_it_is_known(
    record: Record, findings: Findings, rule: KeepRule
) -> None:
    # The last audio comes at 10,600 ms.
    lines = [*opening(None), *speech(100), *answer(600, audio_ms=40_000, every_ms=50, done=False, said="")]
    record(lines, closed=None, closed_by="network", ended_ms=12_000, keep_rule=rule)

    (finding,) = findings()

    assert finding.name == "abnormal_close_1006"
    assert finding.numbers.get("since_endpoint_spoke_s") == (pytest.approx(1.4) if rule.pre_s is None else None)


def test_a_needless_cancel_before_the_drop_hides_nothing(record: Record, names: Names) -> None:
    needless = error(
        4000, type="invalid_request_error", code="response_cancel_not_active", message="Nothing to cancel."
    )
    session = record([*opening(), *healthy_turn(100), needless], closed=None, closed_by="network", ended_ms=4100)

    assert names() == {session: ["abnormal_close_1006"]}


def test_the_cap_is_told_by_an_error_and_a_close(record: Record, findings: Findings) -> None:
    lines = [*opening(), *healthy_turn(100), error(HOUR_MS, **EXPIRED)]
    record(lines, closed=("server", 1001, str(EXPIRED["message"])))

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("session_max_duration", "certain")
    assert finding.numbers["age_s"] == pytest.approx(3600, abs=1)
    assert len(finding.evidence) == 2
    assert len(finding.explains) == 2


@pytest.mark.parametrize(("code", "confidence"), [(1001, "likely"), (None, "possible")])
@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_the_cap_is_told_by_the_age(
    record: Record, findings: Findings, minutes: int, code: int | None, confidence: str
) -> None:
    closed = None if code is None else ("server", code, "")
    lines = [*opening(), *healthy_turn(100)]
    record(lines, closed=closed, closed_by="server", ended_ms=minutes * 60_000)

    assert [(finding.name, finding.confidence) for finding in findings()] == [("session_max_duration", confidence)]


def test_expires_at_says_more_than_a_round_age(record: Record, findings: Findings) -> None:
    # 2026-02-12T08:30:55 and 20 minutes; then 60 minutes, of which the session lived 30.
    ends = created(0, 1770886255)
    record([ends], closed=("server", 1001, ""), ended_ms=1_200_000)
    record([created(0, 1770888655)], closed=None, closed_by="network", ended_ms=1_800_000, health=HEALTH)

    first, second = findings()

    assert first.name == "session_max_duration"
    assert first.numbers["past_expires_at_s"] == pytest.approx(0, abs=1)
    assert second.name == "abnormal_close_1006"


def test_going_away_early_is_no_cap(record: Record, names: Names) -> None:
    record([*opening(), *healthy_turn(100)], closed=("server", 1001, "going away"), ended_ms=400_000)

    assert names() == {}


@pytest.mark.parametrize(("sender", "number"), [("client", "sent_by_client"), ("server", "received_from_endpoint")])
def test_a_keepalive_timeout_tells_who_sent_it(record: Record, findings: Findings, sender: str, number: str) -> None:
    closed = (sender, 1011, "keepalive ping timeout")
    record([*opening(), *healthy_turn(100)], closed=closed, ended_ms=60_000, health=HEALTH)

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("keepalive_timeout", "certain")
    assert finding.numbers["sent_by_client"] + finding.numbers["received_from_endpoint"] == 1
    assert finding.numbers[number] == 1
    assert finding.explains == (f"close|{sender}|1011|keepalive ping timeout",)
    assert len(finding.evidence) == 1


def test_an_internal_error_is_no_keepalive(record: Record, names: Names) -> None:
    record([*opening(), *healthy_turn(100)], closed=("server", 1011, "internal error"))

    assert names() == {}


def test_a_goodbye_right_after_the_configuration(record: Record, findings: Findings) -> None:
    record(opening()[:2], closed=("server", 1000, ""))

    (finding,) = findings()

    assert (finding.name, finding.evidence) == ("close_1000_after_session_update", (1, 2))
    assert finding.numbers == {"closed_after_update_ms": 100}


@pytest.mark.parametrize(
    ("lines", "ended_ms"),
    [
        (opening(), 5000),
        ([*opening(), *healthy_turn(100)], 0),
        ([], 0),
    ],
    ids=["later", "after a turn", "without a configuration"],
)
def test_other_clean_goodbyes_of_the_endpoint_are_no_failure(
    record: Record, names: Names, lines: list[Line], ended_ms: float
) -> None:
    record([created(0, 1770888655), *lines], closed=("server", 1000, ""), ended_ms=ended_ms)

    assert names() == {}


def test_a_goodbye_after_an_error_is_the_errors(record: Record, names: Names) -> None:
    odd = error(50, type="server_error", code=None, message="The server had an error.")
    session = record([*opening(), odd], closed=("server", 1000, ""))

    assert names() == {session: ["error_right_after_session_created"]}
