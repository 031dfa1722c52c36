from typing import Any

import msgspec
import pytest

from replay.simulator.clock import NS_PER_S
from replay.simulator.faults.conditions import Circumstance, Conditions, Quota
from replay.simulator.faults.effects import (
    AudioCut,
    AudioEffect,
    Drop,
    Effect,
    EndingEffect,
    ResponseEffect,
    ResponseNeverDone,
    TranscriptionEffect,
    TranscriptionFailed,
    TranscriptionWithheld,
)
from replay.simulator.faults.faults import Fault, Faults

FAILED = Effect(transcription_failed=TranscriptionFailed(message="no"))
STARTED_NS = 1_700_000_000 * NS_PER_S


def here(
    region: str = "eastus2", at_s: float = 0, transcription: str = "whisper-1", turn: int = 1, response: int = 1
) -> Circumstance:
    return Circumstance(region, STARTED_NS + round(at_s * NS_PER_S), "gpt-realtime", transcription, turn, response)


def always(_name: str) -> float:
    return 0.0


def struck(when: Conditions, *circumstances: Circumstance) -> list[bool]:
    faults = Faults([Fault(FAILED, when)], STARTED_NS)
    return [faults.find_effect(TranscriptionEffect, now, always) is not None for now in circumstances]


def test_a_fault_may_wait_for_the_nth_response() -> None:
    faults = Faults([Fault(Effect(response_never_done=ResponseNeverDone()), Conditions(response=2))], STARTED_NS)

    found = [faults.find_effect(ResponseEffect, here(response=number), always) for number in (1, 2, 3)]
    assert found == [None, ResponseNeverDone(), None]


def test_a_chance_is_drawn_only_where_all_else_holds() -> None:
    faults = Faults([Fault(FAILED, Conditions(region="eastus2", probability=0.5))], STARTED_NS)
    drawn: list[str] = []

    def draw(name: str) -> float:
        drawn.append(name)
        return 0.4

    assert faults.find_effect(TranscriptionEffect, here("westus"), draw) is None
    assert faults.find_effect(TranscriptionEffect, here(), draw) == FAILED.given
    assert faults.find_effect(TranscriptionEffect, here(), lambda _: 0.5) is None
    assert drawn == ["fault 0"]


def test_a_quota_lets_the_first_of_a_minute_pass_and_strikes_the_others() -> None:
    when = Conditions(quota=Quota(turns=2, per_s=60))

    at_once = [here(at_s=at_s) for at_s in (0, 5, 10, 59)]
    assert struck(when, *at_once, here(at_s=60), here(at_s=61)) == [False, False, True, True, False, True]
    assert struck(when, *(here(at_s=at_s) for at_s in (0, 61, 122, 183))) == [False] * 4


def test_a_quota_is_one_for_all_sessions_and_each_deployment_has_its_own() -> None:
    when = Conditions(quota=Quota(turns=1, per_s=60))

    assert struck(when, here(), here(), here("westus"), here(transcription="other")) == [False, True, False, False]


def test_what_does_not_meet_the_other_conditions_uses_no_quota_up() -> None:
    when = Conditions(region="eastus2", turn=2, quota=Quota(turns=1, per_s=60))

    assert struck(when, here(turn=1), here(turn=1), here(turn=2), here(turn=2)) == [False, False, False, True]


def test_the_first_of_a_kind_wins_and_other_kinds_strike_beside_it() -> None:
    effects = [
        Effect(transcription_withheld=TranscriptionWithheld()),
        FAILED,
        Effect(audio_cut=AudioCut()),
        Effect(drop=Drop(after_s=3)),
    ]
    faults = Faults([Fault(effect) for effect in effects], STARTED_NS)

    kinds: list[Any] = [TranscriptionEffect, AudioEffect, EndingEffect, ResponseEffect]
    assert [faults.find_effect(kind, here(), always) for kind in kinds] == [
        TranscriptionWithheld(),
        AudioCut(),
        Drop(after_s=3),
        None,
    ]


def test_what_does_not_suit_is_passed_over_without_a_draw() -> None:
    drops = [Effect(drop=Drop(after_event=name)) for name in ("response.created", "session.updated")]
    faults = Faults([Fault(drop, Conditions(probability=0.5)) for drop in drops], STARTED_NS)
    drawn: list[str] = []

    def draw(name: str) -> float:
        drawn.append(name)
        return 0.1

    found = faults.find_effect(EndingEffect, here(), draw, lambda drop: drop.after_event == "session.updated")

    assert (found, drawn) == (drops[1].given, ["fault 1"])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"then": {"refuse_handshake": {"status": 403, "code": "c", "message": "m"}}, "when": {"turn": 1}}, "turn"),
        ({"then": {"transcription_withheld": {}}, "when": {"response": 1}}, "response"),
        ({"then": {"http_error": {"status": 500, "message": "m"}}, "when": {"turn": 1}}, "turn"),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(fault: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"knows no condition `{told}`"):
        msgspec.convert(fault, Fault)
