"""Failures that come when all was sent and answered: a replay that hung up before would call them not reproduced."""

from __future__ import annotations

from typing import Any

from capture.realtime.progress import Progress
from replay.late_failure import LateFailure, LateFailures
from replay.planning import make_plan
from replay.player import Player
from replay.winding_down import SETTLE_NS, TERMINAL_TIMEOUT_NS
from tests.replay.conftest import Script
from tests.replay.test_player import CREATE, CREATED, MS, Answer, Stage, begun, done

Json = dict[str, Any]

DELETE = {"type": "conversation.item.delete", "item_id": "item_9"}
SERVER_ERROR = {"type": "error", "error": {"type": "server_error", "code": None, "message": "Sorry about that!"}}
NOT_FOUND = {"type": "error", "error": {"type": "invalid_request_error", "code": "item_delete_invalid_item_id"}}
NEEDLESS = {"type": "error", "error": {"type": "invalid_request_error", "code": "response_cancel_not_active"}}


def answering(*later: tuple[float, Json]) -> Answer:
    """Answer each response.create at once, and send something behind it."""
    return lambda event: [(10, begun("r")), (20, done("r")), *later] if event == CREATE else []


def asked(script: Script) -> Script:
    return script.server(CREATED).client(CREATE, 100).server(begun("r"), 110).server(done("r"), 120)


def test_an_error_out_of_the_blue_is_stayed_for_as_long_as_it_took(script: Script) -> None:
    plan = make_plan(asked(script).server(SERVER_ERROR, 2120).messages)
    assert plan.late_failure == LateFailure(2000 * MS, errors=1)
    # It comes somewhat later than it did: 2.4 s after the answer.
    stage = Stage(Player(plan), answering((2420, SERVER_ERROR)))
    assert stage.play() == "completed"
    assert stage.player.session.progress.unowed_errors == 1
    assert stage.now_ns == (5 + 2420) * MS


def test_where_it_does_not_come_the_session_ends_all_the_same(script: Script) -> None:
    plan = make_plan(asked(script).server(SERVER_ERROR, 2120).messages)
    stage = Stage(Player(plan), answering())
    assert stage.play() == "completed"
    assert stage.now_ns == (5 + 20 + 2000) * MS + TERMINAL_TIMEOUT_NS


def test_at_twice_the_speed_it_is_stayed_for_half_as_long(script: Script) -> None:
    stage = Stage(Player(make_plan(asked(script).server(SERVER_ERROR, 2120).messages), speed=2.0), answering())
    stage.play()
    assert stage.now_ns == (5 + 20 + 1000) * MS + TERMINAL_TIMEOUT_NS


def test_a_refusal_of_what_needs_no_answer_is_waited_for_over_a_slow_line(script: Script) -> None:
    plan = make_plan(script.server(CREATED).client(DELETE, 100).server(NOT_FOUND, 140).messages)
    stage = Stage(Player(plan), lambda event: [(900, NOT_FOUND)] if event == DELETE else [])
    assert stage.play() == "completed"
    assert stage.player.session.progress.unowed_errors == 1


def test_audio_that_went_on_behind_the_error_takes_its_time_from_the_stay(script: Script) -> None:
    plan = make_plan(asked(script).server(SERVER_ERROR, 1000).append(1040).messages)
    assert plan.late_failure == LateFailure(-40 * MS, errors=1)
    stage = Stage(Player(plan), answering((2000, SERVER_ERROR)))
    stage.play()
    assert stage.player.session.progress.unowed_errors == 1


def test_a_close_in_a_silence_is_stayed_for(script: Script) -> None:
    plan = make_plan(asked(script).messages, closed_ns=30_120 * MS)
    assert plan.late_failure == LateFailure(30_000 * MS)
    stage = Stage(Player(plan), answering((100, SERVER_ERROR)))
    stage.play()
    assert stage.now_ns == (5 + 20 + 30_000) * MS + TERMINAL_TIMEOUT_NS


def test_what_stands_in_the_place_of_an_answer_or_is_needless_is_no_late_failure(script: Script) -> None:
    refused = {"type": "error", "error": {"type": "server_error", "param": "response"}}
    for error in (refused, NEEDLESS):
        plan = make_plan(Script().server(CREATED).client(CREATE, 100).server(error, 3000).messages)
        assert plan.late_failure is None
    stage = Stage(Player(make_plan(asked(script).messages)), answering())
    stage.play()
    assert stage.now_ns == 25 * MS + SETTLE_NS


def test_what_is_owed_to_the_end_is_waited_for_in_any_case() -> None:
    progress = Progress()
    late = LateFailures(progress)
    for at_ns, sender, event in ((1, "server", CREATED), (2, "client", CREATE), (3, "server", begun("r"))):
        progress.observe(sender, event)
        late.observe(at_ns, sender)
    assert late.last(closed_ns=9) is None
    progress.observe("server", done("r"))
    late.observe(4, "server")
    assert late.last(closed_ns=9) == LateFailure(5)
    assert late.last(closed_ns=None) is None
