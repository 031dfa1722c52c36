"""What a server's side of a recording is made of."""

from __future__ import annotations

import base64

import pytest

from capture.realtime.configuration import ConfigurationTracker
from replay.server_plan import OPENED, Heard, Outgoing, ServerPlan, audio_length_ms, kind_of
from replay.unanswered import Awaited, Moment


def test_moments_are_told_apart_and_places_in_the_audio_come_in_its_order() -> None:
    created = Outgoing(1, 5, "message", "session.created", "{}", {OPENED})
    asked = Awaited(2, 6, 1, "response.create", {}, "response.create #1")
    late, early = Heard(3, 20, 2, 1500.0), Heard(4, 10, 2, 250.0)
    closed = Outgoing(5, 30, "close", "close", b"\x03\xe9gone")
    plan = ServerPlan((Moment(OPENED, 0), created, asked, late, early, closed), {}, {}, 1500.0, {}, {}, {}, ())
    assert plan.outgoing == [created, closed]
    assert plan.awaited == [asked]
    assert [heard.name for heard in plan.heard] == ["audio up to 0.25 s", "audio up to 1.50 s"]
    empty = Outgoing(6, 30, "close", "close", b"")
    assert (closed.close_code, created.close_code, empty.close_code) == (1001, 1005, 1005)
    assert [kind_of(b"x"), kind_of("x")] == ["binary", "text"]


@pytest.mark.parametrize(("name", "expected_ms"), [("audio/pcm", 10), ("audio/pcmu", 60)])
def test_audio_is_measured_in_the_format_that_was_asked_for(name: str, expected_ms: float) -> None:
    configuration = ConfigurationTracker()
    asked = {"audio": {"input": {"format": {"type": name}}}}
    configuration.observe("client", {"type": "session.update", "session": asked})
    encoded = base64.b64encode(b"\x00" * 480).decode()
    append = f'{{"type": "input_audio_buffer.append", "audio": "{encoded}"}}'
    assert audio_length_ms(append, configuration) == audio_length_ms(append.encode(), configuration) == expected_ms
    assert audio_length_ms("nonsense", configuration) == 0
