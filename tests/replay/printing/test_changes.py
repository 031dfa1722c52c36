"""How a plan says what it changes."""

from __future__ import annotations

from replay.printing.changes import changes_cell, say_change
from replay.rewrite import Change


def test_a_change_is_said_with_what_stood_there_before() -> None:
    assert say_change(Change("override", "voice", '"marin"', '"cedar"')) == 'voice: "marin" → "cedar"'
    assert say_change(Change("override", "voice", "", '"cedar"')) == 'voice: absent → "cedar"'
    assert say_change(Change("unset", "voice", '"marin"', "")) == 'voice: "marin" → left out'
    assert say_change(Change("idle", "", '"9 s"', '"1 s"')) == 'idle: "9 s" → "1 s"'


def test_credentials_are_not_said() -> None:
    tools = '[{"type": "mcp", "authorization": "open sesame"}]'
    said = say_change(Change("override", "session.tools", "[]", tools))
    assert said == 'session.tools: [] → [{"type": "mcp", "authorization": "[redacted]"}]'


def test_a_cell_has_a_line_a_change_and_cuts_long_ones() -> None:
    shown = changes_cell(["voice: absent → left out", "instructions: " + "word " * 100]).plain
    assert [len(line) for line in shown.split("\n")] == [24, 300]
    assert shown.endswith("…")


def test_nothing_changed_is_said_too() -> None:
    assert changes_cell([]).plain == "none"
