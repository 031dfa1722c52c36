"""What is typed, as the commands take it."""

from __future__ import annotations

import math
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from capture.arguments import (
    check_seconds,
    parse_listen,
    parse_redactions,
    parse_setting,
    parse_speed,
    parse_values,
)
from capture.errors import UsageProblem


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("session.a=1", ("session.a", 1)),
        ('session.a={"b":null}', ("session.a", {"b": None})),
        ("session.a=marin", ("session.a", "marin")),
        ("session.a=x=y", ("session.a", "x=y")),
        ("session.a=", ("session.a", "")),
    ],
)
def test_a_setting_is_json_or_else_text(text: str, setting: tuple[str, Any]) -> None:
    assert parse_setting(text) == setting


@pytest.mark.parametrize("text", ["session.voice", "=marin", " =marin", ""])
def test_a_setting_without_a_path_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="sets nothing"):
        parse_setting(text)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8765", ("127.0.0.1", 8765)),
        ("[::1]:80", ("::1", 80)),
        (":9000", ("127.0.0.1", 9000)),
        (":0", ("127.0.0.1", 0)),
        ("9000", ("127.0.0.1", 9000)),
    ],
)
def test_an_address_is_read(listen: str, address: tuple[str, int]) -> None:
    assert parse_listen(listen) == address


@pytest.mark.parametrize("listen", ["", "localhost", "h:http", "h:65536", "h:-1", "a..b:1"])
def test_an_address_without_a_port_is_refused(listen: str) -> None:
    with pytest.raises(UsageProblem, match="HOST:PORT"):
        parse_listen(listen)


def test_what_must_not_be_kept_is_read_from_words_and_expressions() -> None:
    given = ["transcripts,audio", "emails", r"/\d{3,4}/", "audio"]
    assert parse_redactions(given) == ["transcripts", "audio", "emails", r"/\d{3,4}/"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("transcript", "transcripts, audio"),
        ("audio,video", "'video'"),
        ("", "--redact has an empty rule"),
        ("  ", "--redact has an empty rule"),
        ("audio,", "transcripts,audio, or leave it out"),
        ("/(/", "no regular expression"),
        ("/unfinished", "between slashes"),
        ("/(a+)+$/", "takes too long"),
        (r"/(\w+\s?)*:/", "takes too long"),
    ],
)
def test_a_redaction_that_cannot_be_applied_is_told_before_anything_is_recorded(text: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=re.escape(said)):
        parse_redactions([text])


def test_an_expression_is_tried_out_without_harm_to_the_program_that_asks() -> None:
    fired: list[int] = []
    before = signal.signal(signal.SIGVTALRM, lambda number, _: fired.append(number))
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 1000, 5)
        assert parse_redactions(["/a+/"]) == ["/a+/"]
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 900
        assert fired == []
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_rules_are_read_in_any_thread() -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(parse_redactions, ["/a+/", "audio"]).result() == ["/a+/", "audio"]


@pytest.mark.parametrize(
    ("listed", "values"),
    [
        ("whisper-1,gpt-4o-transcribe", ["whisper-1", "gpt-4o-transcribe"]),
        ("200,400", [200, 400]),
        ('null,{"type":"server_vad","threshold":0.5}', [None, {"type": "server_vad", "threshold": 0.5}]),
        ("whisper-1, 200", ["whisper-1", 200]),
    ],
)
def test_values_in_a_row_are_json_or_bare_words(listed: str, values: list[object]) -> None:
    assert parse_values(listed) == values


def test_seconds_are_a_time_and_no_more_than_may_be() -> None:
    assert [check_seconds("--drain", seconds) for seconds in (0, 2.5, math.inf)] == [0, 2.5, math.inf]
    with pytest.raises(UsageProblem, match="--drain takes seconds, 0 or more, not nan"):
        check_seconds("--drain", math.nan)
    with pytest.raises(UsageProblem, match="--grace takes seconds, 0 or more up to 60, not inf"):
        check_seconds("--grace", math.inf, 60)


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("0.5", 0.5), ("max", math.inf)])
def test_a_speed_is_a_number_or_max(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "fast"])
def test_other_speeds_are_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="a number above 0, or max"):
        parse_speed(text)
