from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analyze.tui import figures
from analyze.tui.lines import plain


@pytest.mark.parametrize(("value_ms", "written"), [(20.0, "20 ms"), (999.0, "999 ms"), (2310.0, "2.31 s")])
def test_a_length_takes_the_unit_that_shows_it(value_ms: float, written: str) -> None:
    assert figures.length(value_ms) == written


def test_a_time_has_its_day() -> None:
    assert figures.clock(datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)) == "02-12 08:30:55"


@pytest.mark.parametrize(
    ("left_ms", "right_ms", "written"),
    [(611.0, 733.0, "+122 ms (1.2x)"), (100.0, 50.0, "-50 ms (0.5x)"), (None, 5.0, ""), (0.0, 5.0, "+5 ms")],
)
def test_a_change_says_by_how_much(left_ms: float | None, right_ms: float | None, written: str) -> None:
    assert plain(figures.change(left_ms, right_ms)) == written


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("conversation.item.input_audio_transcription.failed|server_error||Input …", "transcription server_error"),
        ("error|invalid_request_error|invalid_value|Invalid value", "invalid_value"),
        ("error|invalid_request_error||Invalid value", "invalid_request_error"),
        ("response.done|server_error|rate_limit_exceeded|…", "response rate_limit_exceeded"),
        ("absent:response.done", "absent:response.done"),
    ],
)
def test_a_failure_is_named_by_what_failed_and_its_code(key: str, name: str) -> None:
    assert figures.failure_name(key) == name


def test_every_outcome_has_a_sign_of_its_own() -> None:
    signs = [figures.mark(outcome).text for outcome in ("ok", "failed", "incomplete", "live")]
    assert signs == ["●", "▲", "◐", "◌"]
    assert figures.mark("never heard of").text == "·"


@pytest.mark.parametrize(("level", "sign"), [(0.0, "▁"), (0.001, "▁"), (0.02, "▃"), (0.1, "▅"), (0.5, "▇"), (1.0, "█")])
def test_levels_are_drawn_in_decibels(level: float, sign: str) -> None:
    assert figures.bar(level) == sign


@pytest.mark.parametrize(
    ("seconds", "words"), [(14.9, "14 s"), (125, "2 min 05 s"), (3725, "1 h 02 min"), (7_200_000, "2,000 h 00 min")]
)
def test_an_age_is_written_as_it_is_said(seconds: float, words: str) -> None:
    assert figures.age(seconds) == words


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("session.created", "session.created"),
        ("conversation.item.input_audio_transcription.failed", "…input_audio_transcription.failed"),
        ("response.output_audio_transcript.delta", "…output_audio_transcript.delta"),
        ("conversation.item.input_audio_transcription.completed", "…audio_transcription.completed"),
    ],
)
def test_a_long_type_loses_its_front_between_words(name: str, short: str) -> None:
    assert figures.shorten_type(name) == short
