from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from analyze.printing.page import mark, print_json


@dataclass(frozen=True)
class Answer:
    at: datetime
    found: tuple[float, ...]
    raw: bytes


def test_json_holds_what_json_has_no_word_for(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"answer": Answer(datetime(2026, 2, 12, tzinfo=UTC), (1.5, float("nan"), float("inf")), b"\x00\xff")})
    assert json.loads(capsys.readouterr().out) == {
        "answer": {"at": "2026-02-12T00:00:00+00:00", "found": [1.5, None, None], "raw": "00ff"}
    }


def test_marks_are_signs_first() -> None:
    assert [mark(outcome).plain for outcome in ("ok", "failed", "incomplete", "?")] == ["●", "▲", "◐", "·"]
