"""How long an endpoint wants to be left alone, by what it says; and what is held back until then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.throttling import Pauses, Refusals, Told, guess_wait_s, read_duration, read_wait

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20", 20),
        ("0.5", 0.5),
        ("850ms", 0.85),
        ("1.2s", 1.2),
        ("6m0s", 360),
        ("1h30m", 5400),
        ("20 seconds", 20),
        ("2 minutes", 120),
        ("300 milliseconds", 0.3),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("inf", None),
        ("3 apples", None),
        ("9" * 400 + "s", None),
    ],
)
def test_durations_as_endpoints_write_them(text: str, seconds: float | None) -> None:
    assert read_duration(text) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, Told(1.5, "retry-after-ms")),
        ({"retry-after": "2", "x-ratelimit-reset-requests": "60"}, Told(2, "retry-after")),
        # By the endpoint's own clock, which is ten minutes behind.
        (
            {"retry-after": "Fri, 27 Nov 2026 11:50:30 GMT", "date": "Fri, 27 Nov 2026 11:50:00 GMT"},
            Told(30, "retry-after"),
        ),
        ({"retry-after": "Fri, 27 Nov 2026 12:00:07 GMT"}, Told(7, "retry-after")),
        ({"retry-after": "Fri, 27 Nov 2026 11:00:00 GMT"}, Told(0, "retry-after")),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "12s",
                "x-ratelimit-remaining-tokens": "900",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            Told(12, "x-ratelimit-reset-requests"),
        ),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "3s"}, Told(3, "x-ratelimit-reset-tokens")),
        # Given twice, by a gateway and by the endpoint behind it: the longer one holds for both.
        ({"retry-after": "20, 30"}, Told(30, "retry-after")),
        ({"retry-after": "Fri, 27 Nov 2026 12:00:07 GMT, Fri, 27 Nov 2026 12:00:09 GMT"}, Told(9, "retry-after")),
        ({"retry-after-ms": "1500, 900", "retry-after": "2"}, Told(1.5, "retry-after-ms")),
        ({"retry-after": "whenever"}, None),
        ({}, None),
    ],
)
def test_headers_say_it_best(headers: dict[str, str], told: Told | None) -> None:
    assert read_wait(Refusals(headers), now=NOW) == told


def test_else_the_words_of_an_error_or_what_is_left_of_the_limits() -> None:
    words = ["Rate limit reached for gpt-realtime on tokens per min (TPM): Limit 4000. Please try again in 1m2.5s."]
    assert read_wait(Refusals({}, words)) == Told(62.5, "its error")
    assert read_wait(Refusals({}, ["Please retry after 26 seconds."])) == Told(26, "its error")
    spent = [
        {"name": "requests", "limit": 100, "remaining": 0, "reset_seconds": 8},
        {"name": "tokens", "limit": 9000, "remaining": 4000, "reset_seconds": 50},
    ]
    assert read_wait(Refusals({}, ["Too many requests"], spent)) == Told(8, "rate_limits.updated")
    assert read_wait(Refusals({}, ["Too many requests"], spent[1:])) is None


def test_where_nothing_is_said_the_pause_doubles_up_to_a_minute() -> None:
    assert [guess_wait_s(attempt) for attempt in range(1, 7)] == [5, 10, 20, 40, 60, 60]


@given(
    st.dictionaries(
        st.sampled_from(
            ["retry-after", "retry-after-ms", "date", "x-ratelimit-reset-tokens", "x-ratelimit-reset-requests"]
        ),
        st.text(),
    ),
    st.lists(st.text()),
    st.lists(st.dictionaries(st.sampled_from(["remaining", "reset_seconds"]), st.floats() | st.integers() | st.text())),
)
def test_whatever_an_endpoint_says_the_wait_is_a_time_or_none(
    headers: dict[str, str], messages: list[str], limits: list[dict[str, object]]
) -> None:
    told = read_wait(Refusals(headers, messages, limits))
    assert told is None or 0 <= told.wait_s < float("inf")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100), st.floats(0, 50))))
def test_a_target_is_left_alone_until_its_longest_pause_is_over(said: list[tuple[str, float, float]]) -> None:
    now_s = 0.0
    pauses = Pauses(lambda: now_s)
    until_s = {"a": 0.0, "b": 0.0}
    for target, wait_s, passes_s in said:
        pauses.pause(target, wait_s)
        until_s[target] = max(until_s[target], now_s + wait_s)
        now_s += passes_s
        for each, until in until_s.items():
            assert pauses.left_s(each) == max(0.0, until - now_s)


@pytest.mark.parametrize("reset", [10**400, -1, "soon", None, [], True])
def test_a_limit_that_tells_no_time_is_guessed(reset: object) -> None:
    assert read_wait(Refusals({}, (), [{"name": "requests", "remaining": 0, "reset_seconds": reset}])) is None
