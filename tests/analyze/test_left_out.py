from __future__ import annotations

from typing import Any

import pytest

from analyze.left_out import unreadable_words, windows_words

Row = dict[str, Any]


def gap(sender: str | None, from_s: float, to_s: float, reason: str = "outside the window") -> Row:
    return {"sender": sender, "from_ns": int(from_s * 1e9), "to_ns": int(to_s * 1e9), "bytes": 9, "reason": reason}


def cut(*gaps: Row) -> Row:
    return {"role": "captured", "kept": "window", "duration_ms": 3_600_000.0, "gaps": list(gaps)}


def unread(*reasons: str) -> Row:
    return {"role": "imported", "kept": "whole", "gaps": [gap(None, 1, 1, reason) for reason in reasons]}


def test_what_windows_left_out_is_told_once_for_both_senders() -> None:
    both = [gap(sender, 0, 1770.1) for sender in ("client", "server")]
    assert windows_words(cut(*both, gap("client", 1830.1, 3600), gap("server", 1800, 1801, "disk full"))) == (
        "cut to the windows around its failures: 3,540.0 of 3,600.0 s are left out (0.0 to 1,770.1 s, 1,830.1 to"
        " 3,600.0 s), all but configuration, items and answers as text"
    )


def test_of_many_stretches_the_first_are_told() -> None:
    words = windows_words(cut(*(gap("client", n * 100, n * 100 + 50) for n in range(5))))
    assert words is not None
    assert "(0.0 to 50.0 s, 100.0 to 150.0 s, 200.0 to 250.0 s, …)" in words


@pytest.mark.parametrize("row", [{"kept": "whole", "gaps": [gap("client", 1, 2, "disk full")]}, {"kept": None}])
def test_a_whole_session_has_nothing_to_be_said(row: Row) -> None:
    assert windows_words({"role": "captured", **row}) is None
    assert unreadable_words({"role": "captured", **row}) is None


def test_lines_that_could_not_be_read_are_named_and_steer_no_terminal() -> None:
    assert unreadable_words(unread("line 4 of the file: it is no \x1b[31m object")) == (
        "1 message could not be read: line 4 of the file: it is no \\x1b[31m object"
    )
    words = unreadable_words(unread(*(f"line {n} of the file: no object" for n in range(5))))
    assert words is not None
    assert words.startswith("5 messages could not be read: line 0 of the file: no object; line 1")
    assert words.endswith("; and 2 more")


def test_an_import_without_gaps_has_nothing_to_be_said() -> None:
    assert unreadable_words(unread()) is None
