"""What `run` and `isolate` do alike before the first trial and after the last."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capture.errors import EndpointRefused, UsageProblem
from capture.recording.root import Root
from capture.targets import Target
from replay.client import Upgrade
from replay.planning import make_plan
from replay.resuming import describe_targets, keep_request
from replay.run_request import RunRequest
from replay.runs import Run, RunCell, RunRecording, Trial, TrialOutcome, encode_run, save_run
from replay.source import Source
from replay.trial_command import raise_if_refused, take_up, tell_misspelt, tell_muted, tell_not_sent, tell_unmapped

EAST = Target(name="east", url="wss://east.example/v1", model="gpt-realtime")
RUN_ID = "r20261127T100000-abcd"


@dataclass
class LaidOut:
    run: Run


def lay_out(request: RunRequest, root: Root) -> LaidOut:
    """Lay out one cell, anew each time, without the trials that were made of it."""
    assert not root.journal.exists()
    cells = [RunCell(cell="east", session_id="s0", target="east")]
    return LaidOut(
        Run(
            run_id="r20261127T120000-0000",
            started_at=datetime(2026, 11, 27, 12, tzinfo=UTC),
            recordings=[RunRecording(session_id="s0", digest="d")],
            axes=[],
            cells=cells,
            trials=request.trials,
            targets=describe_targets([EAST]),
            request=keep_request(request, {"sessions": ["s0"]}),
        )
    )


def test_a_run_is_taken_up_with_its_trials_and_says_how_far_it_was(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = lay_out(RunRequest(["last"], ["east"], [], [], trials=7, retries=9), root).run
    begun.run_id, begun.cells[0].trials = RUN_ID, [Trial(trial=1, block=1, session_id="t1", outcome="failed")]
    begun.paused_until["east"] = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    save_run(root, RUN_ID, encode_run(begun))
    request, planned = take_up("last", RunRequest([], [], [], [], retries=1), {"retries"}, root, "factorial", lay_out)
    assert (request.sessions, request.trials, request.retries) == (["s0"], 7, 1)
    assert (planned.run.run_id, planned.run.all_trials) == (RUN_ID, begun.all_trials)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"run {RUN_ID} goes on after 1 of 7 trials"
    assert second.startswith("east wants to be left alone until ")
    with pytest.raises(UsageProblem, match=f"goes on with `wiretape replay run --resume {RUN_ID}`"):
        take_up("last", request, set(), root, "adaptive", lay_out)


def test_a_run_that_is_done_says_what_is_left_of_it(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    done = lay_out(RunRequest(["last"], ["east"], [], [], trials=2), root).run
    made = [Trial(trial=1, block=1, session_id="t1", outcome="failed")]
    done.run_id, done.status, done.cells[0].trials = RUN_ID, "done", made
    for outcome, told in {
        "ok": f"run {RUN_ID} is done: nothing is left to make",
        "throttled": f"run {RUN_ID} is done, but for 1 trial that came to nothing: made again",
    }.items():
        made[1:] = [Trial(trial=2, block=2, session_id="t2", outcome=outcome)]  # type: ignore[arg-type]
        save_run(root, RUN_ID, encode_run(done))
        take_up("last", RunRequest([], [], [], []), (), root, "factorial", lay_out)
        assert capsys.readouterr().err.splitlines() == [told]


def test_a_misspelt_query_is_told_once_however_many_cells_and_targets_there_are(
    script: Any, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    script.server({"type": "session.created", "session": {}})
    source = Source(RunRecording(session_id="s0"), make_plan(script.messages), Upgrade("/v1/realtime?model=m"), "")
    run = lay_out(RunRequest(["last"], ["east"], [], []), root).run
    run.cells = [
        RunCell(cell=name, session_id="s0", target="east", overrides={"connection.query.modle": name}) for name in "ab"
    ]
    tell_misspelt(run, [source], [EAST, Target(name="west", url="wss://west.example")])
    [told] = capsys.readouterr().err.splitlines()
    assert told.startswith("connection.query.modle is known to no recording, target or protocol here")
    assert told.endswith("is it connection.query.model?")


def test_a_deployment_that_no_target_maps_is_told_where_the_new_target_has_a_map(
    script: Any, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = {"audio": {"input": {"transcription": {"model": "transcribe-prod"}}}}
    script.server({"type": "session.created", "session": {}})
    script.client({"type": "session.update", "session": configuration})
    source = Source(RunRecording(session_id="s0"), make_plan(script.messages), Upgrade("/v1/realtime?model=m"), "")
    west = Target(name="west", url="wss://w.example", transcription_models={"gpt-4o-transcribe": "west-transcribe"})
    run = lay_out(RunRequest(["last"], ["east"], [], []), root).run
    path = "session.audio.input.transcription.model"
    run.cells = [
        RunCell(cell="east", session_id="s0", target="east"),
        RunCell(cell="west", session_id="s0", target="west"),
        RunCell(cell="west · again", session_id="s0", target="west"),
        RunCell(cell="west · whisper", session_id="s0", target="west", overrides={path: "whisper-1"}),
    ]
    tell_unmapped(run, [source], [EAST, west])
    [told] = capsys.readouterr().err.splitlines()
    assert told == (
        "west has other deployments for transcription models, and transcribe-prod is in no transcription_models: it is"
        " sent as it is. Name the recorded target's in wiretape.toml, or set transcription_model"
    )
    same = replace(west, transcription_models={"gpt-4o-transcribe": "transcribe-prod"})
    at_home = replace(source, home=replace(west, name="home", transcription_models={"x": "transcribe-prod"}))
    tell_unmapped(run, [source], [EAST, same])
    tell_unmapped(run, [at_home], [EAST, west])
    assert capsys.readouterr().err == ""


def test_what_a_recording_does_not_hold_is_told_before_the_run(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    script.client({"type": "response.create"})
    gaps = [
        {"sender": "client", "from_ns": 0, "to_ns": 1_770_100_000_000, "bytes": 900, "reason": "outside the window"},
        {"sender": "server", "from_ns": 0, "to_ns": 1_770_100_000_000, "bytes": 900, "reason": "outside the window"},
        {
            "sender": "client",
            "from_ns": 1_771_000_000_000,
            "to_ns": 1_772_000_000_000,
            "bytes": 7,
            "reason": "disk full",
        },
    ]
    plan = make_plan(script.messages, gaps)
    whole = Source(RunRecording(session_id="s1"), make_plan(script.messages), Upgrade("/v1/realtime"), "")
    tell_not_sent([Source(RunRecording(session_id="s0"), plan, Upgrade("/v1/realtime"), ""), whole])
    assert capsys.readouterr().err == (
        "not sent of s0: 900 bytes from 0.0 s to 1770.1 s, outside the window; 7 bytes from 1771.0 s to 1772.0 s,"
        " disk full\n"
    )
    many = [gaps[0] | {"reason": f"fault {number}"} for number in range(8)]
    tell_not_sent([Source(RunRecording(session_id="s0"), make_plan(script.messages, many), Upgrade("/"), "")])
    assert capsys.readouterr().err.endswith("fault 4; and 3 more\n")


def test_redacted_audio_is_told_with_what_comes_of_it_where_no_clip_takes_its_place(
    script: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    append = {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(4800)).decode()}
    script.server({"type": "session.created", "session": {}}).client(append, 10, redacted=True)
    plan = make_plan(script.messages)
    tell_muted([plan, plan])
    assert capsys.readouterr().err == (
        "silence goes in the place of the redacted audio, for as long as that was: a trial in which nothing fails does"
        " not count. Say a clip instead, with `wiretape replay run … --audio FILE`\n"
    )
    tell_muted([replace(plan, is_muted=False)])
    assert capsys.readouterr().err == ""


def test_a_realtime_deployment_that_no_target_maps_is_told_too(
    script: Any, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    script.server({"type": "session.created", "session": {}})
    source = Source(RunRecording(session_id="s0"), make_plan(script.messages), Upgrade("/v1/realtime?model=rt"), "")
    west = Target(name="west", url="wss://w.example", models={"gpt-realtime": "west-rt"})
    run = lay_out(RunRequest(["last"], ["east"], [], []), root).run
    run.cells = [
        RunCell(cell="east", session_id="s0", target="east"),
        RunCell(cell="west", session_id="s0", target="west"),
        RunCell(cell="west · mini", session_id="s0", target="west", overrides={"connection.model": "mini"}),
    ]
    tell_unmapped(run, [source], [EAST, west])
    [told] = capsys.readouterr().err.splitlines()
    assert told == (
        "west has other deployments for realtime models, and rt is in no models: it is sent as it is. Name the recorded"
        " target's in wiretape.toml, or set model"
    )
    tell_unmapped(run, [replace(source, home=replace(west, name="home", models={"x": "rt"}))], [EAST, west])
    tell_unmapped(run, [source], [EAST, replace(west, model="west-rt")])
    assert capsys.readouterr().err == ""


def run_with(*trials: tuple[TrialOutcome, str]) -> Run:
    made = [Trial(trial=n, block=n, session_id=f"s{n}", outcome=o, note=note) for n, (o, note) in enumerate(trials, 1)]
    cell = RunCell(cell="eastus2", session_id="s0", target="eastus2", trials=made)
    return Run(
        run_id="r20260212T083055-4f3a",
        started_at=datetime(2026, 2, 12, tzinfo=UTC),
        recordings=[],
        axes=[],
        cells=[cell],
        trials=len(made),
    )


def test_a_run_that_no_target_took_says_why_each_reason_once() -> None:
    refused: tuple[TrialOutcome, str] = ("not_run", "refused: HTTP 401")
    with pytest.raises(EndpointRefused, match="no target took a session: HTTP 401; HTTP 404"):
        raise_if_refused(run_with(refused, refused, ("not_run", "refused: HTTP 404")))


def test_upgrades_that_were_refused_with_429_are_no_sessions_and_throttled_sessions_are() -> None:
    refused: tuple[TrialOutcome, str] = ("throttled", "refused: HTTP 429: slow down")
    with pytest.raises(EndpointRefused, match="no target took a session: HTTP 429: slow down; HTTP 401"):
        raise_if_refused(run_with(refused, refused, ("not_run", "refused: HTTP 401")))
    raise_if_refused(run_with(refused, ("throttled", "closed_by_endpoint")))
    tried_before = run_with(refused)
    # Of an attempt before that one: the endpoint had taken it.
    tried_before.cells[0].trials[0].sent_ms = 20.0
    raise_if_refused(tried_before)


def test_a_run_with_one_session_or_none_yet_is_not_refused() -> None:
    raise_if_refused(run_with(("not_run", "refused: HTTP 401"), ("ok", "")))
    raise_if_refused(run_with())
