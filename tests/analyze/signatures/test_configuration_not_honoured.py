from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from analyze.findings import Finding
from tests.analyze.signatures.conftest import Line, Record, answer, healthy_turn, opening, speech, transcribed

pytestmark = pytest.mark.dialects("ga", "beta")
Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

NAME = "configuration_not_honoured"
DEFAULTS: dict[str, Any] = {"id": "sess_1", "model": "gpt-realtime", "instructions": "You are helpful."}
OPENAI: dict[str, Any] = {"provider": "openai", "url": "wss://api.openai.com/v1/realtime?model=gpt-realtime"}


def configured(asked: dict[str, Any], echoed: dict[str, Any], update: str = "session.update") -> list[Line]:
    return [
        (0, "server", {"type": "session.created", "session": DEFAULTS}),
        (5, "client", {"type": update, "session": asked}),
        (10, "server", {"type": f"{update}d", "session": DEFAULTS | echoed}),
    ]


def ga(**audio_input: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"input": audio_input}}


def test_another_voice_than_asked(record: Record, findings: Findings) -> None:
    asked = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    echoed = {"type": "realtime", "audio": {"output": {"voice": "alloy"}}}
    record([*configured(asked, echoed), *healthy_turn(100)])

    (finding,) = findings()

    assert (finding.name, finding.confidence, finding.evidence) == (NAME, "likely", (1, 2))
    assert finding.numbers == {"audio_output_voice_differs": 1}
    assert finding.explains == ()
    assert finding.first_at is not None and finding.last_at is not None and finding.first_at < finding.last_at


@pytest.mark.parametrize(
    ("asked", "echoed", "number"),
    [
        ({"voice": "marin"}, {"voice": "alloy"}, "audio_output_voice_differs"),
        ({"modalities": ["text"]}, {"modalities": ["text", "audio"]}, "output_modalities_differs"),
        ({"turn_detection": None}, {"turn_detection": {"type": "server_vad"}}, "audio_input_turn_detection_differs"),
        ({"instructions": "Be brief."}, {}, "instructions_differs"),
    ],
)
def test_the_beta_dialect_is_compared_too(
    record: Record, findings: Findings, asked: dict[str, Any], echoed: dict[str, Any], number: str
) -> None:
    record(configured(asked, echoed))

    (finding,) = findings()

    assert finding.name == NAME
    assert finding.numbers == {number: 1}


def test_a_transcription_that_was_dropped_without_a_word(record: Record, names: Names) -> None:
    session = record([*configured(ga(transcription={"model": "whisper-1"}), ga(transcription=None)), *speech(100)])

    assert NAME in names()[session]


def test_azure_echoes_the_model_behind_a_deployment(record: Record, names: Names) -> None:
    lines = configured(ga(transcription={"model": "our-ears"}), ga(transcription={"model": "gpt-4o-transcribe"}))
    record([*lines, *speech(100), *answer(600), *transcribed(1000)])
    session = record([*lines, *speech(100), *answer(600), *transcribed(1000)], **OPENAI)

    assert names() == {session: [NAME]}


@pytest.mark.parametrize(
    ("facts", "model", "expected"),
    [
        (OPENAI, "gpt-realtime-2025-08-28", []),
        (OPENAI, "gpt-4o-realtime", [NAME]),
        ({}, "gpt-4o-realtime", []),
    ],
    ids=["a dated version", "another model", "a deployment of azure"],
)
def test_the_model_itself(record: Record, names: Names, facts: dict[str, Any], model: str, expected: list[str]) -> None:
    told = {"id": "sess_1", "model": model}
    session = record([(0, "server", {"type": "session.created", "session": told}), *healthy_turn(100)], **facts)

    assert names().get(session, []) == expected


def test_an_update_that_was_refused_has_another_name(record: Record, names: Names) -> None:
    asked = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "param": "session.audio"}
    session = record(
        [*configured(asked, {})[:2], (20, "server", {"type": "error", "error": error}), *speech(100), *answer(600)]
    )

    assert names() == {session: ["config_rejected_session_runs_default"]}


def test_only_the_last_echo_counts(record: Record, names: Names) -> None:
    first = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    lines = [*configured(first, {"audio": {"output": {"voice": "alloy"}}}), *configured(first, first)[1:]]
    record([*lines, *healthy_turn(100)])

    assert names() == {}


def test_an_update_that_was_not_answered_yet_is_not_judged(record: Record, names: Names) -> None:
    asked = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    record([*opening(None), (20, "client", {"type": "session.update", "session": asked})])

    assert names() == {}
