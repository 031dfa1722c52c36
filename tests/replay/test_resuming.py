"""Going on with a run: what is kept of what was asked, and what it is compared with."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from capture.errors import UsageProblem
from capture.targets import Target
from replay.isolate_command import IsolateRequest
from replay.resuming import (
    ask_again,
    check_unchanged,
    describe_targets,
    digest_clips,
    keep_request,
    pauses_left,
    take_over,
)
from replay.run_request import RunRequest
from replay.runs import Run, RunCell, RunRecording, Trial, decode_run, encode_run
from tests.replay.test_isolation import fails_unless, run_in

EAST = Target(name="east", url="wss://east.example/v1", model="gpt-realtime", query={"api-key": "t0psecret"})


def asked(**fields: object) -> RunRequest:
    known: dict[str, object] = {"sessions": ["last"], "to": ["east"], "vary": [], "settings": []}
    return RunRequest(**(known | fields))  # type: ignore[arg-type]


def run_of(request: RunRequest, *, target: Target = EAST, digest: str = "d", clip: Path | None = None) -> Run:
    cells = [RunCell(cell="east", session_id="s0", target="east", overrides={"audio": str(clip)} if clip else {})]
    return Run(
        run_id="r20261127T100000-abcd",
        started_at=datetime(2026, 11, 27, tzinfo=UTC),
        recordings=[RunRecording(session_id="s0", digest=digest)],
        axes=[],
        cells=cells,
        trials=5,
        targets=describe_targets([target]),
        clips=digest_clips(cells),
        request=keep_request(request, {"sessions": ["s0"]}),
    )


def test_what_was_asked_is_asked_again_with_last_as_the_recording_of_then() -> None:
    before = asked(
        vary=["session.audio.input.noise_reduction=null,near_field"],
        trials=7,
        speed=2.0,
        unset=["x"],
        audio=Path("good.flac"),
    )
    again = ask_again(run_of(before), asked(sessions=[]), set(), "factorial")
    assert again == replace(before, sessions=["s0"], redact=[], expect=again.expect)


def test_by_which_clock_it_goes_and_what_new_calls_get_is_part_of_what_was_asked() -> None:
    before = asked(speed=math.inf, clock="absolute", on_new_tool="empty")
    saved = decode_run(encode_run(run_of(before)))
    again = ask_again(saved, asked(), set(), "factorial")
    assert (again.speed, again.clock, again.on_new_tool) == (math.inf, "absolute", "empty")
    with pytest.raises(UsageProblem, match="leave out --clock, --on-new-tool, --speed, or start another run"):
        ask_again(saved, asked(), {"speed", "clock", "on_new_tool"}, "factorial")


def test_how_it_is_played_may_be_given_anew_but_not_what() -> None:
    saved = run_of(asked(concurrency=1, max_sessions=4, redact=["emails"], junit=Path("then.xml"), expect=["ok"]))
    now = asked(concurrency=3, redact=["phones"], expect=["failed"], trials=9)
    again = ask_again(saved, now, {"concurrency", "redact", "expect"}, "factorial")
    assert (again.concurrency, again.max_sessions, again.trials) == (3, 4, 5)
    # What must not be kept of the trials before must not be kept of these.
    assert again.redact == ["emails", "phones"]
    assert (list(again.expect), again.junit) == (["failed"], None)
    with pytest.raises(UsageProblem, match=r"leave out --set, --trials, or start another run"):
        ask_again(saved, now, {"trials", "settings"}, "factorial")


def test_a_run_of_the_other_command_and_one_that_says_nothing_are_refused() -> None:
    saved = run_of(asked())
    with pytest.raises(UsageProblem, match=f"goes on with `wiretape replay run --resume {saved.run_id}`"):
        ask_again(saved, IsolateRequest("", []), set(), "adaptive")
    saved.request = {}
    with pytest.raises(UsageProblem, match="does not say what was asked for"):
        ask_again(saved, asked(), set(), "factorial")


def test_a_credential_is_not_kept_so_that_run_cannot_go_on() -> None:
    tools = json.dumps([{"type": "mcp", "server_label": "crm", "authorization": "t0psecret"}])
    for fields in ({"settings": [f"session.tools={tools}"]}, {"to": ["wss://e.example/v1?api-key=t0psecret"]}):
        saved = run_of(asked(**fields))
        assert "t0psecret" not in json.dumps(saved.request)
        with pytest.raises(UsageProblem, match="was given a credential"):
            ask_again(saved, asked(), set(), "factorial")


def test_a_run_is_compared_with_what_is_there_now(tmp_path: Path) -> None:
    clip = tmp_path / "good.flac"
    clip.write_bytes(b"one")
    saved = run_of(asked(), clip=clip)
    assert "t0psecret" not in str(saved.targets)
    check_unchanged(saved, run_of(asked(), clip=clip))
    with pytest.raises(UsageProblem, match=r"abcd cannot go on: recording s0 is not what it was\. What was tried"):
        check_unchanged(saved, run_of(asked(), clip=clip, digest="other"))
    elsewhere = Target(name="east", url="wss://west.example/v1", model="gpt-realtime")
    with pytest.raises(UsageProblem, match=r"target east has another url now: wss://west.example/v1, then wss://east"):
        check_unchanged(saved, run_of(asked(), clip=clip, target=elsewhere))
    renamed = replace(EAST, models={"gpt-realtime": "mine"})
    with pytest.raises(UsageProblem, match="target east has another models now"):
        check_unchanged(saved, run_of(asked(), clip=clip, target=renamed))
    with pytest.raises(UsageProblem, match="its cells would be others now"):
        check_unchanged(run_of(asked()), run_of(asked(), clip=clip))
    planned_before = run_of(asked(), clip=clip)
    clip.write_bytes(b"another")
    with pytest.raises(UsageProblem, match=r"the clip .*good\.flac is not the one of then"):
        check_unchanged(planned_before, run_of(asked(), clip=clip))


def test_the_trials_and_cells_that_were_added_on_the_way_are_taken_over() -> None:
    saved, planned = run_of(asked()), run_of(asked())
    planned.run_id = "r20261128T100000-ffff"
    trial = Trial(trial=1, block=1, session_id="t", outcome="ok")
    saved.cells[0].trials.append(trial)
    saved.cells.append(RunCell(cell="east · a=1 · b=2", session_id="s0", target="east"))
    saved.paused_until = {"east": datetime(2026, 11, 27, 13, tzinfo=UTC)}
    saved.cut_short_ms = [400.0]
    take_over(saved, planned)
    assert pauses_left(planned, datetime(2026, 11, 27, 12, tzinfo=UTC)) == [
        "east wants to be left alone until 2026-11-27 13:00:00 UTC"
    ]
    assert pauses_left(planned, datetime(2026, 11, 27, 14, tzinfo=UTC)) == []
    assert (planned.run_id, planned.cut_short_ms) == (saved.run_id, [400.0])
    assert [(cell.cell, cell.trials) for cell in planned.cells] == [("east", [trial]), ("east · a=1 · b=2", [])]


def test_an_experiment_that_was_done_by_fewer_trials_than_it_takes_now_goes_on() -> None:
    def taken_over(stop_after: int | None) -> Run:
        saved, planned = run_in(fails_unless("target"), stop_after=stop_after), run_in(fails_unless(), stop_after=0)
        saved.status = "done"
        take_over(saved, planned)
        return planned

    assert taken_over(None).status == "done"
    # After six blocks the target was called implicated once.
    assert taken_over(1 + 6 * 4).status == "interrupted"
