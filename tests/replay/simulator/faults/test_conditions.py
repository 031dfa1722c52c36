from __future__ import annotations

from typing import Any

import msgspec
import pytest

from replay.simulator.faults.conditions import Circumstance, Conditions


def here(region: str = "eastus2", transcription: str | None = "whisper-1", turn: int = 1) -> Circumstance:
    return Circumstance(region, 0, "gpt-realtime", transcription, turn)


def hold(when: Conditions, *circumstances: Circumstance) -> list[bool]:
    return [when.hold_at(circumstance, 0) for circumstance in circumstances]


def hits(when: Conditions, *times_s: float) -> list[float]:
    return [at_s for at_s in times_s if when.hold_at(here(), at_s)]


def test_all_conditions_that_are_given_must_hold() -> None:
    when = Conditions(region="eastus2", turn=2)

    assert hold(when, here(turn=1), here(turn=2), here("westus", turn=2)) == [False, True, False]


def test_a_condition_may_name_several() -> None:
    when = Conditions(transcription_model=("whisper-1", "gpt-4o-transcribe"))

    asked = ("gpt-4o-transcribe", "transcribe-prod", "whisper-1")
    assert hold(when, *(here(transcription=model) for model in asked)) == [True, False, True]


def test_a_star_stands_for_anything_that_is_there() -> None:
    asked = [here(transcription=model) for model in ("gpt-4o-mini-transcribe", "whisper-1", None)]

    assert hold(Conditions(transcription_model="gpt-4o-*"), *asked) == [True, False, False]
    assert hold(Conditions(transcription_model="*"), *asked) == [True, True, False]


def test_a_window_includes_its_start_and_not_its_end() -> None:
    assert hits(Conditions(from_s=60, until_s=120), 0, 59.9, 60, 119.9, 120) == [60, 119.9]


def test_a_periodic_window_comes_again() -> None:
    when = Conditions(from_s=10, every_s=100, for_s=20)

    assert hits(when, 9, 10, 29, 30, 109, 110, 129, 131) == [10, 29, 110, 129]


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({"every_s": 60}, "go together"),
        ({"every_s": 0, "for_s": 1}, r"> 0.0 - at `\$.every_s`"),
        ({"from_s": 60, "until_s": 60}, "`until_s` must be later than `from_s`"),
        ({"until_s": 0}, r"> 0.0 - at `\$.until_s`"),
        ({"turn": 0}, r">= 1 - at `\$.turn`"),
        ({"probability": 7}, r"<= 1.0 - at `\$.probability`"),
        ({"quota": {"turns": 1}}, "missing required field `per_s`"),
    ],
)
def test_conditions_that_can_never_hold_are_refused(when: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.convert(when, Conditions)
