from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from analyze.answers import EventDetail, TimelineRow
from analyze.tui.lines import plain
from analyze.tui.payload import SHOWN_CHARACTERS, event_lines, payload_lines


@pytest.fixture
def event() -> EventDetail:
    at = datetime(2026, 2, 12, 8, 30, 58, 914600, tzinfo=UTC)
    return EventDetail(106, 3914.6, at, "server", "event", "error", '{"type":"error"}', 1301, redacted=False)


def written(payload: str) -> list[str]:
    return [plain(line) for line in payload_lines(payload)]


def test_json_is_indented_and_its_tokens_stay_as_they_were_written() -> None:
    assert written('{"a":1.50e3,"b":"\\u001b[31m","a":null}') == [
        "{",
        '  "a": 1.50e3,',
        '  "b": "\\u001b[31m",',
        '  "a": null',
        "}",
    ]


def test_what_is_no_json_is_shown_as_it_is() -> None:
    assert written("HTTP says\n[bold]no[/bold]") == ["HTTP says", "[bold]no[/bold]"]


@pytest.mark.parametrize(
    ("payload", "escaped"),
    [
        ('"\x1b[2J"', r"\x1b[2J"),
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ('{"a":"\u202e\udc80"}', r"\u202e\udc80"),
        ("a\r\x08b", r"a\r\x08b"),
    ],
)
def test_control_characters_are_shown_escaped(payload: str, escaped: str) -> None:
    shown = "\n".join(written(payload))
    assert shown.replace("\n", "").isprintable()
    assert escaped in shown


def test_a_very_long_message_is_cut_with_its_length() -> None:
    assert written("x" * (SHOWN_CHARACTERS + 5))[-1] == "… 5 more characters"


def test_an_event_leads_with_its_facts(event: EventDetail) -> None:
    lines = [plain(line) for line in event_lines(event)]
    assert lines[:3] == ["error", "seq 106 · +3,914.6 ms · 08:30:58.914 · server", "event · 1,301 bytes on the wire"]


def test_a_redacted_event_says_so(event: EventDetail) -> None:
    lines = [plain(line) for line in event_lines(replace(event, redacted=True))]
    assert "secrets in this message were taken out before it was stored" in lines


def test_a_run_and_a_failure_are_named(event: EventDetail, timeline: list[TimelineRow]) -> None:
    run = next(row for row in timeline if row.count > 1)
    failed = next(row for row in timeline if row.error)
    assert "the first of 7 in a row, seq 3 to 9" in [plain(line) for line in event_lines(event, run)]
    assert any(plain(line).startswith("▲ server_error") for line in event_lines(event, failed))


def test_what_was_searched_for_is_lit(event: EventDetail) -> None:
    found = [run.text for line in event_lines(event, needle="ERR") for run in line if run.tone == "found"]
    assert found == ["err"]


def test_no_line_is_markup(event: EventDetail, hostile: str) -> None:
    lines = event_lines(replace(event, payload=hostile, type=hostile))
    assert all("\x1b" not in plain(line) for line in lines)
    assert sum("[bold]" in plain(line) for line in lines) == 2
