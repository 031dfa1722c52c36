"""Transcription faults that show by themselves, each beside the healthy session that looks like it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from analyze.findings import Finding
from tests.analyze.signatures.conftest import Line, Record, answer, healthy_turn, in_order, opening, speech, transcribed

pytestmark = pytest.mark.dialects("ga", "beta")
Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

MISMATCH = "session_type_mismatch"
TOKEN = "token_mint_500_with_transcription"
MISSING = "transcription_terminal_missing"
DUPLICATE = "transcription_duplicate"
SILENCE = "silence_hallucination"

MINT: dict[str, Any] = {
    "url": "https://contoso.openai.azure.com/openai/v1/realtime/client_secrets",
    "method": "POST",
    "upgrade": False,
    "closed": None,
}
SERVER_ERROR = json.dumps({"error": {"code": "InternalServerError", "message": "Something went wrong."}})


def error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": message}}


def minted(transcription: str | None) -> str:
    audio = {"input": {"transcription": {"model": transcription}}} if transcription else {}
    return json.dumps({"session": {"type": "realtime", "model": "gpt-realtime", "audio": audio}})


def test_a_transcription_update_in_a_realtime_session(record: Record, findings: Findings) -> None:
    words = "Passing a transcription session update event to a realtime session is not allowed."
    update = {"type": "session.update", "session": {"type": "transcription"}}
    session = record(
        [
            (0, "server", {"type": "session.created", "session": {"id": "sess_1"}}),
            (5, "client", update),
            (10, "server", error("invalid_parameter", words)),
        ]
    )

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.evidence) == (session, MISMATCH, (2,))
    assert finding.explains == (f"error|invalid_request_error|invalid_parameter|{words}",)


def test_a_model_that_is_not_for_realtime(record: Record, findings: Findings) -> None:
    body = json.dumps({"error": {"code": "OpperationNotSupported", "message": "The operation is unsupported."}})
    session = record([], status=400, body=body)

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, MISMATCH)
    assert finding.explains == ("handshake|OpperationNotSupported|400|The operation is unsupported.",)


def test_other_refusals_are_no_mismatch(record: Record, names: Names) -> None:
    record([], status=400, body=json.dumps({"error": {"code": "BadRequest", "message": "No."}}))
    record([*opening(), (20, "server", error("invalid_parameter", "Invalid value."))])

    assert not any(MISMATCH in found for found in names().values())


def test_a_token_is_not_minted_with_a_transcription_block(record: Record, findings: Findings) -> None:
    session = record([], status=500, sent=minted("gpt-4o-transcribe"), body=SERVER_ERROR, **MINT)

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.evidence) == (session, TOKEN, (0, 1))
    assert finding.numbers == {"http_status": 500}
    assert len(finding.explains) == 1


@pytest.mark.parametrize(
    ("transcription", "status", "body"),
    [(None, 500, SERVER_ERROR), ("gpt-4o-transcribe", 200, '{"value": "ek_1"}'), ("gpt-4o-transcribe", 401, "{}")],
)
def test_other_answers_to_a_mint_have_other_names(
    record: Record, names: Names, transcription: str | None, status: int, body: str
) -> None:
    session = record([], status=status, sent=minted(transcription), body=body, **MINT)

    assert TOKEN not in names().get(session, [])


def test_a_transcription_that_never_ends(record: Record, findings: Findings) -> None:
    lines = [*opening(), *healthy_turn(100, 1), *speech(3000, "item_u2"), *answer(3500, "resp_2")]
    session = record(lines, ended_ms=10_000)

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, MISSING)
    assert finding.numbers["missing_transcriptions"] == 1
    assert finding.explains == ("absent:conversation.item.input_audio_transcription.completed",)


def test_of_silence_after_a_timeout_none_is_missing(record: Record, names: Names) -> None:
    silence = {"item_id": "item_u2"}
    timed_out = {"type": "input_audio_buffer.timeout_triggered", "audio_start_ms": 0, "audio_end_ms": 6000} | silence
    committed = {"type": "input_audio_buffer.committed"} | silence
    still_there: list[Line] = [(9000, "server", timed_out), (9001, "server", committed), *answer(9100, "resp_2")]
    record([*opening(), *healthy_turn(100, 1), *still_there], ended_ms=30_000)

    assert names() == {}


def test_who_hangs_up_at_once_did_not_wait_for_it(record: Record, names: Names) -> None:
    record([*opening(), *speech(100), *answer(600)], ended_ms=4000)

    assert names() == {}


def test_without_transcription_none_is_missing(record: Record, names: Names) -> None:
    record([*opening(None), *speech(100), *answer(600)], ended_ms=10_000)

    assert names() == {}


def test_the_same_transcription_twice(record: Record, findings: Findings) -> None:
    session = record([*opening(), *healthy_turn(100), *transcribed(1500)])

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, DUPLICATE)
    assert finding.numbers == {"repeated_items": 1, "completions": 2}
    assert len(finding.evidence) == 2


def test_xai_completes_with_a_growing_text(record: Record, names: Names) -> None:
    growing = [*transcribed(900, text="What"), *transcribed(950, text="What is"), *transcribed(1000)]
    record(in_order([*opening(), *speech(100), *answer(600), *growing, *transcribed(1010)]))

    assert names() == {}


def test_two_turns_may_say_the_same(record: Record, names: Names) -> None:
    record([*opening(), *healthy_turn(100, 1), *healthy_turn(3000, 2)])

    assert names() == {}


def test_words_out_of_silence(record: Record, findings: Findings) -> None:
    silent = speech(100, vad=False, amplitude=0.0002)
    session = record([*opening(turn_detection=None), *silent, *transcribed(1000, text="Thank you for watching!")])

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, SILENCE)
    assert -90 < finding.numbers["loudest_dbfs"] < -60
    assert len(finding.evidence) == 2


@pytest.mark.parametrize(("amplitude", "text"), [(0.0002, ""), (0.01, "Thank you for watching!")])
def test_silence_without_words_and_words_out_of_quiet_speech_are_well(
    record: Record, names: Names, amplitude: float, text: str
) -> None:
    quiet = speech(100, vad=False, amplitude=amplitude)
    record([*opening(turn_detection=None), *quiet, *transcribed(1000, text=text)])

    assert names() == {}
