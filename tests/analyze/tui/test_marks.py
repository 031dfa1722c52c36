from __future__ import annotations

from dataclasses import replace

from analyze.answers import TimelineRow, Turn
from analyze.tui.marks import Mark, marks_of


def test_marks_lead_with_the_failures(turn: Turn, timeline: list[TimelineRow]) -> None:
    assert [(mark.label, mark.from_ms, mark.lane) for mark in marks_of([turn], timeline)] == [
        ("✕ transcription", 3914.6, "client"),
        ("speech", 780.0, "client"),
        ("┆commit", 3402.1, "client"),
    ]


def test_the_assistant_has_a_lane_of_its_own(turn: Turn, timeline: list[TimelineRow], hostile: str) -> None:
    base = replace(timeline[0], type="response.created", response_id="resp_1", offset_ms=100.0, summary="in_progress")
    done = replace(base, type="response.done", offset_ms=900.0, summary="cancelled · turn_detected")
    tool = replace(base, type="response.function_call_arguments.done", offset_ms=500.0, summary=f"{hostile}({{}})")
    open_ended = replace(base, response_id="resp_2", offset_ms=950.0)
    completed = replace(turn, transcription="completed")
    marks = marks_of([completed], [base, tool, done, open_ended])
    assert marks[2] == Mark(3914.6, None, "“text", "ok", "client")
    call, response, running = marks[3:]
    # Each character has to be one cell wide, or all that follows is shifted.
    assert call.label.isprintable()
    assert len(call.label) <= 26
    assert (response.label, response.from_ms, response.to_ms, response.lane) == (
        "response cancelled",
        100.0,
        900.0,
        "server",
    )
    assert (running.label, running.to_ms) == ("┆response", None)
